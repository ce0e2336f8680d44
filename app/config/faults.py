"""What can be wrong with a configuration, told all at once and without ever repeating a value."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from app.providers.faults import printable

if TYPE_CHECKING:
    from app.config.tables import Config


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: in which file or variable, under which dotted key (may be empty), and why.

    ``reason`` never holds the value itself, for it may be a secret.
    """

    origin: str
    key: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(printable(part) for part in (self.origin, self.key, self.reason) if part)


class ConfigError(Exception):
    """The configuration cannot be used; ``faults`` is all that is wrong with it, ``str()`` a line for each.

    ``rest`` is the configuration without what is wrong, where that makes one: other floors look for faults of their own
    in it, so that all are told at once.
    """

    def __init__(self, faults: Iterable[Fault], rest: "Config | None" = None) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        self.rest = rest
        super().__init__("\n".join(map(str, self.faults)))

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """The error for faults that another floor found in this configuration, such as a provider in its settings."""
        return cls(faults)

    def joined_by(self, others: Iterable[Fault]) -> Self:
        """The error with the faults that another floor found in the rest; of one key only the first fault is told."""
        told = {fault.key.removesuffix("_file") for fault in self.faults}
        return type(self)([*self.faults, *(fault for fault in others if fault.key not in told)])
