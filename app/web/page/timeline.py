"""The timeline of a job: what happened, how long after the event before, and where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.job import TERMINAL, Entry, State

_WORDS: Final = {
    "Submitted": "requested",
    "Intended": "the intent to submit is stored",
    "Accepted": "the provider accepted it",
    "Duplicate": "the provider has the same export already",
    "Unsent": "it was not sent",
    "Unknown": "it is unknown whether the provider accepted it",
    "Adopted": "its remote job was found",
    "Absent": "it has no remote job",
    "Undecidable": "it cannot be found out",
    "Pending": "not ready yet",
    "Ready": "the provider has finished",
    "FetchStarted": "the download begins",
    "Stored": "every file has landed",
    "LinksExpired": "the links had expired",
    "Cleaned": "the remote job is deleted",
    "Cancelled": "the remote job was cancelled",
    "CancelAsked": "a cancel request was applied",
    "RetryDecided": "a person decided to submit it again",
    "AdoptDecided": "a person found its remote job",
    "CancelRequested": "a person asked it to stop",
    "RetryRequested": "a person retried it as a new job",
    "PollRequested": "a person made its next step due",
    "Retry": "an error, tried again",
    "Throttled": "the provider throttles",
    "Unauthorized": "the credentials were refused",
    "Interrupted": "interrupted, nothing is lost",
    "Refused": "the provider refused",
    "Gone": "the remote job is gone",
    "Unmapped": "a reply that matches no rule",
    "DeadlinePassed": "the deadline has passed",
    "StorageFull": "the storage is full or cannot be written",
}

_MOST_FOLDED: Final = 200
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """One event: ``after_s`` seconds after the one before; ``arrived`` if the state changed."""

    entry: Entry
    after_s: float | None
    arrived: bool

    @property
    def words(self) -> str:
        """The outcome in words."""
        return _WORDS.get(self.entry.outcome, self.entry.outcome)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events that are shown one by one, or ``folded`` because they are alike; ``left_out`` are not shown."""

    moments: list[Moment]
    folded: bool = False
    lasts_s: float = 0.0
    left_out: int = 0


def timeline(history: Sequence[Entry]) -> list[Stretch]:
    """The sections of a history; long runs that change no state are folded, except for their first and last event."""
    sections: list[Stretch] = []
    run: list[Moment] = []
    before: Entry | None = None
    for entry in history:
        arrived = before is None or entry.state is not before.state
        moment = Moment(entry, None if before is None else max(0.0, entry.at - before.at), arrived)
        if arrived and run:
            sections += _folded(run)
            run = []
        if arrived:
            sections.append(Stretch([moment]))
        else:
            run.append(moment)
        before = entry
    return sections + _folded(run)


def _folded(run: list[Moment]) -> list[Stretch]:
    if len(run) <= _FEW:
        return [Stretch([moment]) for moment in run]
    middle = run[1:-1]
    lasts_s = sum(moment.after_s or 0.0 for moment in middle)
    kept = middle[:_MOST_FOLDED]
    return [
        Stretch(run[:1]),
        Stretch(kept, folded=True, lasts_s=lasts_s, left_out=len(middle) - len(kept)),
        Stretch(run[-1:]),
    ]


def time_in(history: Sequence[Entry], now: float) -> Mapping[State, float]:
    """The seconds that a job has spent in each of its states, in the order of the first visits."""
    spent: dict[State, float] = {}
    for entry, after in zip(history, [*history[1:], None], strict=False):
        if after is None and entry.state in TERMINAL:
            break
        until = now if after is None else after.at
        spent[entry.state] = spent.get(entry.state, 0.0) + max(0.0, until - entry.at)
    return spent
