"""One thing that is wrong with a configuration, said without repeating the value."""

from dataclasses import dataclass

from app.providers.faults import printable


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
