"""The registry: the catalogue, the operator's folders, and conflicts between them."""

from pathlib import Path

import pytest

from tests.support.own_calls import own_calls
from tests.support.spec_samples import WHOLE
from tidewaiter.emulators.catalogue import CATALOGUE
from tidewaiter.providers.errors import SpecError, UnknownProviderError
from tidewaiter.providers.provider_registry import Registry


def test_the_catalogue_is_there() -> None:
    """Built-in providers come without any folder, with their source and the address of their documentation."""
    registry = Registry.load()
    assert {"fhir-bulk", "symplify"} <= set(registry.names())
    for name in registry.names():
        provider = registry.get(name)
        assert provider.name == name
        assert provider.file == f"catalog/{name}.toml"
        assert registry.source(name).startswith("# ")
        assert all(address.startswith("https://") for address in provider.spec.documentation)
        assert provider.spec.documentation


def test_the_catalogue_says_how_it_was_verified() -> None:
    """Each spec says it, and says "emulator" only if there is one."""
    registry = Registry.load()
    for name in registry.names():
        verified = registry.get(name).spec.verified
        assert verified is not None, f"catalog/{name}.toml needs verified"
        assert (verified == "emulator") <= (name in CATALOGUE)


def test_operators_add_their_own(tmp_path: Path) -> None:
    """Every TOML file of a folder is a provider; other files are not looked at."""
    (tmp_path / "demo.toml").write_text(WHOLE)
    (tmp_path / "notes.txt").write_text("not a spec")
    registry = Registry.load([tmp_path])
    assert set(registry.names()) == {"demo", *Registry.load().names()}
    assert registry.get("demo").title == "Demo"
    assert registry.get("demo").operations == ("report",)
    assert registry.source("demo") == WHOLE


def test_a_spec_of_the_catalogue_is_read_when_it_is_asked_for() -> None:
    """A daemon with one provider reads one spec of the catalogue, once."""
    with own_calls() as counted:
        registry = Registry.load_usable()
        assert "marketo" in registry.names()
        assert counted["BuiltIn.read"] == 0
        assert registry.get("marketo") is registry.get("marketo")
    assert counted["BuiltIn.read"] == 1


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    """The message helps to find a typing error."""
    with pytest.raises(UnknownProviderError) as raised:
        Registry.load().get("simplify")
    names = ", ".join(Registry.load().names())
    assert str(raised.value) == f"there is no provider 'simplify'; did you mean symplify? there are {names}"


def test_every_fault_of_every_file_comes_at_once(tmp_path: Path) -> None:
    """Broken files, taken names and missing folders, in one error."""
    (tmp_path / "a.toml").write_text("name = 5")
    (tmp_path / "b.toml").write_text(WHOLE)
    (tmp_path / "c.toml").write_text(WHOLE)
    (tmp_path / "d.toml").write_text(WHOLE.replace('"demo"', '"symplify"'))
    (tmp_path / "e.toml").write_bytes(b"\xff")
    with pytest.raises(SpecError) as raised:
        Registry.load([tmp_path, tmp_path / "none"])
    lines = str(raised.value).splitlines()
    assert f"{tmp_path}/a.toml: name: must be text" in lines
    assert f"{tmp_path}/a.toml: title: is missing" in lines
    assert f"{tmp_path}/c.toml: name: 'demo' is the name of the provider in {tmp_path}/b.toml already" in lines
    assert f"{tmp_path}/d.toml: name: 'symplify' is the name of the provider in catalog/symplify.toml already" in lines
    assert f"{tmp_path}/none: is not a folder" in lines
    assert any(line.startswith(f"{tmp_path}/e.toml: is not UTF-8 text: ") for line in lines)
    assert len(raised.value.faults) == len(lines)


def test_a_faulty_file_breaks_its_own_provider_only(tmp_path: Path) -> None:
    """It is known by the name in its text, else by that of the file; of two with one name none is used."""
    (tmp_path / "a.toml").write_text("name = 'one'\n[")
    (tmp_path / "two.toml").write_bytes(b"\xff")
    (tmp_path / "b.toml").write_text(WHOLE)
    (tmp_path / "c.toml").write_text(WHOLE)
    (tmp_path / "d.toml").write_text(WHOLE.replace('"demo"', '"symplify"'))
    (tmp_path / "e.toml").write_text(WHOLE.replace('"demo"', '"sound"'))
    registry = Registry.load_usable([tmp_path])
    assert list(registry.broken) == ["demo", "one", "symplify", "two"]
    assert "sound" in registry.names()
    for name in registry.broken:
        assert name not in registry.names()
        with pytest.raises(SpecError):
            registry.get(name)
    with pytest.raises(SpecError, match="is not a folder"):
        Registry.load_usable([tmp_path / "none"])
