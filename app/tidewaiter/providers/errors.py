"""Faults of a spec, of an account's settings or of a job's parameters, as an operator reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


def printable(text: str) -> str:
    """A text from a file, for a terminal or a log: invisible characters are shown as escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


@dataclass(frozen=True, slots=True, order=True)
class SpecFault:
    """One fault: the file (may be empty), the key, and the reason."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(printable(part) for part in (self.file, self.key, self.reason) if part)


class _FaultsError(Exception):
    def __init__(self, faults: Iterable[SpecFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


class SpecError(_FaultsError):
    """Spec files cannot be used; ``faults`` holds every fault of every file."""


class SettingsError(_FaultsError):
    """An account's settings are not valid for its provider; the faults' ``file`` is the account's name."""


class ParameterError(_FaultsError):
    """A job's parameters are not valid for its operation; ``faults`` holds every fault."""


class UnknownProviderError(LookupError):
    """There is no provider of that name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        names = tuple(known)
        suggestion = "".join(f"did you mean {close}? " for close in get_close_matches(name, names, n=1))
        super().__init__(f"there is no provider {name!r}; {suggestion}there are {', '.join(names) or 'none'}")


class UnsendableError(Exception):
    """A request cannot be built for this job, because its spec needs something that the job does not have."""
