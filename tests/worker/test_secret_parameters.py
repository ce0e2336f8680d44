"""Secret parameters under a real daemon: sent to the provider, and kept nowhere in plain text."""

import io
import sqlite3
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Running, answering, config_for, daemon_for, open_provider
from tests.support.secret_spec import CANARY
from tidewaiter import bootstrap
from tidewaiter.config import load
from tidewaiter.database.sealing import new_key
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.job_json import entry_json, job_json
from tidewaiter.log import configure
from tidewaiter.services import DAEMON

pytestmark = pytest.mark.slow

SPEC = """
[operations.report.params]
day = { help = "which day" }
password = { secret = true, help = "what opens the file" }
[operations.report.submit]
url = "/reports"
json = { day = "${params.day}", password = "${params.password}" }
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
[[operations.report.poll.rules]]
word = "state"
words = { RUNNING = "pending", DONE = "ready", FAILED = "failed" }
[operations.report.results]
url = "/reports/${handle}/file"
"""


def dump(folder: Path) -> str:
    """Everything that is in the database, and what SQLite has not written back to it yet."""
    with sqlite3.connect(folder / "tidewaiter.db") as connection:
        text = "\n".join(connection.iterdump())
    return text + b"".join(path.read_bytes() for path in folder.glob("tidewaiter.db*")).decode("latin-1")


async def shown(running: Running, number: int) -> str:
    """All that the API, the command line, the log and the manifests show of a job."""
    job = await running.until(number)
    history = [entry_json(entry) for entry in await running.jobs.history(number)]
    manifests = [path.read_text() for path in running.root.rglob("manifest.json")]
    return f"{job_json(job)} {job!r} {history} {running.output.getvalue()} {manifests}"


def prepare(folder: Path, server: str, database_url: str, *keys: str) -> None:
    """A configuration with these keys."""
    config_for(folder, SPEC, server, database_url)
    (folder / "db.key").write_text("\n".join(keys))
    (folder / "db.key").chmod(0o600)
    file = folder / "tidewaiter.toml"
    file.write_text(file.read_text().replace("[storage]", 'key_file = "db.key"\n[storage]', 1))


async def submitted(folder: Path, day: str) -> Job:
    """A job that another process submits, so that the daemon's log does not know its secret."""
    log = configure("json", "info", [], stream=io.StringIO())
    async with bootstrap.open_job_service(load(folder / "tidewaiter.toml", {}), log) as service:
        job, _ = await service.submit("shop", "report", {"day": day, "password": CANARY}, actor=DAEMON)
    log.close()
    return job


async def test_a_secret_is_sent_and_kept_nowhere(tmp_path: Path, sqlite_url: str) -> None:
    """The provider gets it, also for a retry; what the provider repeats of it is stored and shown without it."""
    got: list[object] = []

    async def submit(request: web.Request) -> web.Response:
        body = await request.json()
        got.append(body)
        if body["day"] == "bad":
            return web.json_response({"error": f"password {body['password']} is too short"}, status=400)
        return web.json_response({"id": f"r-{len(got)}"})

    answers = {
        "POST /reports": submit,
        "GET /reports/r-2": answering({"state": "RUNNING"}, {"state": "DONE"}),
        "GET /reports/r-2/file": answering(b"a,b\n"),
    }
    async with open_provider(answers) as shop:
        prepare(tmp_path, shop.url, sqlite_url, new_key())
        bad = await submitted(tmp_path, "bad")
        async with daemon_for(load(tmp_path / "tidewaiter.toml", {})) as running:
            bad = await running.until(bad.id)
            assert (bad.state, bad.reason is not None and "[redacted]" in bad.reason) == (State.FAILED, True)
            job = await running.run(day="2026-01-31", password=CANARY)
            assert job.state is State.SUCCEEDED
            again = await running.service.retry(bad.id, actor=DAEMON)
            await running.until(again.id)
            assert got == [{"day": day, "password": CANARY} for day in ("bad", "2026-01-31", "bad")]
            assert (await running.manifest(job))["params"] == {"day": "2026-01-31", "password": "***"}
            for number in (job.id, bad.id, again.id):
                assert CANARY not in await shown(running, number)
        assert CANARY not in dump(tmp_path)


async def test_without_its_key_a_job_is_not_sent(tmp_path: Path, sqlite_url: str) -> None:
    """A job that waits to be submitted fails with the reason; nothing goes out with stars in place of the secret."""
    async with open_provider({}) as shop:
        prepare(tmp_path, shop.url, sqlite_url, new_key())
        job = await submitted(tmp_path, "2026-01-31")
        prepare(tmp_path, shop.url, sqlite_url, new_key())
        async with daemon_for(load(tmp_path / "tidewaiter.toml", {})) as running:
            job = await running.until(job.id)
            assert job.state is State.FAILED
            assert "the secret parameters cannot be decrypted" in str(job.reason)
            assert shop.asked == []
