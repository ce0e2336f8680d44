"""Where a value of the configuration was written."""

from dataclasses import dataclass
from enum import StrEnum


class Source(StrEnum):
    """The kind of place where a value was written."""

    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"  # noqa: S105  # a kind of place
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from; ``name`` is a file's path or a variable's name, and what a fault points at."""

    source: Source
    name: str
