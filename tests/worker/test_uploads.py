"""Requests with text and files, through the real daemon: what arrives, and which files are never sent."""

import asyncio
import os
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering, serving
from tidewaiter.domain.job import State
from tidewaiter.services import DAEMON

REST = """
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { running = "pending", done = "ready" } }]

[operations.report.results]
url = "/jobs/${handle}/rows.csv"
"""
FILES = (
    """
[operations.report.params]
path = { help = "a path", required = false }
from = { help = "a job", required = false }
text = { help = "a text", required = false }

[operations.report.submit]
url = "/jobs"
handle = "id"

[[operations.report.submit.multipart.files]]
name = "given"
from_file = "${params.path}"

[[operations.report.submit.multipart.files]]
name = "landed"
from_job = "${params.from}"

[[operations.report.submit.multipart.files]]
name = "written"
text = "${params.text}"
file_name = "requests.jsonl"

[operations.report.submit.multipart.fields]
purpose = "batch"
note = "${params.text}"
"""
    + REST
)
BEFORE_SUBMIT = """
[operations.report.params]
path = { help = "a path" }

[[operations.report.before]]
name = "upload"
url = "/files"

[[operations.report.before.multipart.files]]
name = "given"
from_file = "${params.path}"

[operations.report.submit]
url = "/jobs"
handle = "id"
"""


class Api:
    """The API: what came in each submit."""

    def __init__(self) -> None:
        self.parts: list[dict[str, tuple[str, str, bytes]]] = []
        self.bodies: list[bytes] = []

    def answers(self) -> dict[str, Answer]:
        """By method and path."""
        return {
            "POST /jobs": self.take,
            "GET /jobs/7": answering({"state": "done"}),
            "GET /jobs/7/rows.csv": answering(b"a,b\n", headers={"Content-Type": "text/csv"}),
        }

    async def take(self, request: web.Request) -> web.StreamResponse:
        found: dict[str, tuple[str, str, bytes]] = {}
        if request.content_type == "multipart/form-data":
            # A file of this framework is read from the connection, so the body cannot be read twice.
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    found[name] = value.filename, value.content_type, value.file.read()
                else:
                    found[name] = "", "", str(value).encode()
        else:
            self.bodies.append(await request.read())
        self.parts.append(found)
        return web.json_response({"id": 7})


def uploads(folder: Path, more: str = "") -> str:
    """The keys of the account."""
    (folder / "in" / "2024").mkdir(parents=True, exist_ok=True)
    return f'uploads = ["{folder / "in"}"]\n{more}'


async def run(running: Running, **params: str) -> str | None:
    """Why a job has ended; ``None`` if it has succeeded."""
    job = await running.run(**params)
    return None if job.state is State.SUCCEEDED else f"{job.state}: {job.reason}"


@pytest.mark.slow
async def test_fields_and_files_arrive(tmp_path: Path, sqlite_url: str) -> None:
    """From a folder by either path, from a landed job, and from a text; what has no value is left out."""
    api, account = Api(), uploads(tmp_path)
    (tmp_path / "in" / "2024" / "given.bin").write_bytes(bytes(range(256)))
    async with serving(tmp_path, sqlite_url, FILES, api.answers(), account) as (_, running):
        first = await running.run(path="2024/given.bin")
        assert first.state is State.SUCCEEDED, first.reason
        absolute = str(tmp_path / "in" / "2024" / "given.bin")
        assert await run(running, path=absolute, **{"from": str(first.id), "text": '{"é": 1}\n'}) is None
        (artifact,) = await running.jobs.artifacts(first.id)
        assert await run(running, **{"from": f"{first.id}/{artifact.name}"}) is None
    given = ("given.bin", "application/octet-stream", bytes(range(256)))
    assert api.parts[0] == {"purpose": ("", "", b"batch"), "given": given}
    assert api.parts[1] == {
        "purpose": ("", "", b"batch"),
        "note": ("", "", '{"é": 1}\n'.encode()),
        "given": given,
        "landed": ("rows.csv", "text/csv", b"a,b\n"),
        "written": ("requests.jsonl", "text/plain; charset=utf-8", '{"é": 1}\n'.encode()),
    }
    assert api.parts[2]["landed"] == ("rows.csv", "text/csv", b"a,b\n")


@pytest.mark.slow
async def test_files_that_are_not_sent(tmp_path: Path, sqlite_url: str) -> None:
    """Each job ends with a sentence; nothing was sent, and no intent was stored."""
    api, account = Api(), uploads(tmp_path, "bounds = { largest_upload_bytes = 100 }")
    inside, outside = tmp_path / "in", tmp_path / "secret"
    outside.write_text("canary-of-the-operator")
    (inside / "link").symlink_to(outside)
    (inside / "door").symlink_to(tmp_path)
    (inside / "large").write_bytes(bytes(101))
    (inside / ".hidden").write_bytes(b"1")
    os.mkfifo(inside / "pipe")
    async with serving(tmp_path, sqlite_url, FILES, api.answers(), account) as (shop, running):
        for path, why in [
            ("missing", f"there is no file 'missing' in {inside}, which accounts.shop.uploads names"),
            ("2024", "'2024' is no regular file"),
            ("../secret", "may lead out of the folders for uploads"),
            ("2024/../../secret", "may lead out of the folders for uploads"),
            ("..\\secret", "may lead out of the folders for uploads"),
            (str(outside), "there is no file"),
            ("/etc/passwd", "there is no file"),
            ("link", "is a symbolic link, or behind one, which is not followed"),
            ("door/secret", "is a symbolic link, or behind one, which is not followed"),
            ("pipe", "'pipe' is no regular file"),
            (".hidden", "names no file that may be sent"),
            ("large", "which is accounts.shop.bounds.largest_upload_bytes"),
        ]:
            job = await running.run(path=path)
            assert (job.state, job.intent_key) == (State.FAILED, None)
            assert why in (job.reason or ""), job.reason
        for number, why in [
            ("1", "job 1 has not succeeded, so its files are not sent: it is failed"),
            ("999", "'999' names no job of account shop"),
            ("x", "'x' names no job of account shop"),
            ("-1", "'-1' names no job of account shop"),
        ]:
            assert why in str(await run(running, **{"from": number}))
        assert shop.asked == []
        done = await running.run()
        assert "has no file 'other.csv' (its files: rows.csv)" in str(
            await run(running, **{"from": f"{done.id}/other.csv"})
        )
        (artifact,) = await running.jobs.artifacts(done.id)
        landed = running.root / artifact.key
        for changed in (b"", b"x,y\n", b"a,b\n1,2\n"):
            await asyncio.to_thread(landed.write_bytes, changed)
            assert "is not as it landed, or was removed" in str(await run(running, **{"from": str(done.id)}))
        assert "canary-of-the-operator" not in running.output.getvalue()


async def test_without_folders_nothing_is_sent(tmp_path: Path, sqlite_url: str) -> None:
    """The message names the key."""
    api = Api()
    async with serving(tmp_path, sqlite_url, FILES, api.answers()) as (shop, running):
        why = await run(running, path="/etc/passwd")
        assert "because accounts.shop.uploads names no folder" in str(why)
        assert shop.asked == []


async def test_a_job_of_another_account_is_not_sent(tmp_path: Path, sqlite_url: str) -> None:
    """Who may use one account could otherwise read the files of another."""
    api = Api()
    more = '[accounts.other]\nprovider = "shop"\nallow_private = true\nsettings = { server = "http://127.0.0.1:9" }\n'
    async with serving(tmp_path, sqlite_url, FILES, api.answers(), more) as (_, running):
        done = await running.run()
        assert done.state is State.SUCCEEDED
        other, _ = await running.service.submit("other", "report", {"from": str(done.id)}, actor=DAEMON)
        ended = await running.until(other.id)
        assert f"'{done.id}' names no job of account other" in (ended.reason or "")


TEXT = (
    """
[operations.report.params]
text = { help = "a text" }

[operations.report.submit]
url = "/jobs"
handle = "id"
text = "select ${params.text}"
headers = { Content-Type = "application/sql" }
"""
    + REST
)


async def test_text_arrives(tmp_path: Path, sqlite_url: str) -> None:
    """Byte for byte, in UTF-8."""
    api = Api()
    async with serving(tmp_path, sqlite_url, TEXT, api.answers()) as (_, running):
        assert await run(running, text="'é', \"x\"\nfrom t") is None
    assert api.bodies == ["select 'é', \"x\"\nfrom t".encode()]


@pytest.mark.slow
async def test_a_file_that_is_missing_before_the_submit_keeps_no_place_in_the_window(
    tmp_path: Path, sqlite_url: str
) -> None:
    """Nothing was sent, so the next job of an account with spaced requests has its turn."""
    spec = BEFORE_SUBMIT + REST
    async with serving(tmp_path, sqlite_url, spec, Api().answers(), "limits = { spacing_s = 0.05 }") as (shop, running):
        jobs = [await running.submit(path="rows.csv") for _ in range(2)]
        ended = [await running.until(job.id, within_s=10) for job in jobs]
    assert [job.state for job in ended] == [State.FAILED, State.FAILED]
    assert all("names no folder" in (job.reason or "") for job in ended)
    assert shop.asked == []
