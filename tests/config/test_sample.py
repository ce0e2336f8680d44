"""The sample configuration has every key, loads as it is, and works once it is filled in."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.configurations import uncommented
from tidewaiter.bootstrap import faults_of
from tidewaiter.config import Config, ConfigError, load
from tidewaiter.config.sample import sample
from tidewaiter.config.table_keys import NAME, every_table
from tidewaiter.providers.provider_registry import Registry

ROOT = Path(__file__).parents[2]
REGISTRY = Registry.load()


def loaded(folder: Path, text: str) -> Config:
    """The configuration that a text makes."""
    path = folder / "tidewaiter.toml"
    path.write_text(text)
    return load(path, {})


def test_the_sample_as_it_is_listens_on_loopback(tmp_path: Path) -> None:
    """It loads, with the page and the API on loopback; everything else in it is what holds without it."""
    expected = loaded(tmp_path, '[http]\nlisten = "127.0.0.1:8090"').model_dump()
    assert loaded(tmp_path, sample()).model_dump() == expected


def test_every_key_is_named() -> None:
    """No table and no key of the models is missing, and each has its description beside it or above it."""
    text = sample()
    for table in every_table():
        header = ".".join("example" if name == NAME else name for name in table.path)
        assert re.search(rf"(?m)^#?\[{re.escape(header)}\]$", text), header
        block = text.split(f"[{header}]\n", 1)[1].split("\n\n", 1)[0]
        flat = " ".join(block.replace("\n# ", " ").split())
        for name, key in table.keys.items():
            assert re.search(rf"(?m)^#?{name}(_file)? = ", block), (header, name)
            assert key.description, (header, name)
            assert " ".join(key.description.split()) in flat, (header, name)


def test_all_of_it_switched_on_is_toml() -> None:
    """Defaults and examples are written as TOML has them."""
    document = tomllib.loads(uncommented(sample([REGISTRY.get(name) for name in REGISTRY.names()])))
    assert document["worker"]["lease_s"] == 15.0
    assert set(document["accounts"]) == set(REGISTRY.names())


def test_defaults_and_examples_are_permitted(tmp_path: Path) -> None:
    """Every key that is switched on by itself is a value that its table takes."""
    lines = sample().splitlines()
    table = ""
    refused = []
    for line in lines:
        if header := re.fullmatch(r"#?(\[.*\])", line):
            table = header[1]
        if (shown := re.match(r"#(\w+) = ", line)) is None or "example" in table or "_file = " in line:
            continue
        try:
            loaded(tmp_path, f"{table}\n{line.removeprefix('#')}")
        except ConfigError as error:
            refused.append((table, shown[1], str(error)))
    # These belong to another key beside them, and say so.
    partial = ("[storage.options]", "[callbacks]", "[network]")
    assert [(table, name) for table, name, _ in refused if table not in partial] == []
    assert all("url" in reason or "listen" in reason or "in proxy" in reason for *_, reason in refused)


@pytest.mark.parametrize("name", REGISTRY.names())
def test_an_account_that_is_filled_in_passes(name: str, tmp_path: Path) -> None:
    """Secrets are put where the sample says, and nothing else is done: all that is required is there."""
    provider = REGISTRY.get(name)
    text = sample([provider]).replace("/run/secrets/", f"{tmp_path}/")
    for key, setting in provider.spec.account.items():
        if setting.secret:
            (tmp_path / f"{name}-{key.replace('_', '-')}").write_text(str(setting.example or "made-up-secret"))
    # A token that the provider replaces must be kept, so it needs a key; the fault says how to make one.
    faults = [one for one in faults_of(loaded(tmp_path, text)) if "key_file" not in one.reason]
    assert faults == []


def test_the_shipped_example_is_the_sample() -> None:
    """``config/tidewaiter.example.toml`` is what ``config init`` writes; ``make docs-config`` brings it up to date."""
    shipped = (ROOT / "config" / "tidewaiter.example.toml").read_text()
    providers = [account["provider"] for account in tomllib.loads(shipped)["accounts"].values()]
    assert shipped == sample([REGISTRY.get(name) for name in providers])
