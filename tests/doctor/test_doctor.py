"""The whole doctor on a configuration with emulated providers, healthy and not."""

import sqlite3
import time
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.doctor.folders import names_in
from tests.support.byte_servers import answering, reply, serving
from tests.support.doctor_run import consulted
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.sealing import new_key
from tidewaiter.database.sqlite_files import files_of
from tidewaiter.doctor.findings import CheckStatus
from tidewaiter.emulators.oneall import OneAllEmulator
from tidewaiter.emulators.socialgateway import SocialGatewayEmulator, SocialGatewayLogin

CLOCK = SystemClock()
GOOD = b'{"response": {"request": {"status": {"flag": "success", "code": 200}}}}'


def account(url: str, *, private_key: str = "canary-key", more: str = "") -> str:
    """The table of an account whose probe is one request with HTTP Basic."""
    return f"""
    [accounts.shop]
    provider = "oneall"
    allow_private = true
    {more}
    [accounts.shop.settings]
    subdomain = "my-app"
    base_url = "{url}"
    public_key = "public"
    private_key = "{private_key}"
    """


def database(folder: Path) -> sqlite3.Connection:
    """A database beside the configuration, with this program's tables and a lane of the account."""
    migrate.upgrade(f"sqlite:///{folder}/tidewaiter.db")
    connection = sqlite3.connect(folder / "tidewaiter.db")
    connection.execute("INSERT INTO lanes (account, shard) VALUES ('shop', 0)")
    connection.commit()
    return connection


async def test_an_account_that_works(tmp_path: Path) -> None:
    """Connection, login and clock are in order; nothing was made, for there is no database yet."""
    async with OneAllEmulator(clock=CLOCK, public_key="public", private_key="canary-key") as provider:
        found = await consulted(tmp_path, account(provider.origin))
    statuses = {check: one.status for (subject, check), one in found.items() if subject == "shop"}
    assert statuses == dict.fromkeys(["tls", "login", "clock"], CheckStatus.OK)
    assert found["database", "database"].status is CheckStatus.INFO
    assert names_in(tmp_path) == ["tidewaiter.toml"]


async def test_a_backup_beside_the_log_of_another_file(tmp_path: Path) -> None:
    """The database is not opened, because that would put the old -wal file into the backup."""
    file = tmp_path / "tidewaiter.db"
    with closing(database(tmp_path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("DROP TABLE job_terms")
        connection.execute("INSERT INTO lanes (account, shard) VALUES (?, 0)", ("x" * 300_000,))
        connection.commit()
        log = file.with_name("tidewaiter.db-wal").read_bytes()
    for one in files_of(file):
        one.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript("PRAGMA page_size = 4096; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    file.with_name("tidewaiter.db-wal").write_bytes(log)
    before = file.read_bytes()
    found = await consulted(tmp_path, account("http://127.0.0.1:1"), offline=True)
    assert found["database", "database"].status is CheckStatus.FAILURE
    assert "-wal file beside it belongs to another file" in found["database", "database"].message
    assert file.read_bytes() == before


async def test_wrong_credentials(tmp_path: Path) -> None:
    """A key that the provider refuses is a failure that says where to correct it."""
    async with OneAllEmulator(clock=CLOCK, public_key="public", private_key="another") as provider:
        found = await consulted(tmp_path, account(provider.origin))
    login = found["shop", "login"]
    assert login.status is CheckStatus.FAILURE
    assert login.message.startswith("the provider refuses the credentials: ")
    assert "accounts.shop.settings" in login.remedy
    assert ("shop", "clock") in found


@pytest.mark.parametrize(("password", "status"), [("canary-word", CheckStatus.OK), ("wrong", CheckStatus.FAILURE)])
async def test_an_account_that_signs_in(password: str, status: CheckStatus, tmp_path: Path) -> None:
    """A session is begun as the daemon would begin it, and then the probe is asked with its token."""
    provider = SocialGatewayEmulator(clock=CLOCK, login=SocialGatewayLogin("api", "canary-key", "canary-word"))
    async with provider:
        text = f"""
        [accounts.shop]
        provider = "socialgateway"
        allow_private = true
        [accounts.shop.settings]
        server = "{provider.origin}"
        user_name = "api"
        api_key = "canary-key"
        password = "{password}"
        """
        found = await consulted(tmp_path, text)
    assert found["shop", "login"].status is status
    assert "canary" not in found["shop", "login"].message


async def test_a_clock_that_is_wrong(tmp_path: Path) -> None:
    """The Date of the reply is held against this machine's clock."""
    date = f"Date: {formatdate(CLOCK.now() + 3600, usegmt=True)}"
    async with serving(answering(reply(200, GOOD, date))) as server:
        found = await consulted(tmp_path, account(server.origin))
    assert found["shop", "login"].status is CheckStatus.OK
    assert found["shop", "clock"].status is CheckStatus.WARNING
    assert "ahead of this machine's" in found["shop", "clock"].message


async def test_a_provider_in_trouble(tmp_path: Path) -> None:
    """A provider that fails, throttles, or hangs up is told apart from credentials that are refused."""
    for answer, status, text in (
        (reply(500), CheckStatus.FAILURE, "the provider has a fault"),
        (reply(429, b"", "Retry-After: 60"), CheckStatus.WARNING, "the provider accepts no request now"),
        (reply(404), CheckStatus.FAILURE, "the provider refuses the probe"),
        (b"nonsense\r\n\r\n", CheckStatus.FAILURE, "not an HTTP reply"),
    ):
        async with serving(answering(answer)) as server:
            found = await consulted(tmp_path, account(server.origin))
        assert found["shop", "login"].status is status
        assert text in found["shop", "login"].message


async def test_a_paused_account(tmp_path: Path) -> None:
    """A pause is told, and the account is tried all the same: its key may have been corrected meanwhile."""
    with database(tmp_path) as connection:
        connection.execute(
            "INSERT INTO accounts (name, paused_by, paused_reason, paused_at) VALUES ('shop', 'credentials', 'no', 1)"
        )
    connection.close()
    async with serving(answering(reply(200, GOOD))) as server:
        found = await consulted(tmp_path, account(server.origin))
    assert found["shop", "account"].status is CheckStatus.FAILURE
    assert found["shop", "account"].remedy.endswith("tidewaiter accounts resume shop")
    assert found["shop", "login"].status is CheckStatus.OK
    assert found["database", "database"].status is CheckStatus.OK


async def test_a_closed_account_is_left_alone(tmp_path: Path) -> None:
    """Where the provider asked to be left alone nothing is asked."""
    with database(tmp_path) as connection:
        connection.execute("UPDATE lanes SET closed_until = ?, closed_reason = 'HTTP 429'", (time.time() + 600,))
    connection.close()
    async with serving(answering(reply(200, GOOD))) as server:
        found = await consulted(tmp_path, account(server.origin))
        assert server.asked == []
    assert found["shop", "login"].status is CheckStatus.WARNING
    assert "HTTP 429" in found["shop", "login"].message


async def test_the_limit_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that a daemon has just made count; where there is no room for another, none is sent."""
    monkeypatch.setattr("tidewaiter.bootstrap.configured_checks._LONGEST_WAIT_S", 0.05)
    with database(tmp_path) as connection:
        connection.execute("UPDATE lanes SET request_window = ?", (f"[{time.time() - 1}]",))
    connection.close()
    async with serving(answering(reply(200, GOOD))) as server:
        text = account(server.origin, more="limits = { requests = 1, period_s = 3600 }")
        found = await consulted(tmp_path, text)
        assert server.asked == []
    assert found["shop", "login"].status is CheckStatus.WARNING
    assert "permitted no request" in found["shop", "login"].message


async def test_offline(tmp_path: Path) -> None:
    """Only this machine is looked at."""
    async with serving(answering(reply(200, GOOD))) as server:
        found = await consulted(tmp_path, account(server.origin), offline=True)
        assert server.connections == 0
    assert {subject for subject, _ in found} == {"database", "storage"}
    remote = '[database]\nurl = "postgresql://nowhere.invalid/x"\n[storage]\nurl = "s3://nowhere"\n'
    found = await consulted(tmp_path, remote, offline=True)
    plain = found.pop(("database", "links"))
    assert plain.status is CheckStatus.INFO
    assert "key_file" in plain.message
    assert {one.message for one in found.values()} == {"not checked (--offline)"}
    found = await consulted(tmp_path, remote.replace("[storage]", f'key = "{new_key()}"\n[storage]'), offline=True)
    assert ("database", "links") not in found
    assert set(found) == {("database", "database"), ("storage", "storage")}


async def test_one_account_of_several(tmp_path: Path) -> None:
    """The others are not asked."""
    async with serving(answering(reply(200, GOOD))) as server, serving(answering(reply(200, GOOD))) as other:
        text = account(server.origin) + account(other.origin).replace("accounts.shop", "accounts.other")
        found = await consulted(tmp_path, text, accounts=["shop"])
        assert other.connections == 0
        assert found["shop", "login"].status is CheckStatus.OK
        found = await consulted(tmp_path, text)
    assert found["other", "login"].status is CheckStatus.OK


async def test_receivers_and_ways_in(tmp_path: Path) -> None:
    """Receivers of notifications are connected to and told nothing; without a daemon nothing listens."""
    (tmp_path / "secret").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    async with serving(answering(reply())) as server:
        text = f"""
        [callbacks]
        listen = "127.0.0.1:1"
        public_url = "{server.origin}"
        [http]
        listen = "127.0.0.1:2"
        public_url = "{server.origin}"
        [notifications.ops]
        url = "{server.origin}/hook"
        secret_file = "secret"
        """
        found = await consulted(tmp_path, text)
        assert server.asked == []
    assert found["ops", "tls"].status is CheckStatus.OK
    assert found["callbacks", "callbacks"].status is CheckStatus.INFO
    assert found["http", "http"].status is CheckStatus.INFO


async def test_a_storage_that_cannot_be_opened(tmp_path: Path) -> None:
    """Options of a bucket that cannot be used are told as a failure of the storage."""
    text = '[storage]\nurl = "gs://exports"\noptions = { service_account_key = "canary" }'
    found = await consulted(tmp_path, text)
    assert found["storage", "storage"].status is CheckStatus.FAILURE
    assert "canary" not in found["storage", "storage"].message
