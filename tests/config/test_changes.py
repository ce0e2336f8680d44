"""What differs between two configurations: keys without values, and what a running daemon cannot take over."""

from pathlib import Path

import pytest

from tidewaiter.config import Config, load
from tidewaiter.config.changes import Changes, changes_between

BEFORE = """
[database]
url = "sqlite:///one.db"
[storage]
root = "landed"
[worker]
polls = 8
[callbacks]
listen = "127.0.0.1:8091"
public_url = "https://tide.example"
[http]
listen = "127.0.0.1:8090"
[accounts.shop]
provider = "symplify"
[accounts.shop.settings]
server = "https://eu.example"
customer_id = "5004"
token_file = "token"
[accounts.other]
provider = "oneall"
settings = { nested = { deep = [1, 2] } }
[schedules.daily]
account = "shop"
operation = "statistics"
cron = "0 6 * * *"
params = { export_type = "OPENS" }
"""


@pytest.fixture
def old(tmp_path: Path) -> Config:
    """The configuration that is in use."""
    (tmp_path / "token").write_text("canary-1")
    return read(tmp_path, BEFORE)


def read(folder: Path, text: str, **environ: str) -> Config:
    """That text as a configuration."""
    (folder / "tidewaiter.toml").write_text(text)
    return load(folder / "tidewaiter.toml", environ)


def changed(old: Config, what: str, by: str, **environ: str) -> Changes:
    """The changes that replacing a piece of the text makes."""
    assert what in BEFORE
    return changes_between(old, read(old.path.parent, BEFORE.replace(what, by), **environ))


def test_the_same_values_are_no_change(old: Config) -> None:
    """Spelled out defaults, another order and a value that has moved into the environment change nothing."""
    moved = changed(old, "polls = 8", "downloads = 4", TIDEWAITER__WORKER__POLLS="8")
    assert (moved.changed, moved.kept, moved.origins) == ((), (), ())
    assert moved.config.model_dump() == old.model_dump()


def test_a_secret_file_counts_under_its_key(old: Config) -> None:
    """The key and the file are named, the value is not."""
    (old.path.parent / "token").write_text("canary-2")
    changes = changed(old, "", "")
    assert changes.changed == ("accounts.shop.settings.token",)
    assert changes.origins == (str(old.path.parent / "token"),)
    assert changes.config.accounts["shop"].settings["token"] == "canary-2"
    assert "canary" not in f"{changes.changed}{changes.kept}{changes.origins}"


@pytest.mark.parametrize(
    ("what", "by", "key"),
    [
        ("polls = 8", "polls = 9", "worker.polls"),
        ("polls = 8", "", "worker.polls"),
        ("deep = [1, 2]", "deep = [2, 1]", "accounts.other.settings.nested.deep"),
        ("deep = [1, 2]", "deep = [1, 2], more = 1", "accounts.other.settings.nested.more"),
        ('customer_id = "5004"\n', "", "accounts.shop.settings.customer_id"),
        ("[accounts.shop.settings]", "[accounts.shop.limits]\nrequests = 2\n[accounts.shop.settings]",
         "accounts.shop.limits.requests"),
        ('cron = "0 6 * * *"', 'cron = "0 7 * * *"', "schedules.daily.cron"),
        ("[schedules.daily]", "[schedules.nightly]", "schedules.daily schedules.nightly"),
        ("[accounts.other]", "[accounts.another]", "accounts.another accounts.other"),
        ("https://tide.example", "https://other.example", "callbacks.public_url"),
        ("[callbacks]", "[log]\nlevel = 'debug'\n[callbacks]", "log.level"),
        ("[callbacks]", "[retention]\nfinished_days = 3\n[callbacks]", "retention.finished_days"),
    ],
)  # fmt: skip
def test_what_is_taken_over(old: Config, what: str, by: str, key: str) -> None:
    """The new value counts, and its key is named; a table that came or went is named as a whole."""
    changes = changed(old, what, by)
    assert " ".join(changes.changed) == key
    assert changes.kept == ()
    assert changes.config.model_dump() == read(old.path.parent, BEFORE.replace(what, by)).model_dump()


@pytest.mark.parametrize(
    ("what", "by", "keys"),
    [
        ("one.db", "two.db", "database.url"),
        ('root = "landed"', 'root = "elsewhere"', "storage.root"),
        ('root = "landed"', 'url = "s3://bucket"\n[storage.options]\nregion = "eu"',
         "storage.options.region storage.root storage.url"),
        ("polls = 8", "polls = 8\nlease_s = 99", "worker.lease_s"),
        ("[callbacks]", "[log]\nformat = 'json'\n[callbacks]", "log.format"),
        ("127.0.0.1:8090", "127.0.0.1:9999", "http.listen"),
        ('provider = "symplify"', 'provider = "symplify"\nshards = 2', "accounts.shop.shards"),
    ],
)  # fmt: skip
def test_what_needs_a_restart(old: Config, what: str, by: str, keys: str) -> None:
    """The old value goes on to count, down to which keys of its table were written."""
    changes = changed(old, what, by)
    assert " ".join(changes.kept) == keys
    assert changes.changed == ()
    assert changes.config.model_dump() == old.model_dump()
    assert changes.config.storage.options.given == old.storage.options.given


def test_a_public_address_stays_with_its_listener(old: Config) -> None:
    """Where the listener stays where it is, providers are not told another address than the one that leads there."""
    changes = changed(
        old, 'listen = "127.0.0.1:8091"\npublic_url = "https://tide.example"',
        'listen = "127.0.0.1:8092"\npublic_url = "https://new.example"',
    )  # fmt: skip
    assert changes.kept == ("callbacks.listen", "callbacks.public_url")
    assert changes.config.callbacks == old.callbacks


def test_both_at_once(old: Config) -> None:
    """What needs a restart holds nothing else up; a new account may have as many shards as it likes."""
    by = '[worker]\nlease_s = 99\npolls = 9\n[accounts.new]\nprovider = "symplify"\nshards = 3\n'
    changes = changed(old, "[worker]\npolls = 8\n", by)
    assert (changes.changed, changes.kept) == (("accounts.new", "worker.polls"), ("worker.lease_s",))
    assert (changes.config.worker.polls, changes.config.worker.lease_s) == (9, old.worker.lease_s)
    assert changes.config.accounts["new"].shards == 3
