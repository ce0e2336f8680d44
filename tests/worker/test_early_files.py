"""Files that land while their remote job still runs; by a real daemon."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering, config_for, daemon_for, open_provider, serving
from tidewaiter.domain.job import State
from tidewaiter.services import DAEMON

MANIFEST = """
[operations.report.submit]
url = "/reports"
handle = { header = "Location" }

[operations.report.poll]
url = "${handle}"
rules = [{ status = 202, then = "pending" }, { status = 200, then = "ready" }]

[operations.report.results]
while_running = "output"

[operations.report.results.files]
each = "output"
label = "type"
count = "count"

[operations.report.cancel]
url = "${handle}"
"""
NEW = MANIFEST.replace('while_running = "output"', 'while_running = "output"\nonly_new = true')
_FILES = '[operations.report.results.files]\neach = "output"\nlabel = "type"\n'
PAGED = MANIFEST.replace(
    _FILES + 'count = "count"\n',
    '[operations.report.results.lists]\nurl = "${handle}"\nnext_url = "link"\n\n' + _FILES,
)


def _output(*names: str) -> list[dict[str, object]]:
    return [{"type": name, "url": f"/files/{name}?sig={{}}", "count": len(name)} for name in names]


class Export:
    """A remote job that lists its files one after the other; every reply signs its links anew."""

    def __init__(self, *replies: tuple[int, tuple[str, ...]], paged: bool = False) -> None:
        self._replies = list(replies)
        self._paged = paged
        self.polls = 0
        self.asked: dict[str, int] = {}
        self.hold = asyncio.Event()
        self.held: str | None = None
        self.is_held = asyncio.Event()
        self.polled = asyncio.Event()

    @property
    def answers(self) -> dict[str, Answer]:
        names = {name for _, listed in self._replies for name in listed}
        return {
            "POST /reports": answering(b"", status=202, headers={"Location": "/status"}),
            "GET /status": self._status,
            "GET /more": self._more,
            "DELETE /status": answering(b"", status=204),
            **{f"GET /files/{name}": self._file for name in names},
        }

    async def _status(self, _: web.Request) -> web.StreamResponse:
        self.polls += 1
        self.polled.set()
        status, names = self._replies[0]
        if len(self._replies) > 1 and not self._paged:
            self._replies.pop(0)
        shown = names[:1] if self._paged else names
        body: dict[str, object] = {"output": self._signed(shown)} if names else {}
        if len(shown) < len(names):
            body["link"] = "/more"
        return web.json_response(body, status=status)

    async def _more(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"output": self._signed(self._replies[0][1][1:])})

    def advance(self) -> None:
        """The remote job goes on."""
        self._replies.pop(0)

    def _signed(self, names: tuple[str, ...]) -> list[dict[str, object]]:
        return [one | {"url": str(one["url"]).format(self.polls)} for one in _output(*names)]

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.path.rpartition("/")[2]
        self.asked[name] = self.asked.get(name, 0) + 1
        if name == self.held:
            self.is_held.set()
            await self.hold.wait()
        return web.Response(text=f"of {name}")


async def _files(running: Running, job_id: int) -> dict[str, str]:
    return {one.label: (running.root / one.key).read_text() for one in await running.jobs.artifacts(job_id)}


async def _landed(running: Running, job_id: int, files: int) -> None:
    """Wait until so many files have landed."""
    async with asyncio.timeout(20):
        while True:
            if len(await running.jobs.artifacts(job_id)) >= files:
                return
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_each_file_lands_once_and_the_manifest_last(tmp_path: Path, sqlite_url: str) -> None:
    """The history shows the download of each new file; a reply that lists nothing new begins none."""
    export = Export(
        (202, ()), (202, ("a",)), (202, ("a",)), (202, ("a", "b")), (202, ("a", "b")), (200, ("a", "b", "c"))
    )
    async with serving(tmp_path, sqlite_url, MANIFEST, export.answers) as (_, running):
        job = await running.run()
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert await _files(running, job.id) == {"a": "of a", "b": "of b", "c": "of c"}
        outcomes = await running.outcomes(job.id)
        manifest = await running.manifest(job)
        (folder,) = running.root.glob("shop/report/*/*/*/*")
        names = sorted(one.name for one in folder.iterdir())
    assert outcomes[1:] == ["Intended", "Accepted", "Pending", "PartLanded", "Pending", "PartLanded", "Ready", "Stored"]
    assert export.asked == {"a": 1, "b": 1, "c": 1}
    assert (job.polls, job.fetches) == (6, 1)
    assert [one["label"] for one in manifest["artifacts"]] == ["a", "b", "c"]  # type: ignore[attr-defined]  # JSON
    assert names == ["001-a", "002-b", "003-c", "manifest.json"]


@pytest.mark.slow
async def test_nothing_says_that_all_is_there_before_it_is(tmp_path: Path, sqlite_url: str) -> None:
    """While the remote job runs, its first file is whole in the folder, and there is no manifest."""
    export = Export((202, ("a",)), (202, ("a",)), paged=True)
    async with serving(tmp_path, sqlite_url, MANIFEST, export.answers) as (_, running):
        job = await running.submit()
        await _landed(running, job.id, 1)
        export.polled.clear()
        await export.polled.wait()
        job = await running.until(job.id, State.POLLING)
        assert [one.name for one in running.root.rglob("*") if one.is_file()] == ["001-a"]
        assert export.asked == {"a": 1}
        assert (job.poll_at, job.links, job.reason) == (None, (), None)
        await running.service.cancel(job.id, actor=DAEMON)
        job = await running.until(job.id)
    assert job.state is State.CANCELLED


@pytest.mark.slow
async def test_a_manifest_with_a_next_one(tmp_path: Path, sqlite_url: str) -> None:
    """The pages are walked after each poll; a page that is added later brings the rest."""
    export = Export((202, ("a",)), (202, ("a", "b")), (200, ("a", "b", "c")), paged=True)
    async with serving(tmp_path, sqlite_url, PAGED, export.answers) as (shop, running):
        job = await running.submit()
        for landed in (1, 2):
            await _landed(running, job.id, landed)
            export.advance()
        job = await running.until(job.id)
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert await _files(running, job.id) == {"a": "of a", "b": "of b", "c": "of c"}
    assert export.asked == {"a": 1, "b": 1, "c": 1}
    assert shop.times("GET /more") >= 2


@pytest.mark.fault(42)
@pytest.mark.slow
async def test_a_file_that_fails_early_costs_nothing(tmp_path: Path, sqlite_url: str) -> None:
    """Its job is polled on, more often than downloads may fail, and has it in the end."""
    export = Export(*[(202, ("a",))] * 12, (200, ("a",)))
    failing = iter(range(9))

    async def file(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500) if next(failing, None) is not None else web.Response(text="of a")

    async with serving(tmp_path, sqlite_url, MANIFEST, export.answers | {"GET /files/a": file}) as (_, running):
        job = await running.run()
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert await _files(running, job.id) == {"a": "of a"}
        assert "a file of the unfinished remote job was not fetched yet: HTTP 500" in json.dumps(
            [entry.detail for entry in await running.jobs.history(job.id)]
        )


@pytest.mark.slow
async def test_the_last_list_decides(tmp_path: Path, sqlite_url: str) -> None:
    """A server that lies: a file that it listed early is not in the result, and leaves nothing behind."""
    export = Export((202, ("x", "a")), (200, ("a",)))
    async with serving(tmp_path, sqlite_url, MANIFEST, export.answers) as (_, running):
        job = await running.run()
        assert await _files(running, job.id) == {"a": "of a"}
        (folder,) = running.root.glob("shop/report/*/*/*/*")
        assert len(list(folder.iterdir())) == 2
    assert export.asked == {"x": 1, "a": 1}


@pytest.mark.slow
async def test_other_files_at_each_poll(tmp_path: Path, sqlite_url: str) -> None:
    """A server that lies could fill the storage so: no more land early than a job may have."""
    export = Export(*[(202, (name,)) for name in "abcdef"], (200, ("f",)))
    account = "bounds = { most_files = 3 }"
    async with serving(tmp_path, sqlite_url, MANIFEST, export.answers, account) as (_, running):
        job = await running.run()
        assert await _files(running, job.id) == {"f": "of f"}
    assert export.asked == {"a": 1, "b": 1, "c": 1, "f": 1}


@pytest.mark.slow
async def test_replies_that_list_only_what_is_new(tmp_path: Path, sqlite_url: str) -> None:
    """The links add up over the polls: an early file that fails once is not listed again, and has landed in the end."""
    export = Export((202, ("a",)), (202, ()), (202, ("b",)), (200, ("c",)))
    failing = iter(range(1))

    async def file(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500) if next(failing, None) is not None else await export._file(request)

    async with serving(tmp_path, sqlite_url, NEW, export.answers | {"GET /files/a": file}) as (_, running):
        job = await running.run()
        assert (job.state, job.reason, job.links) == (State.SUCCEEDED, None, ())
        assert await _files(running, job.id) == {"a": "of a", "b": "of b", "c": "of c"}
    assert export.asked == {"a": 1, "b": 1, "c": 1}


@pytest.mark.slow
async def test_a_daemon_that_stops_between_two_polls(tmp_path: Path, sqlite_url: str) -> None:
    """What earlier replies have listed is stored with the outcome of each poll, and survives the process."""
    export = Export((202, ("a", "b")), (202, ("x",)), (200, ("c",)))
    export.held = "x"
    async with open_provider(export.answers) as shop:
        config = config_for(tmp_path, NEW, shop.url, sqlite_url)
        config = config.model_copy(update={"worker": config.worker.model_copy(update={"drain_s": 0.1})})
        async with daemon_for(config) as running:
            job = await running.submit()
            await export.is_held.wait()
        export.held = None
        export.hold.set()
        async with daemon_for(config) as running:
            job = await running.until(job.id)
            assert (job.state, job.reason) == (State.SUCCEEDED, None)
            assert set(await _files(running, job.id)) == {"a", "b", "x", "c"}
    assert export.asked == {"a": 1, "b": 1, "x": 2, "c": 1}
    assert export.polls == 3


@pytest.mark.slow
async def test_new_files_without_end(tmp_path: Path, sqlite_url: str) -> None:
    """A server that lies: its job ends when the links of all replies are more than a job may have."""
    export = Export(*[(202, (name,)) for name in "abcd"], (200, ()))
    async with serving(tmp_path, sqlite_url, NEW, export.answers, "bounds = { most_files = 3 }") as (_, running):
        job = await running.run()
    assert job.state is State.FAILED
    assert job.reason is not None
    assert "the provider lists 4 files, and 3 are permitted" in job.reason


@pytest.mark.parametrize(
    "body",
    [
        {"output": "nonsense"},
        {"output": [{"type": "a"}]},
        {"output": [{"type": "a", "url": "ftp://x"}]},
        {"output": {"url": 5}},
        {"other": 1},
        b"<html>",
    ],
)
@pytest.mark.slow
async def test_an_early_list_with_a_fault_is_ignored(body: object, tmp_path: Path, sqlite_url: str) -> None:
    """The remote job goes on, and the reply that says ready has its own list."""
    done = answering({"output": _output("a")})
    left = [answering(body, status=202), done]

    async def status(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    answers = Export((200, ("a",))).answers | {"GET /status": status}
    async with serving(tmp_path, sqlite_url, MANIFEST, answers) as (_, running):
        job = await running.run()
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert await _files(running, job.id) == {"a": "of a"}
        assert "PartLanded" not in await running.outcomes(job.id)


@pytest.mark.slow
async def test_a_daemon_that_stops_in_an_early_download(tmp_path: Path, sqlite_url: str) -> None:
    """The next one lands the rest of the list, and polls on; nothing is asked for twice but the file under way."""
    export = Export((202, ("a", "b")), (200, ("a", "b", "c")))
    export.held = "b"
    async with open_provider(export.answers) as shop:
        config = config_for(tmp_path, MANIFEST, shop.url, sqlite_url)
        config = config.model_copy(update={"worker": config.worker.model_copy(update={"drain_s": 0.1})})
        async with daemon_for(config) as running:
            job = await running.submit()
            await export.is_held.wait()
        export.held = None
        export.hold.set()
        async with daemon_for(config) as running:
            job = await running.until(job.id)
            assert job.state is State.SUCCEEDED
            assert await _files(running, job.id) == {"a": "of a", "b": "of b", "c": "of c"}
    assert export.asked == {"a": 1, "b": 2, "c": 1}
    assert export.polls == 2


@pytest.mark.slow
async def test_a_running_remote_job_counts_while_its_files_land(tmp_path: Path, sqlite_url: str) -> None:
    """The limit of remote jobs holds back the next submit, although the job is fetching."""
    export = Export((202, ("a",)), (200, ("a",)))
    export.held = "a"
    account = "limits = { remote_jobs = 1 }"
    async with serving(tmp_path, sqlite_url, MANIFEST, export.answers, account) as (shop, running):
        first = await running.submit()
        await export.is_held.wait()
        second = await running.submit()
        assert (await running.until(first.id, State.FETCHING)).has_remote_job
        assert await running.jobs.remote(first.lane) == {first.id}
        await asyncio.sleep(0.3)  # the lane has looked at the second job several times
        assert (await running.until(second.id, State.QUEUED)).submits == 0
        assert shop.times("POST /reports") == 1
        export.hold.set()
        await running.until(second.id)
