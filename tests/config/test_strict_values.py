"""Booleans and numbers: without quotes in a file, as documented words in a variable or a secret file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tests.support.configurations import faults_of, write
from tidewaiter.config import load
from tidewaiter.config.config_tables import Config
from tidewaiter.config.reference import reference
from tidewaiter.config.table_keys import every_table
from tidewaiter.toml_table import TRUTH_WORDS

ACCOUNT = """
[accounts.shop]
provider = "symplify"
"""


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("accounts.shop.clean", '"no"', 'must be true or false: "no" is a text; write false, without quotes'),
        ("accounts.shop.clean", '"TRUE"', 'must be true or false: "TRUE" is a text; write true, without quotes'),
        ("accounts.shop.clean", '"canary"', "must be true or false, without quotes"),
        ("accounts.shop.clean", "1", "must be true or false"),
        ("accounts.shop.clean", "0.0", "must be true or false"),
        ("accounts.shop.allow_private", '"yes"', 'must be true or false: "yes" is a text; write true, without quotes'),
        ("accounts.shop.shards", '"2"', 'must be a whole number: "2" is a text; write 2, without quotes'),
        ("accounts.shop.shards", "2.0", "must be a whole number, without a point"),
        ("accounts.shop.shards", "true", "must be a number"),
        ("accounts.shop.limits.period_s", '"2.5"', 'must be a number: "2.5" is a text; write 2.5, without quotes'),
        ("accounts.shop.limits.requests", '"canary"', "must be a whole number, without quotes"),
        (
            "accounts.shop.schedule.learn",
            '"off"',
            'must be true or false: "off" is a text; write false, without quotes',
        ),
        ("worker.lease_s", '"5"', 'must be a number: "5" is a text; write 5, without quotes'),
        ("worker.polls", '"5"', 'must be a whole number: "5" is a text; write 5, without quotes'),
        ("storage.options.allow_http", '"on"', 'must be true or false: "on" is a text; write true, without quotes'),
    ],
)
def test_a_text_in_a_file_is_refused(tmp_path: Path, key: str, value: str, reason: str) -> None:
    """The fault names the key, the value if it is sure to be no secret, and what to write."""
    table, _, name = key.rpartition(".")
    head = ACCOUNT if table == "accounts.shop" else f"{ACCOUNT}[{table}]\n"
    found = faults_of(write(tmp_path, f"{head}{name} = {value}\n"))
    assert [(fault.key, fault.reason) for fault in found.values()] == [(key, reason)]
    assert "canary" not in str(found[key])


@pytest.mark.parametrize("word", [*TRUTH_WORDS, "True", "OFF", " yes "])
def test_a_variable_says_it_in_words(tmp_path: Path, word: str) -> None:
    """Every documented word is permitted, in any case, and no other; a number is written as it is."""
    path = write(tmp_path, ACCOUNT)
    variables = {
        "TIDEWAITER__ACCOUNTS__SHOP__CLEAN": word,
        "TIDEWAITER__ACCOUNTS__SHOP__ALLOW_PRIVATE": word,
        "TIDEWAITER__ACCOUNTS__SHOP__SHARDS": "3",
        "TIDEWAITER__WORKER__LEASE_S": "7.5",
    }
    config = load(path, variables)
    meant = TRUTH_WORDS[word.strip().lower()]
    assert (config.accounts["shop"].clean, config.accounts["shop"].allow_private) == (meant, meant)
    assert (config.accounts["shop"].shards, config.worker.lease_s) == (3, 7.5)
    (fault,) = faults_of(path, TIDEWAITER__ACCOUNTS__SHOP__CLEAN="maybe").values()
    assert fault.reason == "must be one of true, yes, on, 1, false, no, off, 0"
    assert all(f"`{one}`" in reference() for one in TRUTH_WORDS)


def test_a_secret_file_says_it_in_words(tmp_path: Path) -> None:
    """A file that a key names has texts only, too."""
    (tmp_path / "clean").write_text("no\n")
    (tmp_path / "lease").write_text("4\n")
    text = f'[worker]\nlease_s_file = "lease"\n{ACCOUNT}clean_file = "clean"\n'
    config = load(write(tmp_path, text), {})
    assert (config.accounts["shop"].clean, config.worker.lease_s) == (False, 4.0)


def _plain(annotation: Any) -> Iterator[Any]:
    arguments = get_args(annotation)
    if annotation in (bool, int, float):
        yield annotation
    for one in arguments:
        yield from _plain(one)


def test_every_number_and_boolean_is_strict() -> None:
    """No key has a plain type, which would accept texts: pydantic reads "no" as false and "5" as 5."""
    keys = [(table.title, name, key) for table in every_table() for name, key in table.keys.items()]
    assert len(keys) > 80
    assert issubclass(Config, BaseModel)
    loose = [
        f"{title} {name}"
        for title, name, key in keys
        if list(_plain(key.annotation)) and not any("BeforeValidator" in repr(one) for one in _notes(key))
    ]
    assert loose == []


def _notes(key: Any) -> list[Any]:
    """What is said about the type, at the key itself or inside ``| None``."""
    return [
        *key.metadata,
        *get_args(key.annotation),
        *(one for part in get_args(key.annotation) for one in get_args(part)),
    ]
