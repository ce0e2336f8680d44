"""The JSON Schema for editors is valid, accepts right configurations and refuses wrong ones."""

import tomllib
from functools import cache
from typing import Any

import pytest

from tests.support.configurations import FULL, uncommented
from tests.support.json_schemas import validator_of
from tidewaiter.config.json_schema import config_schema
from tidewaiter.config.sample import sample
from tidewaiter.config.table_keys import every_table
from tidewaiter.providers.provider_registry import Registry

REGISTRY = Registry.load()
SCHEMA = config_schema([REGISTRY.get(name) for name in REGISTRY.names()])


@cache
def _validator() -> Any:
    return validator_of(SCHEMA)


def faults(text: str) -> list[tuple[str, str]]:
    """What the schema finds in a TOML text: where, and why."""
    return [
        (".".join(map(str, error.absolute_path)), error.message)
        for error in _validator().iter_errors(tomllib.loads(text))
    ]


def test_it_is_a_schema() -> None:
    """The schema itself is one of the dialect that it names."""
    validator_of(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_described() -> None:
    """Every table and key has a description, and every reference leads somewhere."""

    def described(node: Any, path: str) -> list[str]:
        missing = []
        for name, key in node.get("properties", {}).items():
            target = SCHEMA["$defs"][key["$ref"].rpartition("/")[2]] if "$ref" in key else key
            if not (key.get("description") or target.get("description")):
                missing.append(f"{path}.{name}")
        return missing

    nodes = [("", SCHEMA), *SCHEMA["$defs"].items()]
    assert [one for path, node in nodes for one in described(node, path)] == []
    names = {name for table in every_table() for name in table.keys}
    known = {name for _, node in nodes for name in node["properties"]}
    assert names <= known
    assert {f"{name}_file" for name in names - {"settings", "params"}} <= known


@pytest.mark.parametrize(
    "text",
    [
        "",
        FULL,
        sample(),
        '[storage]\nurl = "s3://exports/of/the-shop/"\n[storage.options]\nsecret_access_key_file = "secret"',
        '[database]\nurl_file = "/run/secrets/db"\n[worker]\npolls_file = "polls"',
        '[callbacks]\nlisten = "[::1]:1"\npublic_url = "HTTPS://tide.example.com/"',
        '[providers]\nfolders = "one:two"',
        '[accounts.mine]\nprovider = "my-own"\nsettings = { anything = 1 }',
        '[accounts.mine]\nprovider_file = "name"',
        '[tokens.page]\nrole = "admin"\ntoken_file = "t"',
    ],
)
def test_what_is_right(text: str) -> None:
    """Configurations that load are not found fault with."""
    assert faults(text) == []


@pytest.mark.parametrize("name", REGISTRY.names())
def test_every_key_of_the_sample(name: str) -> None:
    """The sample with everything switched on is right, but for what two of its lines say of one another."""
    found = faults(uncommented(sample([REGISTRY.get(name)])))
    assert [one for one in found if one[0] != "schedules.example.cron"] == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[wroker]", ""),
        ("[worker]\nlease = 3", "worker"),
        ("[worker]\nlease_s = 0", "worker.lease_s"),
        ('[worker]\npolls = "many"', "worker.polls"),
        ("[worker]\npolls = 1.5", "worker.polls"),
        ('[log]\nformat = "xml"', "log.format"),
        ('[database]\nurl = "mysql://x"', "database.url"),
        ('[database]\nurl = "sqlite:///x"\nurl_file = "y"', "database"),
        ("[database]\nurl_file = 3", "database.url_file"),
        ('[storage]\nurl = "ftp://x"', "storage.url"),
        ('[callbacks]\nlisten = "8091"', "callbacks.listen"),
        ('[callbacks]\npublic_url = "ftp://x"', "callbacks.public_url"),
        ("[accounts.two]\nshards = 2", "accounts.two"),
        ('[accounts.two]\nprovider = "p"\nshards = 65', "accounts.two.shards"),
        ('[accounts.Two]\nprovider = "p"', "accounts"),
        ('[schedules.s]\naccount = "a"\noperation = "b"', "schedules.s"),
    ],
)
def test_what_is_wrong(text: str, where: str) -> None:
    """Unknown keys, wrong kinds, values out of bounds and missing ones are found, each where it is."""
    assert where in [place for place, _ in faults(text)]


def test_settings_are_those_of_the_provider() -> None:
    """An account is held to its provider's own settings: missing, unknown and of a wrong kind."""
    name = next(name for name in REGISTRY.names() if any(one.type == "url" for one in account_of(name).values()))
    url = next(key for key, one in account_of(name).items() if one.type == "url" and one.default is None)
    head = f'[accounts.a]\nprovider = "{name}"\n[accounts.a.settings]\n'
    assert ("accounts.a.settings", f"'{url}' is a required property") in faults(head)
    assert ("accounts.a.settings", "nonsense") in [
        (place, "nonsense") for place, why in faults(f"{head}nonsense = 1") if "'nonsense' was unexpected" in why
    ]
    assert f"accounts.a.settings.{url}" in [place for place, _ in faults(f'{head}{url} = "nowhere"')]


def account_of(name: str) -> Any:
    """The settings of a provider."""
    return REGISTRY.get(name).spec.account


def test_without_providers() -> None:
    """Where no provider is known the schema takes any account."""
    validator = validator_of(config_schema())
    assert validator.is_valid(tomllib.loads('[accounts.a]\nprovider = "p"\nsettings = { x = 1 }'))


def test_editors_find_it() -> None:
    """The first line of the sample names the file that the sample itself says to make."""
    first, text = sample().split("\n", 1)
    assert first == "#:schema ./tidewaiter.schema.json"
    assert "tidewaiter config schema > tidewaiter.schema.json" in text
