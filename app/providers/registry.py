"""The registry of providers: the built-in catalogue and the operator's own spec folders."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from app.providers.faults import Fault, SpecError, UnknownProviderError
from app.providers.lint import read_spec
from app.providers.provider import Provider

_CATALOG = "catalog"


class Registry:
    """Every provider there is, by name."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = dict(sorted(providers.items()))

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> "Registry":
        """The built-in providers, and those of every ``*.toml`` file in the folders.

        Raises:
            SpecError: a file is no spec, a folder cannot be read, or a name is taken; it lists every fault of
                all files.
        """
        faults: list[Fault] = []
        providers: dict[str, Provider] = {}
        for file, text in (*_built_in(), *_operators(folders, faults)):
            spec, found = read_spec(file, text)
            faults += found
            if spec is None:
                continue
            if (taken := providers.get(spec.name)) is not None:
                faults.append(Fault(file, "name", f"{spec.name!r} is the name of the provider in {taken.file} already"))
            else:
                providers[spec.name] = Provider(spec, text, file)
        if faults:
            raise SpecError(faults)
        return cls(providers)

    def names(self) -> tuple[str, ...]:
        """The names of all providers, sorted."""
        return tuple(self._providers)

    def get(self, name: str) -> Provider:
        """The provider of that name.

        Raises:
            UnknownProviderError: there is none; it names those that there are.
        """
        if name not in self._providers:
            raise UnknownProviderError(name, self._providers)
        return self._providers[name]

    def source(self, name: str) -> str:
        """The text of a provider's spec.

        Raises:
            UnknownProviderError: there is none of that name.
        """
        return self.get(name).source


def _built_in() -> Iterator[tuple[str, str]]:
    catalog = resources.files("app.providers") / _CATALOG
    for entry in sorted(catalog.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".toml"):
            yield f"{_CATALOG}/{entry.name}", entry.read_text("utf-8")


def _operators(folders: Sequence[Path], faults: list[Fault]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        if not folder.is_dir():
            faults.append(Fault(str(folder), "", "is not a folder"))
        for path in sorted(folder.glob("*.toml")):
            try:
                yield str(path), path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                faults.append(Fault(str(path), "", f"cannot be read: {error}"))
