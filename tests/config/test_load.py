"""Loading: the file, the environment and secret files together, and the message for each fault."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.configurations import FULL, faults_of, write
from tidewaiter.config import Config, ConfigError, ValueOrigin, ValueSource, load


def test_every_table_is_read(tmp_path: Path) -> None:
    """A full file gives every value, with paths made absolute from the file's folder."""
    (tmp_path / "token").write_text("  abc-123\n")
    config = load(write(tmp_path, FULL), {})
    assert config.storage.root == tmp_path / "landed"
    assert config.worker.lease_s == 5
    assert config.worker.polls == 8
    assert config.worker.downloads == 4
    assert config.providers.folders == (tmp_path / "specs", Path("/etc/tidewaiter/specs"))
    shop = config.accounts["shop"]
    assert (shop.provider, shop.allow_private, shop.clean, shop.shards) == ("symplify", True, False, 2)
    assert shop.settings == {"server": "https://eu.example", "customer_id": "5004", "token": "abc-123"}
    assert shop.limits.requests == 1
    assert shop.limits.concurrency is None
    assert shop.schedule.model_dump(exclude_none=True) == {"interval_s": 2.5, "cap_s": 60}


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """Nothing has to be written down: database and exports stand beside the file."""
    config = load(write(tmp_path, ""), {})
    assert config.database.url == f"sqlite:///{tmp_path}/tidewaiter.db"
    assert config.storage.root == tmp_path / "exports"
    assert config.accounts == {}


def test_the_shipped_example_loads(tmp_path: Path) -> None:
    """The example configuration is valid once its secret file is there."""
    example = Path(__file__).parents[2] / "config" / "tidewaiter.example.toml"
    text = example.read_text().replace("/run/secrets/", f"{tmp_path}/")
    (tmp_path / "symplify-token").write_text("t")
    assert load(write(tmp_path, text), {}).accounts


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sqlite:///var/jobs.db", "sqlite:///{folder}/var/jobs.db"),
        ("sqlite:////var/jobs.db", "sqlite:////var/jobs.db"),
        ("sqlite:///jobs.db?timeout=5", "sqlite:///{folder}/jobs.db"),
        ("postgresql:///jobs", "postgresql:///jobs"),
        ("postgresql+psycopg://db/jobs", "postgresql+psycopg://db/jobs"),
    ],
)
def test_database_urls(tmp_path: Path, written: str, read: str) -> None:
    """An SQLite file is found from the configuration's folder, not from where the daemon was started."""
    config = load(write(tmp_path, f'[database]\nurl = "{written}"'), {})
    assert config.database.url == read.format(folder=tmp_path)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://db/jobs", "jobs.db", "postgresql://u:a@b:c@d:e/f"]
)
def test_databases_that_cannot_serve(tmp_path: Path, url: str) -> None:
    """A database in memory or of another kind is refused before anything is started."""
    fault = faults_of(write(tmp_path, f'[database]\nurl = "{url}"'))["database.url"]
    assert fault.reason.startswith("must be a URL such as")
    assert "b:c" not in fault.reason


def test_the_environment_overrides(tmp_path: Path) -> None:
    """Variables win over the file, in any case, and can add what the file lacks, whole accounts included."""
    (tmp_path / "token").write_text("abc")
    config = load(
        write(tmp_path, FULL),
        {
            "TIDEWAITER__WORKER__LEASE_S": "7.5",
            "tidewaiter__log__level": "warning",
            "TIDEWAITER__ACCOUNTS__SHOP__ALLOW_PRIVATE": "false",
            "TIDEWAITER__ACCOUNTS__SHOP__SETTINGS__CUSTOMER_ID": "6",
            "TIDEWAITER__ACCOUNTS__OTHER__PROVIDER": "oneall",
            "TIDEWAITER__PROVIDERS__FOLDERS": "one:two",
            "TIDEWAITER_CONFIG": "not an override",
            "UNRELATED": "x",
        },
    )
    assert config.worker.lease_s == 7.5
    assert config.log.level == "warning"
    assert not config.accounts["shop"].allow_private
    assert config.accounts["shop"].settings["customer_id"] == "6"
    assert config.accounts["other"].provider == "oneall"
    assert config.providers.folders == (tmp_path / "one", tmp_path / "two")


def test_a_variable_finds_names_that_it_cannot_spell(tmp_path: Path) -> None:
    """An account with a hyphen and a setting in capitals are reached: variables have neither hyphens nor case."""
    path = write(tmp_path, '[accounts.my-shop]\nprovider = "p"\nsettings = { apiKey = "k" }')
    config = load(path, {"TIDEWAITER__ACCOUNTS__MY_SHOP__SETTINGS__APIKEY": "other"})
    assert config.accounts["my-shop"].settings == {"apiKey": "other"}


def test_where_a_value_was_written_is_remembered(tmp_path: Path) -> None:
    """Each value knows the place to point at when another floor finds fault with it."""
    (tmp_path / "token").write_text("abc")
    path = write(tmp_path, FULL)
    config = load(path, {"TIDEWAITER__ACCOUNTS__SHOP__SETTINGS__SERVER": "https://x"})
    settings = ("accounts", "shop", "settings")
    assert config.origin_of(*settings, "customer_id") == ValueOrigin(ValueSource.FILE, str(path))
    assert config.origin_of(*settings, "token") == ValueOrigin(ValueSource.SECRET_FILE, str(tmp_path / "token"))
    assert config.origin_of("worker", "downloads").source is ValueSource.DEFAULT
    message = str(config.fault_at(*settings, "server", reason="is no URL"))
    assert message == "TIDEWAITER__ACCOUNTS__SHOP__SETTINGS__SERVER: accounts.shop.settings.server: is no URL"
    assert str(config.fault_at(*settings, "realm", reason="is missing")).startswith(f"{path}: accounts.shop.settings")


def test_a_secret_file_serves_any_key(tmp_path: Path) -> None:
    """The database's URL and a number come out of files as well, stripped and parsed like a variable."""
    (tmp_path / "url").write_text("postgresql://u:hunter22@h/d\n")
    (tmp_path / "polls").write_text("3\n")
    config = load(write(tmp_path, '[database]\nurl_file = "url"\n[worker]\npolls_file = "polls"'), {})
    assert config.database.url == "postgresql://u:hunter22@h/d"
    assert config.worker.polls == 3
    assert "hunter22" in config.secrets


def test_the_environment_overrides_a_secret_file_unread(tmp_path: Path) -> None:
    """A secret file that another value replaces need not exist; a variable may name another file as well."""
    path = write(tmp_path, FULL)
    token = "TIDEWAITER__ACCOUNTS__SHOP__SETTINGS__TOKEN"
    assert load(path, {token: "direct"}).accounts["shop"].settings["token"] == "direct"
    (tmp_path / "elsewhere").write_text("from a file")
    assert load(path, {f"{token}_FILE": "elsewhere"}).accounts["shop"].settings["token"] == "from a file"


def test_faults_of_secret_files(tmp_path: Path) -> None:
    """A file that is missing, empty, too large, not text or given beside its key is told with key and path."""
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    settings = (
        'a_file = "gone"\nb_file = "empty"\nc_file = "large"\nd_file = "binary"\ne = "1"\ne_file = "x"\nf_file = 1'
    )
    path = write(tmp_path, f'[accounts.shop]\nprovider = "p"\n[accounts.shop.settings]\n{settings}')
    reasons = {key.rsplit(".", 1)[-1]: fault.reason for key, fault in faults_of(path).items()}
    assert reasons == {
        "a_file": f"{tmp_path}/gone cannot be read: No such file or directory",
        "b_file": f"{tmp_path}/empty is empty",
        "c_file": f"{tmp_path}/large is larger than 64 KiB",
        "d_file": f"{tmp_path}/binary is not UTF-8 text",
        "e_file": "is given together with e; give one of them",
        "f_file": "must be the path of a file",
    }


def test_every_fault_at_once(tmp_path: Path) -> None:
    """One run tells all that is wrong, each with its file or variable and its key."""
    text = """
    [worker]
    lease_s = 0
    polls = "many"
    downloads = true
    drain = 3
    [storage]
    root = 5
    [log]
    format = "xml"
    [wroker]
    polls = 3
    [accounts.Shop]
    provider = "p"
    [accounts.two]
    shards = 65
    clean = "perhaps"
    settings = { since = 2026-01-01, ratio = inf }
    schedule = { interval_s = 10, cap_s = 1 }
    limits = 7
    """
    path = write(tmp_path, text)
    variable = "TIDEWAITER__ACCOUNTS__TWO__SHARD"
    faults = faults_of(path, **{variable: "3", "TIDEWAITER__": "x", "TIDEWAITER__LOG__LEVEL__X": "x"})
    reasons = {key: fault.reason for key, fault in faults.items()}
    account = reasons.pop("accounts.Shop")
    assert account.startswith("an account's name is made of lower-case letters")
    assert reasons == {
        "": "names no key; the form is TIDEWAITER__TABLE__KEY",
        "worker.lease_s": "must be 1 or more",
        "worker.polls": "must be a whole number, without quotes",
        "worker.downloads": "must be a number",
        "worker.drain": "is no known key; did you mean drain_s?",
        "storage.root": "must be a path in quotes",
        "log.format": "must be 'auto', 'json' or 'console'",
        "log.level": "must be 'debug', 'info', 'warning' or 'error'",
        "wroker": "is no known key; did you mean worker?",
        "accounts.two.provider": "is required",
        "accounts.two.shard": "is no known key; did you mean shards?",
        "accounts.two.shards": "must be 64 or less",
        "accounts.two.clean": "must be true or false, without quotes",
        "accounts.two.limits": "must be a table",
        "accounts.two.schedule": "cap_s must not be below interval_s",
        "accounts.two.settings.since": "must be text, a number, true or false, an array or a table; dates go in quotes",
        "accounts.two.settings.ratio": "must be a finite number",
    }
    assert faults["accounts.two.shard"].origin == variable
    assert faults["accounts.two.provider"].origin == str(path)


def test_a_variable_below_a_value(tmp_path: Path) -> None:
    """A variable that takes a value for a table is told as such."""
    path = write(tmp_path, '[log]\nlevel = "info"')
    faults = faults_of(path, TIDEWAITER__LOG__LEVEL__DEEP="x")
    assert faults["log.level.deep"].reason == "is written below a value, not in a table"


@pytest.mark.parametrize(
    ("listen", "public_url", "read"),
    [
        ("127.0.0.1:8091", "https://tide.example.com", "https://tide.example.com"),
        ("[::1]:1", "http://[::1]:8091/behind/a/proxy/", "http://[::1]:8091/behind/a/proxy"),
        ("tide.internal:65535", "HTTPS://tide.example.com/", "HTTPS://tide.example.com"),
    ],
)
def test_callbacks(tmp_path: Path, listen: str, public_url: str, read: str) -> None:
    """Where to listen, and how providers get there; the slash at the end is not theirs to write."""
    config = load(write(tmp_path, f'[callbacks]\nlisten = "{listen}"\npublic_url = "{public_url}"'), {})
    assert (config.callbacks.listen, config.callbacks.public_url) == (listen, read)


def test_no_callbacks(tmp_path: Path) -> None:
    """Without the table nothing listens."""
    config = load(write(tmp_path, "[callbacks]\n"), {})
    assert (config.callbacks.listen, config.callbacks.public_url) == (None, None)


@pytest.mark.parametrize(
    "listen", ["8091", ":8091", "127.0.0.1", "127.0.0.1:", "::1:80", "h:70000", "h:-1", "http://h:1"]
)
def test_addresses_that_cannot_be_listened_on(tmp_path: Path, listen: str) -> None:
    """One fault, with the form that is wanted; what depends on it is not told as well."""
    faults = faults_of(write(tmp_path, f'[callbacks]\nlisten = "{listen}"\npublic_url = "https://x"'))
    assert {key: fault.reason for key, fault in faults.items()} == {
        "callbacks.listen": "must be an address and a port to listen on, such as 127.0.0.1:8091 or [::1]:8091"
    }


@pytest.mark.parametrize(
    "url",
    [
        "tide.example.com",
        "ftp://x",
        "https://",
        "https://u:p@x",
        "https://x?a=1",
        "https://x/#a",
        "https://x:0x",
        "h p",
    ],
)
def test_addresses_that_cannot_be_called(tmp_path: Path, url: str) -> None:
    """Providers get an address that is whole, and nothing in it that a token could not follow."""
    faults = faults_of(write(tmp_path, f'[callbacks]\nlisten = "127.0.0.1:1"\npublic_url = "{url}"'))
    assert faults["callbacks.public_url"].reason.startswith("must be an http or https address without user name, query")


def test_half_of_the_callbacks(tmp_path: Path) -> None:
    """One key without the other is a fault that names the one that is missing."""
    fault = faults_of(write(tmp_path, '[callbacks]\nlisten = "127.0.0.1:8091"'))["callbacks.public_url"]
    assert fault.reason == "is required where listen is given: it is the address that providers call"
    fault = faults_of(write(tmp_path, '[callbacks]\npublic_url = "https://x"'))["callbacks.public_url"]
    assert fault.reason == "needs callbacks.listen as well: an address to listen on, such as 127.0.0.1:8091"


def test_two_variables_for_one_key(tmp_path: Path) -> None:
    """Variables that differ only in case contradict each other; neither wins silently."""
    faults = faults_of(write(tmp_path, ""), TIDEWAITER__WORKER__POLLS="1", tidewaiter__worker__polls="2")
    assert faults["worker.polls"].reason == "is also given by TIDEWAITER__WORKER__POLLS"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[worker\n", "line 1, column 8: is not TOML: "),
        (b"a = 1\na = 2\n", "line 2, column 6: is not TOML: "),
        (b"a = '\xff'", "is not UTF-8 text"),
        (b"a = " + b"[" * 5000, "line 1: is not read: arrays and tables are nested more"),
    ],
)
def test_files_that_are_not_toml(tmp_path: Path, content: bytes, reason: str) -> None:
    """What cannot be parsed is one fault, with its line where there is one."""
    path = tmp_path / "tidewaiter.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        load(path, {})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are told by their path."""
    gone = tmp_path / "gone.toml"
    with pytest.raises(ConfigError) as caught:
        load(gone, {})
    assert str(caught.value) == f"{gone}: cannot be read: No such file or directory"
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path, {})


def test_secrets_stay_out_of_messages_and_repr(tmp_path: Path) -> None:
    """Neither a fault nor a printed configuration shows a setting, a secret file's content or the database's URL."""
    (tmp_path / "token").write_text("canary-token")
    config = load(write(tmp_path, FULL), {"TIDEWAITER__ACCOUNTS__SHOP__SETTINGS__KEY": "canary-key"})
    assert set(config.secrets) == {"canary-token", "s3cr#t-word"}
    for shown in (repr(config), str(config), repr(config.accounts["shop"])):
        assert "canary" not in shown
        assert "s3cr" not in shown
    bad = write(tmp_path, '[worker]\npolls = "canary-a"\ncanary = 1\n[database]\nurl = "mysql://canary-b"')
    with pytest.raises(ConfigError) as caught:
        load(bad, {"TIDEWAITER__WORKER__LEASE_S": "canary-c", "TIDEWAITER__STORAGE": "canary-d"})
    assert len(caught.value.faults) == 5
    assert not any(word in str(caught.value) for word in ("canary-a", "canary-b", "canary-c", "canary-d"))


def test_a_configuration_does_not_change(tmp_path: Path) -> None:
    """What was read stays as it is."""
    config: Config = load(write(tmp_path, ""), {})
    with pytest.raises(ValidationError, match="frozen"):
        config.worker.polls = 3  # type: ignore[misc]  # the very mistake


def test_a_secret_file_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A pipe that nobody writes to would hold up the start; a folder or a device holds no secret."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for name in (pipe, "/dev/zero"):
        file = tmp_path / "tidewaiter.toml"
        file.write_text(f'[database]\nurl_file = "{name}"\n')
        with pytest.raises(ConfigError, match=f"database.url_file: {name} is not a regular file"):
            load(file, {})
