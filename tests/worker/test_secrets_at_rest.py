"""Secrets are never stored in plain text: no key in a handle or link, and signed links are encrypted."""

import asyncio
import io
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering, config_for, daemon_for, open_provider
from tidewaiter.config import load
from tidewaiter.database.sealing import new_key
from tidewaiter.domain.http_values import SealedLinks
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.job_json import entry_json, job_json

KEY = "canary+key/42"
SIGNATURE = "canary-signature"
AUTH = """
[account.key]
help = "the key"
secret = true

[auth]
type = "query"
name = "k"
value = "${account.key}"
"""
STEPS = """
[operations.report.submit]
url = "/reports"
handle = { header = "location" }

[operations.report.poll]
url = "${handle}"
[[operations.report.poll.rules]]
word = "state"
words = { RUNNING = "pending", DONE = "ready" }

[[operations.report.results.files]]
each = "files"
url = "@"
"""
LOST = "the stored links to the files cannot be decrypted: database.key_file lacks the key that encrypted them"


def dump(folder: Path) -> str:
    """Everything that is in the database, and what SQLite has not written back to it yet."""
    with sqlite3.connect(folder / "tidewaiter.db") as connection:
        text = "\n".join(connection.iterdump())
    raw = b"".join(path.read_bytes() for path in folder.glob("tidewaiter.db*"))
    return text + raw.decode("latin-1")


async def shown(running: Running, job: Job) -> str:
    """All that the API, the command line, the log and the manifests show."""
    history = [entry_json(entry) for entry in await running.jobs.history(job.id)]
    manifests = [path.read_text() for path in running.root.rglob("manifest.json")]
    return f"{job_json(job)} {history} {running.output.getvalue()} {manifests}"


async def test_the_key_of_the_account_is_kept_nowhere(tmp_path: Path, sqlite_url: str) -> None:
    """Seen: `Location: /jobs/1?k=KEY` had the key stored and shown. It is sent with every request all the same."""
    spelled = "%63anary%2Bkey%2F42"
    answers = {
        "POST /reports": answering({}, status=201, headers={"Location": f"/jobs/1?k={spelled}&v=2"}),
        "GET /jobs/1": answering({"state": "RUNNING"}, {"state": "DONE", "files": [f"/f.csv?k={spelled}"]}),
        "GET /f.csv": answering(b"a,b\n"),
    }
    async with open_provider(answers) as shop:
        config_for(tmp_path, AUTH + STEPS, shop.url, sqlite_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("settings = {", f'settings = {{ key = "{KEY}",'))
        async with daemon_for(load(file, {})) as running:
            job = await running.run()
            assert (job.state, job.handle) == (State.SUCCEEDED, f"{shop.url}/jobs/1?v=2")
            everything = await shown(running, job) + dump(tmp_path)
            assert await running.file(job.id) == b"a,b\n"
    assert "canary" not in everything
    assert "anary%2B" not in everything
    mine = "k=canary%2Bkey%2F42"
    assert shop.asked == [f"POST /reports?{mine}", *[f"GET /jobs/1?v=2&{mine}"] * 2, f"GET /f.csv?{mine}"]


def zipped(*names: str) -> bytes:
    """An archive with members of these names."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    return data.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("unpack", ["", 'unpack = "zip"'])
async def test_a_server_that_names_files_after_the_key(tmp_path: Path, sqlite_url: str, unpack: str) -> None:
    """In the label, the media type, or as a member of an archive: nothing that is stored or shown has it."""
    file = answering(zipped(f"{KEY}.csv", KEY, "b"), headers={"Content-Type": f"text/csv; a={KEY}"})
    listed = [{"url": "/f/1", "name": f"rows {KEY}.csv"}, {"url": "/f/2", "kind": f"x/y; a={KEY}"}]
    answers = {
        "POST /reports": answering({}, status=201, headers={"Location": "/jobs/1"}),
        "GET /jobs/1": answering({"state": "DONE", "files": listed}),
        "GET /f/1": file,
        "GET /f/2": file,
    }
    named = STEPS.replace('url = "@"', 'url = "url"\nlabel = "name"\nmedia_type = "kind"')
    steps = f"{named}\n[operations.report.results]\n{unpack}\n" if unpack else named
    async with open_provider(answers) as shop:
        config_for(tmp_path, AUTH + steps, shop.url, sqlite_url)
        written = tmp_path / "tidewaiter.toml"
        written.write_text(written.read_text().replace("settings = {", f'settings = {{ key = "{KEY}",'))
        async with daemon_for(load(written, {})) as running:
            job = await running.run()
            everything = await shown(running, job) + dump(tmp_path)
            files = [path.name for path in running.root.rglob("*")]
    assert job.state is State.SUCCEEDED
    assert ("canary" in everything, "anary" in str(files)) == (False, False)
    assert "[redacted]" in everything


def signed(server: Callable[[], str], gate: asyncio.Event) -> dict[str, Answer]:
    """A provider whose handles and links are signed; the file is not served before the gate opens."""

    async def accepted(_: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=201, headers={"Location": f"/jobs/1?sig={SIGNATURE}"})

    async def file(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a,b\n") if gate.is_set() else web.Response(status=500)

    async def ready(_: web.Request) -> web.StreamResponse:
        return web.json_response({"state": "DONE", "files": [f"{server()}/f.csv?sig={SIGNATURE}-of-link"]})

    return {"POST /reports": accepted, "GET /jobs/1": ready, "GET /f.csv": file}


def key_file(folder: Path, *keys: str) -> Callable[[str], str]:
    """A database with these keys, in the configuration."""
    (folder / "links.key").write_text("\n".join(keys))
    return lambda url: f'{url}"\nkey_file = "links.key'


async def in_fetching(running: Running, files: Callable[[], int]) -> Job:
    """A job whose file was asked for once at least."""
    job = await running.until((await running.submit()).id, State.FETCHING)
    async with asyncio.timeout(20):
        while not files():  # noqa: ASYNC110  # the provider is of this process, and tells nobody
            await asyncio.sleep(0.02)
    return await running.until(job.id, State.FETCHING)


@pytest.mark.slow
async def test_signed_links_are_encrypted_and_never_shown(tmp_path: Path, sqlite_url: str) -> None:
    """The job waits with its links, which are in no file of the database; its signed handle is shown without query."""
    gate, key = asyncio.Event(), new_key()
    async with open_provider({}) as shop:
        shop.answers |= signed(lambda: shop.url, gate)
        config = config_for(tmp_path, STEPS, shop.url, key_file(tmp_path, key)(sqlite_url))
        async with daemon_for(config) as running:
            job = await in_fetching(running, lambda: shop.times("GET /f.csv"))
            assert isinstance(job.links, SealedLinks)
            assert f"{SIGNATURE}-of-link" not in dump(tmp_path)
            waiting = await shown(running, job)
            gate.set()
            ended = await running.until(job.id)
            everything = waiting + await shown(running, ended)
            assert await running.file(job.id) == b"a,b\n"
    assert ended.state is State.SUCCEEDED
    assert SIGNATURE not in everything
    assert f"{shop.url}/jobs/1?[redacted]" in everything
    assert shop.times(f"GET /jobs/1?sig={SIGNATURE}") == 1
    assert f"{SIGNATURE}-of-link" not in dump(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("keys", ["none", "another", "both"])
async def test_a_key_that_is_gone_costs_one_poll(tmp_path: Path, sqlite_url: str, keys: str) -> None:
    """Fresh links are asked for, and the log says which key is missing; with both keys nothing is asked for."""
    gate, old, new = asyncio.Event(), new_key(), new_key()
    async with open_provider({}) as shop:
        shop.answers |= signed(lambda: shop.url, gate)
        config = config_for(tmp_path, STEPS, shop.url, key_file(tmp_path, old)(sqlite_url))
        async with daemon_for(config) as running:
            job = await in_fetching(running, lambda: shop.times("GET /f.csv"))
        gate.set()
        url = key_file(tmp_path, *{"none": (), "another": (new,), "both": (new, old)}[keys])(sqlite_url)
        config = config_for(tmp_path, STEPS, shop.url, sqlite_url if keys == "none" else url)
        async with daemon_for(config) as running:
            ended = await running.until(job.id)
            outcomes, warned = await running.outcomes(job.id), running.events("links.unreadable")
            everything = await shown(running, ended)
    assert ended.state is State.SUCCEEDED
    assert ("LinksLost" in outcomes) is (keys != "both")
    assert [line["reason"] for line in warned] == ([] if keys == "both" else [LOST])
    assert shop.times("GET /jobs/1") == (1 if keys == "both" else 2)
    assert SIGNATURE not in everything


@pytest.mark.slow
async def test_without_a_handle_a_lost_key_parks(tmp_path: Path, sqlite_url: str) -> None:
    """Nothing is submitted a second time before a person says so."""
    gate = asyncio.Event()
    async with open_provider({}) as shop:
        shop.answers |= signed(lambda: shop.url, gate)
        config = config_for(tmp_path, STEPS, shop.url, key_file(tmp_path, new_key())(sqlite_url))
        async with daemon_for(config) as running:
            job = await in_fetching(running, lambda: shop.times("GET /f.csv"))
        # No spec of today brings links without a handle; a provider in Python may.
        with sqlite3.connect(tmp_path / "tidewaiter.db") as connection:
            connection.execute("UPDATE jobs SET handle = NULL")
        config = config_for(tmp_path, STEPS, shop.url, key_file(tmp_path, new_key())(sqlite_url))
        async with daemon_for(config) as running:
            parked = await running.until(job.id)
            (event,) = await running.logged("job.parked")
    assert (parked.state, parked.reason, event["reason"]) == (State.PARKED, LOST, LOST)
    assert shop.times("POST /reports") == 1
