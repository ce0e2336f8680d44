"""Where a value of the configuration was written, and what is wrong with it; never the value itself."""

from dataclasses import dataclass
from enum import StrEnum

from tidewaiter.providers.errors import printable


class ValueSource(StrEnum):
    """The kind of place where a value was written."""

    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"  # noqa: S105  # a kind of place
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ValueOrigin:
    """Where a value came from; ``name`` is a file's path or a variable's name, and what a fault points at."""

    source: ValueSource
    name: str


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One thing that is wrong: in which file or variable, under which dotted key (may be empty), and why.

    ``reason`` never holds the value itself, for it may be a secret.
    """

    origin: str
    key: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(printable(part) for part in (self.origin, self.key, self.reason) if part)
