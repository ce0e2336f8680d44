"""The registry of providers: the built-in catalogue, the operator's own spec folders, and providers in Python.

A package offers a provider in Python by an entry point of the group ``tidewaiter.providers``: a function without
arguments that returns a :class:`Provider`.

A spec of the catalogue is read when it is first asked for: most daemons use one or two of them. ``catalog/NAME.toml``
is the provider of that name, and the tests check every file.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from tidewaiter.providers.errors import SpecError, SpecFault, UnknownProviderError
from tidewaiter.providers.provider import Provider
from tidewaiter.toml_file import TomlError, read_text

ENTRY_POINTS = "tidewaiter.providers"
_CATALOG = "catalog"


class BuiltIn(NamedTuple):
    """A provider of the catalogue whose spec has not been read yet."""

    name: str
    text: Traversable

    @property
    def file(self) -> str:
        """What messages call its file."""
        return f"{_CATALOG}/{self.text.name}"

    def read(self) -> Provider:
        """The provider; raises ``SpecError``."""
        return _read(self.text.read_text("utf-8"), self.file)


class Registry:
    """Every provider, by name.

    Args:
        providers: those that can be used.
        broken: the faults of the operator's own specs that cannot be used, by the names of their providers.
    """

    def __init__(
        self, providers: Mapping[str, Provider | BuiltIn], broken: Mapping[str, Sequence[SpecFault]] | None = None
    ) -> None:
        self._providers = dict(sorted(providers.items(), key=lambda one: one[0]))
        self.broken = dict(sorted((broken or {}).items()))

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> "Registry":
        """The built-in providers, those of every ``*.toml`` file in the folders, and those of installed packages.

        Raises:
            SpecError: a file is no spec, a folder cannot be read, a package's provider cannot be loaded, or a name is
                taken; it lists every fault of all files.
        """
        found = cls.load_usable(folders)
        if found.broken:
            raise SpecError(fault for faults in found.broken.values() for fault in faults)
        return found

    @classmethod
    def load_usable(cls, folders: Sequence[Path] = ()) -> "Registry":
        """The same without the files in the folders that are no specs, or whose name is taken; see ``broken``.

        Raises:
            SpecError: a folder cannot be read, or a provider of a package cannot be loaded.
        """
        faults: list[SpecFault] = []
        broken: dict[str, list[SpecFault]] = {}
        providers: dict[str, Provider | BuiltIn] = {one.name: one for one in _built_in()}
        for found in (*_of_files(folders, faults, broken), *_of_packages(faults)):
            if (taken := providers.get(found.name)) is not None:
                reason = f"{found.name!r} is the name of the provider in {taken.file} already"
                broken.setdefault(found.name, []).append(SpecFault(found.file, "name", reason))
            else:
                providers[found.name] = found
        if faults:
            raise SpecError([*faults, *(fault for ones in broken.values() for fault in ones)])
        # With two providers of one name it is not known which of them an account means.
        return cls({name: one for name, one in providers.items() if name not in broken}, broken)

    def names(self) -> tuple[str, ...]:
        """The names of all providers, sorted."""
        return tuple(self._providers)

    def get(self, name: str) -> Provider:
        """The provider of that name.

        Raises:
            SpecError: its spec has faults.
            UnknownProviderError: there is no such provider; it names the known ones.
        """
        if name in self.broken:
            raise SpecError(self.broken[name])
        if name not in self._providers:
            raise UnknownProviderError(name, self._providers)
        one = self._providers[name]
        if isinstance(one, BuiltIn):
            one = self._providers[name] = one.read()
        return one

    def source(self, name: str) -> str:
        """The text of a provider's spec.

        Raises:
            UnknownProviderError: there is no provider of that name.
        """
        return self.get(name).source


_NAME = re.compile(r'^name[ \t]*=[ \t]*["\']([a-z][a-z0-9-]*)["\']', re.MULTILINE)


def _of_files(
    folders: Sequence[Path], faults: list[SpecFault], broken: dict[str, list[SpecFault]]
) -> Iterator[Provider]:
    """The providers of operators' files; the faults of each are collected by the name of its provider."""
    for path in _operators(folders, faults):
        name = path.stem  # until the text says another one
        try:
            text = read_text(path)
            name = named[1] if (named := _NAME.search(text)) else name
            yield _read(text, str(path))
        except SpecError as error:
            broken.setdefault(name, []).extend(error.faults)
        except TomlError as error:
            broken.setdefault(name, []).append(SpecFault(str(path), error.place, error.reason))


@lru_cache(maxsize=64)
def _read(text: str, file: str) -> Provider:
    """The provider of a text, cached: a reload checks only specs that have changed."""
    return Provider.read(text, file)


@lru_cache(maxsize=1)
def _entry_points(_places: tuple[tuple[str, int], ...]) -> tuple[metadata.EntryPoint, ...]:
    """The providers of installed packages, cached: every package is read for them."""
    return tuple(sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda one: one.name))


def _changed_at(folder: str) -> int:
    """When a folder of the import path was changed: an installation changes it."""
    path = Path(folder or ".")
    return path.stat().st_mtime_ns if path.exists() else 0


def _of_packages(faults: list[SpecFault]) -> Iterator[Provider]:
    """Any exception of a package's code becomes a fault of that package; the daemon then does not start."""
    for entry in _entry_points(tuple((folder, _changed_at(folder)) for folder in sys.path)):
        place = f"entry point {entry.name} ({entry.value})"
        try:
            found = entry.load()()
        except SpecError as error:
            faults += error.faults
        except Exception as error:  # noqa: BLE001  # code of another package
            faults.append(SpecFault(place, "", f"cannot be loaded: {type(error).__name__}: {error}"))
        else:
            if isinstance(found, Provider):
                yield found
            else:
                faults.append(SpecFault(place, "", f"returns {type(found).__name__}"))


def _built_in() -> Iterator[BuiltIn]:
    catalog = resources.files("tidewaiter.providers") / _CATALOG
    for entry in catalog.iterdir():
        if entry.name.endswith(".toml"):
            yield BuiltIn(entry.name.removesuffix(".toml"), entry)


def _operators(folders: Sequence[Path], faults: list[SpecFault]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            faults.append(SpecFault(str(folder), "", "is not a folder"))
        yield from sorted(folder.glob("*.toml"))
