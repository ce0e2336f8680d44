"""What can be wrong with a configuration, told all at once and without ever repeating a value."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: in which file or variable, under which dotted key (may be empty), and why.

    ``reason`` never holds the value itself, for it may be a secret.
    """

    origin: str
    key: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.key, self.reason) if part)


class ConfigError(Exception):
    """The configuration cannot be used; ``faults`` is all that is wrong with it, ``str()`` a line for each."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__("\n".join(map(str, self.faults)))

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """The error for faults that another floor found in this configuration, such as a provider in its settings."""
        return cls(faults)
