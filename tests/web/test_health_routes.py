"""/healthz, /readyz and /metrics of a whole process, over HTTP."""

import asyncio
import io
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.support.another_program import written_by_another_program
from tests.support.http_process import answers, configured, process
from tests.support.scripted_provider import open_provider
from tidewaiter import __version__, bootstrap
from tidewaiter.database.daemon_lock import DaemonLock
from tidewaiter.log import configure
from tidewaiter.services import DAEMON


@pytest.mark.slow
async def test_a_process_that_serves(tmp_path: Path, database_url: str) -> None:
    """It is alive and ready, says so in JSON, and shows what a job did: on either database."""
    async with open_provider(answers()) as shop:
        config = configured(tmp_path, database_url, shop.url)
        async with process(config) as daemon:
            ready = await daemon.until("/readyz", 200)
            assert (ready["status"], ready["phase"], ready["lanes"]) == ("ready", "serving", 1)
            status, health = await daemon.get("/healthz")
            assert (status, health["status"], health["version"]) == (200, "ok", __version__)
            before = await daemon.scrape()
            assert before("tidewaiter_ready") == 1
            assert before("tidewaiter_polls_total", account="shop") == 0
            log = configure("json", "error", stream=io.StringIO(), strict=True)
            async with bootstrap.open_job_service(config, log) as service:
                await service.submit("shop", "report", {}, actor=DAEMON)
            async with asyncio.timeout(20):
                while (after := await daemon.scrape())("tidewaiter_jobs_ended_total", **ENDED) != 1:  # noqa: ASYNC110  # it is asked
                    await asyncio.sleep(0.05)
            log.close()
    assert after("tidewaiter_polls_total", account="shop") == 2
    assert after("tidewaiter_requests_total", account="shop", to="provider", status="2xx") == 4
    assert after("tidewaiter_reply_seconds_count", account="shop", to="provider") == 4
    assert after("tidewaiter_landed_bytes_total", account="shop", operation="report") == 10
    assert after("tidewaiter_landing_delay_seconds_count", account="shop", operation="report") == 1
    assert after("tidewaiter_steps_in_flight", account="shop", lane="1") is not None
    assert (after("tidewaiter_commit_updates_count") or 0) >= 3
    assert (after("tidewaiter_storage_free_bytes") or 0) > 0


ENDED: Mapping[str, str] = {"account": "shop", "operation": "report", "state": "succeeded"}


@pytest.mark.fault(18)
@pytest.mark.slow
async def test_a_standby_is_ready(tmp_path: Path, sqlite_url: str) -> None:
    """While another daemon holds the database it is well, ready to take over, and says that it stands by."""
    config = configured(tmp_path, sqlite_url)
    lock = DaemonLock.of(config.database.url)
    assert lock is not None
    assert lock.try_acquire()
    try:
        async with process(config) as daemon:
            ready = await daemon.until("/readyz", 200, phase="standby")
            assert (ready["status"], ready["lanes"]) == ("ready", 0)
            assert (await daemon.get("/healthz"))[0] == 200
            samples = await daemon.scrape()
            assert samples("tidewaiter_phase", phase="standby") == 1
            assert samples("tidewaiter_ready") == 1
            lock.release()
            assert (await daemon.until("/readyz", 200, phase="serving"))["lanes"] == 1
    finally:
        lock.release()


@pytest.mark.slow
async def test_a_drain_is_not_ready_and_is_well(tmp_path: Path, sqlite_url: str) -> None:
    """While a step comes to its end after the signal the process lives, and wants no new work."""
    held = asyncio.Event()

    async def slowly(_: object) -> aiohttp.web.StreamResponse:
        await held.wait()
        return aiohttp.web.json_response({"id": "r-1"}, status=201)

    async with open_provider({**answers(), "POST /jobs": slowly}) as shop:
        config = configured(tmp_path, sqlite_url, shop.url)
        async with process(config) as daemon:
            await daemon.until("/readyz", 200, phase="serving")
            log = configure("json", "error", stream=io.StringIO(), strict=True)
            async with bootstrap.open_job_service(config, log) as service:
                await service.submit("shop", "report", {}, actor=DAEMON)
            log.close()
            async with asyncio.timeout(20):
                while not shop.times("POST"):  # noqa: ASYNC110  # the provider tells nobody
                    await asyncio.sleep(0.02)
            daemon.stop.set()
            unready = await daemon.until("/readyz", 503)
            assert unready["failing"] == {"phase": "the daemon was asked to end and is draining"}
            assert (await daemon.get("/healthz"))[1]["phase"] == "draining"
            assert (await daemon.scrape())("tidewaiter_phase", phase="draining") == 1
            held.set()


@pytest.mark.fault(10, 18)
@pytest.mark.slow
async def test_a_schema_of_another_time_is_not_ready(tmp_path: Path, sqlite_url: str) -> None:
    """Somebody has upgraded the database under a running daemon: it says which revision it needs."""
    config = configured(tmp_path, sqlite_url)
    async with process(config) as daemon:
        await daemon.until("/readyz", 200)
        await written_by_another_program(
            sqlite_url.removeprefix("sqlite:///"), "UPDATE alembic_version SET version_num = '9999'"
        )
        unready = await daemon.until("/readyz", 503)
        assert "newer than this program" in json.dumps(unready["failing"])
        samples = await daemon.scrape()
        assert samples("tidewaiter_database_up") == 0
        assert samples("tidewaiter_ready") == 0
        assert samples("tidewaiter_jobs", state="queued") is None
        assert (await daemon.get("/healthz"))[0] == 200


@pytest.mark.fault(8, 12)
@pytest.mark.slow
async def test_a_database_that_accepts_no_writes_is_not_ready(tmp_path: Path, sqlite_url: str) -> None:
    """Another program holds the write lock: health, metrics and page say so, and what can be read is still shown."""
    config = configured(tmp_path, sqlite_url)
    async with process(config) as daemon:
        await daemon.until("/readyz", 200, phase="serving")
        file = sqlite_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False)) as other:
            # In a thread: the daemon, which runs in this loop, may be in the middle of a transaction.
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            async with asyncio.timeout(40):  # on a busy machine it first says that nothing has answered for a while
                failing = ""
                while "is held by another program" not in failing:
                    await asyncio.sleep(0.05)
                    failing = json.dumps((await daemon.until("/readyz", 503))["failing"])
            samples = await daemon.scrape()
            assert samples("tidewaiter_database_up") == 0
            assert samples("tidewaiter_jobs", state="queued") == 0
            async with daemon.session.get(daemon.url + "/") as page:
                assert "The database accepts no writes" in await page.text()
            other.execute("ROLLBACK")
        await daemon.until("/readyz", 200)
        assert (await daemon.scrape())("tidewaiter_database_up") == 1


@pytest.mark.slow
async def test_who_may_look(tmp_path: Path, sqlite_url: str) -> None:
    """With tokens configured, health is public, and metrics need the read role."""
    token = "t" * 32
    (tmp_path / "token").write_text(token)
    more = '[tokens.watch]\nrole = "read"\ntoken_file = "token"\n'
    async with process(configured(tmp_path, sqlite_url, more=more)) as daemon:
        await daemon.until("/readyz", 200)
        assert (await daemon.get("/healthz"))[0] == 200
        assert (await daemon.get("/metrics"))[0] == 401
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/openmetrics-text; version=1.0.0"}
        async with daemon.session.get(daemon.url + "/metrics", headers=headers) as reply:
            assert reply.status == 200
            assert reply.content_type == "application/openmetrics-text"
            assert reply.headers["Content-Encoding"] == "gzip"
            assert "Accept-Encoding" in reply.headers["Vary"]
            assert (await reply.text()).endswith("# EOF\n")
        for refused in ("identity", "gzip;q=0", "br, gzip; q=0.000", "x-gzip-like"):
            plain = headers | {"Accept-Encoding": refused}
            async with daemon.session.get(daemon.url + "/metrics", headers=plain) as reply:
                assert "Content-Encoding" not in reply.headers, refused
                assert (await reply.read()).endswith(b"# EOF\n")
        async with daemon.session.get(
            daemon.url + "/metrics", headers=headers | {"Accept-Encoding": "br;q=1, GZIP;q=0.5"}
        ) as reply:
            assert reply.headers["Content-Encoding"] == "gzip"
