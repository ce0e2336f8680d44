"""The HTTP listener of a whole daemon: when it is up, what it refuses, and what its failure means."""

import asyncio
import io
import json
import socket
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.support.log_lines import log_lines
from tests.support.ports import free_port
from tidewaiter import bootstrap
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config, ConfigError, load
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.database.engine import Database
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.log import configure


@dataclass(slots=True)
class ConfiguredDaemon:
    """A configuration with an HTTP listener, and what its daemon has logged."""

    config: Config
    port: int
    output: io.StringIO = field(default_factory=io.StringIO)

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[asyncio.Event]:
        """A daemon that runs meanwhile; gives what stops it."""
        log = configure("json", "debug", (), stream=self.output, strict=True)
        stop = asyncio.Event()
        running = asyncio.ensure_future(bootstrap.serve(self.config, log, stop=stop))
        try:
            await self._answers(running)
            yield stop
        finally:
            stop.set()
            assert await running == 0
            log.close()

    async def _answers(self, running: asyncio.Future[int]) -> None:
        async with asyncio.timeout(20):
            while True:
                if running.done():
                    running.result()
                try:
                    await self.get("/nothing")
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """The status, the headers and the body of an answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=named) as reply:
            return reply.status, dict(reply.headers), await reply.text()

    def lines(self, name: str) -> list[dict[str, object]]:
        """The lines of one event."""
        return log_lines(self.output, name)


@pytest.fixture
def site(tmp_path: Path) -> ConfiguredDaemon:
    """A listener on loopback without tokens."""
    port = free_port()
    (tmp_path / "tidewaiter.toml").write_text(f'[http]\nlisten = "127.0.0.1:{port}"\n')
    return ConfiguredDaemon(load(tmp_path / "tidewaiter.toml", {}), port)


async def test_an_unknown_path_is_a_problem(site: ConfiguredDaemon) -> None:
    """What there is not is told by a problem document, with the headers that keep pages apart from other sites."""
    async with site.daemon():
        status, headers, body = await site.get("/v1/nothing")
    assert (status, headers["Content-Type"].partition(";")[0]) == (404, "application/problem+json")
    assert json.loads(body)["status"] == 404
    assert (headers["Server"], headers["X-Content-Type-Options"]) == ("tidewaiter", "nosniff")


@pytest.mark.slow
async def test_a_standby_answers_too(site: ConfiguredDaemon) -> None:
    """While another daemon has the database, this one's listener is up; it ends when it is asked to."""
    async with site.daemon():
        pass  # the database is there from now on
    held = DaemonLock.of(site.config.database.url)
    assert held is not None
    assert held.try_acquire()
    async with site.daemon():
        assert (await site.get("/nothing"))[0] == 404
        assert site.lines("daemon.waited")
    held.release()


@pytest.mark.fault(7)
@pytest.mark.slow
async def test_a_listener_that_dies_ends_the_daemon(site: ConfiguredDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is gone: the daemon drains and ends with 1, to be restarted whole."""
    made: list[socket.socket] = []
    create = socket.create_server

    def noted(*arguments: object, **options: object) -> socket.socket:
        made.append(create(*arguments, **options))  # type: ignore[arg-type]  # handed on as they come
        return made[-1]

    monkeypatch.setattr(socket, "create_server", noted)
    log = configure("json", "debug", (), stream=site.output, strict=True)
    running = asyncio.ensure_future(bootstrap.serve(site.config, log))
    await site._answers(running)
    made[0].shutdown(socket.SHUT_RDWR)
    assert await asyncio.wait_for(running, 20) == 1
    assert "ListenerDiedError" in str(site.lines("daemon.failed"))
    log.close()


@pytest.mark.fault(7)
@pytest.mark.slow
async def test_a_reader_of_pages_that_dies_ends_the_daemon(site: ConfiguredDaemon) -> None:
    """What reads the trends ahead cannot add them up: the daemon says so and ends with 1, to be restarted whole."""
    async with site.daemon():
        pass  # the database is there from now on
    this_hour = int(time.time()) // 3600 * 3600
    database = Database.open(site.config.database.url, SystemClock())
    await LaneStore(database).ensure({"acme": 1})
    await database.close()
    rows = [(3600, this_hour, operation, "landed", 2**63 - 1) for operation in ("one", "other")]
    with closing(sqlite3.connect(site.config.database.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.executemany("INSERT INTO trends SELECT ?, ?, min(id), ?, ?, ? FROM lanes", rows)
    log = configure("json", "debug", (), stream=site.output, strict=True)
    assert await asyncio.wait_for(bootstrap.serve(site.config, log), 20) == 1
    assert "integer overflow" in str(site.lines("daemon.failed"))
    log.close()


@pytest.mark.fault(60)
@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('[http]\nlisten = "0.0.0.0:8090"\n', "http.listen", "token is needed"),
        ('[http]\nlisten = "[::]:8090"\n', "http.listen", "token is needed"),
        ('[http]\npublic_url = "https://tide.example"\n', "http.public_url", "needs http.listen"),
        (
            '[http]\nlisten = "127.0.0.1:8091"\n[callbacks]\nlisten = "127.0.0.1:8091"\npublic_url = "http://tide"\n',
            "http.listen",
            "already the address for callbacks",
        ),
        ('[tokens.me]\ntoken = "abcdefghijklmnopqrstuvwxyz"\n', "tokens.me.token", "from a file only"),
        ('[tokens.me]\ntoken_file = "a"\n[tokens.you]\ntoken_file = "a"\n', "tokens.you.token", "each has its own"),
        ('[tokens.me]\ntoken_file = "short"\n', "tokens.me.token", "must have 24 to 512"),
        ('[tokens.Me]\ntoken_file = "a"\n', "tokens.Me", "lower-case"),
        ('[tokens.me]\ntoken_file = "a"\nrole = "root"\n', "tokens.me.role", "'read', 'submit' or 'admin'"),
        ('[tokens.me]\nrole = "read"\n', "tokens.me.token", "is required"),
        ('[http]\ntls_key = "a"\n', "http.tls_key", "needs http.tls_certificate as well"),
        ('[http]\ntls_certificate = "a"\ntls_key = "a"\n', "http.tls_certificate", "holds no certificate in PEM form"),
        ('[http]\ntrusted_proxies = ["10.0.0.1/8"]\n', "http.trusted_proxies", "host bits"),
        ('[http]\ntrusted_proxies = ["proxy"]\n', "http.trusted_proxies", "'proxy' is no network"),
        ('[tokens.me]\ntoken_file = "a"\naccounts = []\n', "tokens.me.accounts", "leave it out for all accounts"),
        ('[tokens.me]\ntoken_file = "a"\naccounts = ["x"]\n', "tokens.me.accounts", "'x', which is not configured"),
        ('[tokens.me]\ntoken_file = "a"\nexpires_at = "soon"\n', "tokens.me.expires_at", "offset from UTC"),
        ('[tokens.me]\ntoken_file = "a"\nexpires_at = 2027-01-31T00:00:00\n', "tokens.me.expires_at", "offset"),
        ('[tokens.me]\ntoken_file = "a"\nnext_token_file = "a"\n', "tokens.me.next_token", "is the same as that of me"),
        ('[tokens.me]\ntoken_file = "a"\nrights = "all"\n', "tokens.me.rights", "no known key"),
    ],
)
async def test_an_open_or_muddled_listener_refuses_to_start(tmp_path: Path, text: str, key: str, reason: str) -> None:
    """Settings that allow anonymous access, and invalid tokens, are faults that name their key; nothing starts."""
    (tmp_path / "a").write_text("abcdefghijklmnopqrstuvwxyz\n")
    (tmp_path / "short").write_text("secret")
    (tmp_path / "tidewaiter.toml").write_text(text)
    log = configure("json", "debug", (), stream=io.StringIO(), strict=True)
    with pytest.raises(ConfigError) as caught:
        await bootstrap.serve(load(tmp_path / "tidewaiter.toml", {}), log)
    log.close()
    reasons = {fault.key: fault.reason for fault in caught.value.faults}
    assert reason in reasons[key]
    assert "abcdefghij" not in str(caught.value)
    assert not (tmp_path / "tidewaiter.db").exists()
