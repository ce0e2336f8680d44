"""How long an operation's replies ask to be left alone: what its spec reads in them, and the header Retry-After."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from app.providers.extract import Pick, as_text, compile_pick
from app.providers.headers import parse_retry_after, retry_after
from app.providers.reading import Reading
from app.providers.spec.steps import RetryAfterSpec


class Wait(NamedTuple):
    """Seconds, or ``None`` where a reply asks for nothing; ``exact`` says that they replace our own schedule."""

    seconds: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Waits:
    """The values that a spec names, in order, each with whether it is exact; and whether the header Retry-After is."""

    picks: Sequence[tuple[Pick, bool]]
    header_is_exact: bool

    def of(self, reading: Reading, now: float) -> Wait:
        """What a poll's reply asks for: the first named value that can be read, else the header."""
        for pick, exact in self.picks:
            said = as_text(pick(reading))
            wait_s = None if said is None else parse_retry_after(said, reading.headers.get("date"), now)
            if wait_s is not None:
                return Wait(wait_s, exact)
        return self.in_header(reading, now)

    def in_header(self, reading: Reading, now: float) -> Wait:
        """What the header Retry-After of any reply asks for."""
        wait_s = retry_after(reading.headers, now)
        return Wait(wait_s, self.header_is_exact and wait_s is not None)


def compile_waits(specs: Sequence[RetryAfterSpec]) -> Waits:
    """The compiled form of ``poll.retry_after``."""
    picks = tuple((compile_pick((spec,)), spec.exact) for spec in specs if spec.names_value)
    return Waits(picks, any(spec.exact for spec in specs if not spec.names_value))


NOT_BEFORE: Final = Waits((), header_is_exact=False)
"""For an operation without polls."""
