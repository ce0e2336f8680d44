"""A provider's limit of which nothing is left, and what reads it from the headers of a reply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

LONGEST_WAIT_S: Final = 3600.0
TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class LimitSpent:
    """Nothing is left of the provider's limit. ``refused``: it refused the request for that reason."""

    wait_s: float
    reason: str
    refused: bool


class LimitReader(Protocol):
    """Reads the headers with the rest of a limit, in the form that a spec names."""

    def read(self, status: int, headers: Mapping[str, str], now: float) -> LimitSpent | None:
        """The spent limit; ``None`` if something is left, or if the reply does not say when there is more."""
