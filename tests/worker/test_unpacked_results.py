"""Archives as results, through the real daemon: their members land, all or none, and the manifest names both."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.scripted_provider import Answer, Running, answering, serving
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import folder_of as place_of

START = """
[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { running = "pending", done = "ready" } }]
"""
ONE = (
    START
    + """
[operations.report.results]
url = "/jobs/${handle}/export.zip"
unpack = "zip"
"""
)
FILES = {"2024/rows.csv": b"a,b\n1,2\n", "2025/rows.csv": b"a,b\n3,4\n", "readme": b""}
POLLED = {"POST /jobs": answering({"id": 7}), "GET /jobs/7": answering({"state": "done"})}


def zipped(files: dict[str, bytes] | None = None) -> bytes:
    """A ZIP archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (FILES if files is None else files).items():
            archive.writestr(name, content)
    return data.getvalue()


def tarred() -> bytes:
    """The same files as tar.gz."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(data.getvalue())


def folder_of(running: Running, job: Job) -> Path:
    """The folder of the job's files."""
    (found,) = running.root.glob(f"shop/report/*/*/*/{job.id}")
    return found


def names_in(running: Running, job: Job) -> list[str]:
    """The names of the job's files."""
    return sorted(path.name for path in folder_of(running, job).iterdir())


async def check_members(running: Running, job: Job, archive: bytes, name: str) -> None:
    """Every member has landed, the archive has not, and the manifest names both."""
    assert job.state is State.SUCCEEDED, job.reason
    assert names_in(running, job) == ["001-rows.csv", "002-rows.csv", "003-readme", "manifest.json"]
    manifest = await running.manifest(job)
    artifacts = manifest["artifacts"]
    assert isinstance(artifacts, list)
    for artifact, (path, content) in zip(artifacts, FILES.items(), strict=True):
        assert (folder_of(running, job) / artifact["name"]).read_bytes() == content
        assert (artifact["size"], artifact["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (artifact["member"], artifact["label"]) == (path, path)
        whole = {"name": name, "size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
        assert artifact["archive"] == whole
    assert not list((running.root / ".partial").glob("*.part"))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.slow
async def test_the_members_of_one_archive_land(tmp_path: Path, sqlite_url: str, kind: str) -> None:
    """In their order, each with its path in the archive."""
    data = zipped() if kind == "zip" else tarred()
    answers = {**POLLED, "GET /jobs/7/export.zip": answering(data)}
    spec = ONE.replace('unpack = "zip"', f'unpack = "{kind}"')
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        await check_members(running, await running.run(), data, "export.zip")


@pytest.mark.slow
async def test_an_archive_of_one_file_and_one_of_none(tmp_path: Path, sqlite_url: str) -> None:
    """One file has no number before its name; no file is a success without files."""
    answers = {**POLLED, "GET /jobs/7/export.zip": answering(zipped({"a/rows.csv": b"1"}), zipped({}))}
    async with serving(tmp_path, sqlite_url, ONE, answers) as (_, running):
        job = await running.run()
        assert names_in(running, job) == ["manifest.json", "rows.csv"]
        empty = await running.run()
        assert empty.state is State.SUCCEEDED
        assert names_in(running, empty) == ["manifest.json"]


@pytest.mark.slow
async def test_the_reply_of_a_poll_is_an_archive(tmp_path: Path, sqlite_url: str) -> None:
    """Inline results are unpacked, too; and so is a reply that is one file in gzip."""
    data = zipped()
    answers = {"POST /jobs": answering({"id": 7}), "GET /jobs/7": answering(data)}
    spec = START.replace('rules = [{ word = "state", words = { running = "pending", done = "ready" } }]',
                         'rules = [{ status = 200, then = "ready" }]')  # fmt: skip
    inline = spec + '[operations.report.results]\ninline = true\nlabel = "export.zip"\nunpack = "zip"\n'
    async with serving(tmp_path, sqlite_url, inline, answers) as (_, running):
        await check_members(running, await running.run(), data, "export.zip")
    answers["GET /jobs/7"] = answering(gzip.compress(b"a,b\n"), headers={"Content-Type": "application/gzip"})
    packed = spec + '[operations.report.results]\ninline = true\nlabel = "rows.csv.gz"\nunpack = "gzip"\n'
    folder = tmp_path / "gzip"
    folder.mkdir()
    async with serving(folder, sqlite_url, packed, answers) as (_, running):
        job = await running.run()
        assert await running.file(job.id) == b"a,b\n"
        assert names_in(running, job) == ["manifest.json", "rows.csv"]


SEVERAL = (
    START
    + """
[operations.report.results]
files = { each = "files", url = "url", label = "name" }
unpack = "zip"
"""
)


def listed(*names: str) -> dict[str, Answer]:
    """A remote job with these archives."""
    files = [{"url": f"/files/{name}", "name": name} for name in names]
    return {"POST /jobs": answering({"id": 7}), "GET /jobs/7": answering({"state": "done", "files": files})}


@pytest.mark.slow
async def test_of_several_archives_the_whole_ones_are_kept(tmp_path: Path, sqlite_url: str) -> None:
    """The second is damaged at first: only that one is asked for again, and none of its members stays."""
    first, second = zipped({"a.csv": b"1", "b.csv": b"2"}), zipped({"a.csv": b"3" * 5000, "c.csv": b"4"})
    broken = second[:60] + bytes([second[60] ^ 0xFF]) + second[61:]
    asked: list[str] = []

    async def give(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if request.path.endswith("one.zip"):
            return web.Response(body=first)
        return web.Response(body=broken if asked.count(request.path) == 1 else second)

    answers = {**listed("one.zip", "two.zip"), "GET /files/one.zip": give, "GET /files/two.zip": give}
    async with serving(tmp_path, sqlite_url, SEVERAL, answers) as (_, running):
        job = await running.run()
        assert job.state is State.SUCCEEDED, job.reason
        assert asked == ["/files/one.zip", "/files/two.zip", "/files/two.zip"]
        manifest = await running.manifest(job)
        artifacts = manifest["artifacts"]
        assert isinstance(artifacts, list)
        assert [(one["number"], one["archive"]["name"], one["member"]) for one in artifacts] == [
            (0, "one.zip", "a.csv"),
            (1, "one.zip", "b.csv"),
            (2, "two.zip", "a.csv"),
            (3, "two.zip", "c.csv"),
        ]
        contents = [(folder_of(running, job) / one["name"]).read_bytes() for one in artifacts]
        assert contents == [b"1", b"2", b"3" * 5000, b"4"]
        assert len(names_in(running, job)) == 5
        recorded = await running.jobs.artifacts(job.id)
        assert [one.number for one in recorded] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (zipped({"a.csv": b"1", "../../escape": b"2"}), "a member whose path leads out of it: '../../escape'"),
        (zipped({str(n): b"" for n in range(4)}), "more than 3 members"),
        (zipped({"a.csv": bytes(3000)}), "more than the 2000 of bounds.largest_file_bytes"),
    ],
)
async def test_a_hostile_archive_lands_nothing(tmp_path: Path, sqlite_url: str, data: bytes, why: str) -> None:
    """The job fails with the sentence; no member and no archive stays."""
    account = "bounds = { most_files = 3, largest_file_bytes = 2000 }"
    answers = {**POLLED, "GET /jobs/7/export.zip": answering(data)}
    async with serving(tmp_path, sqlite_url, ONE, answers, account) as (shop, running):
        job = await running.run()
        assert job.state is State.FAILED
        assert why in (job.reason or "")
        assert [path for path in running.root.rglob("*") if path.is_file()] == []
        assert shop.times("GET /jobs/7/export.zip") == 1
        assert await running.jobs.artifacts(job.id) == []


@pytest.mark.slow
async def test_a_step_that_was_killed_and_an_archive_that_turned_hostile(tmp_path: Path, sqlite_url: str) -> None:
    """The members of the killed step go, although no later step succeeds."""
    stage: list[Running] = []
    left: list[Path] = []

    async def archive(_: web.Request) -> web.StreamResponse:
        if shop.times("GET /jobs/7/export.zip") > 1:
            return web.Response(body=zipped({"../escape": b"1"}))
        # As if a step before this one had been killed between two members.
        job = await stage[0].jobs.get(1)
        assert job is not None
        folder = stage[0].root / place_of(job.account, job.operation, job.created_at, job.id)
        folder.mkdir(parents=True)
        for name in ("001-rows.csv", "_archive-0"):
            left.append(folder / name)
            left[-1].write_bytes(b"1")
        return web.Response(status=500)

    answers: dict[str, Answer] = {**POLLED, "GET /jobs/7/export.zip": archive}
    async with serving(tmp_path, sqlite_url, ONE, answers) as (shop, running):
        stage.append(running)
        job = await running.run()
        assert (job.state, shop.times("GET /jobs/7/export.zip"), len(left)) == (State.FAILED, 2, 2)
        assert [path for path in running.root.rglob("*") if path.is_file()] == []


async def test_the_bound_of_files_counts_all_archives(tmp_path: Path, sqlite_url: str) -> None:
    """Two archives of two files are four files."""
    account = "bounds = { most_files = 3 }"
    first, second = zipped({"a": b"1", "b": b"2"}), zipped({"c": b"3", "d": b"4"})
    answers = {**listed("one.zip", "two.zip"), "GET /files/one.zip": answering(first)}
    answers["GET /files/two.zip"] = answering(second)
    async with serving(tmp_path, sqlite_url, SEVERAL, answers, account) as (_, running):
        job = await running.run()
        assert job.state is State.FAILED
        assert "more than 1 members, and bounds.most_files of the account permits no more files" in (job.reason or "")


@pytest.mark.slow
async def test_the_bound_of_files_counts_members_that_landed_early_once(tmp_path: Path, sqlite_url: str) -> None:
    """Four files are permitted, two have landed while the job runs, and the next archive has two."""
    account = "bounds = { most_files = 4 }"
    first, second = zipped({"a": b"1", "b": b"2"}), zipped({"c": b"3", "d": b"4"})
    both = [{"url": f"/files/{name}", "name": name} for name in ("1.zip", "2.zip")]
    one = both[:1]
    answers = {
        "POST /jobs": answering({"id": 7}),
        "GET /jobs/7": answering(
            {"state": "running", "files": one}, {"state": "running", "files": both}, {"state": "done", "files": both}
        ),
        "GET /files/1.zip": answering(first),
        "GET /files/2.zip": answering(second),
    }
    spec = SEVERAL.replace('unpack = "zip"', 'unpack = "zip"\nwhile_running = "files"')
    async with serving(tmp_path, sqlite_url, spec, answers, account) as (shop, running):
        job = await running.run()
        assert (job.state, job.reason) == (State.SUCCEEDED, None)
        assert [one.label for one in await running.jobs.artifacts(job.id)] == ["a", "b", "c", "d"]
        assert (await running.outcomes(job.id)).count("PartLanded") == 2
    assert shop.times("GET /files/") == 2


@pytest.mark.slow
async def test_an_announced_digest_is_that_of_the_archive(tmp_path: Path, sqlite_url: str) -> None:
    """It is compared before anything is unpacked."""
    data = zipped()
    spec = SEVERAL.replace('label = "name"', 'label = "name", sha256 = "sha256", size = "size"')
    file = {"url": "/files/e.zip", "name": "export.zip", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    answers = {
        "POST /jobs": answering({"id": 7}),
        "GET /jobs/7": answering({"state": "done", "files": [file]}),
        "GET /files/e.zip": answering(data),
    }
    async with serving(tmp_path, sqlite_url, spec, answers) as (_, running):
        await check_members(running, await running.run(), data, "export.zip")


SHARED = """
[operations.report.answers]
fresh_s = 3600

[operations.report.submit]
url = "/jobs"
rules = [{ status = 200, then = "ready" }]

[operations.report.results]
inline = true
label = "export.zip"
unpack = "zip"
"""


@pytest.mark.slow
async def test_a_shared_result_names_its_archive(tmp_path: Path, sqlite_url: str) -> None:
    """The copies of another job's files came from the same archive."""
    data = zipped()
    async with serving(tmp_path, sqlite_url, SHARED, {"POST /jobs": answering(data)}) as (shop, running):
        await check_members(running, await running.run(), data, "export.zip")
        await check_members(running, await running.run(), data, "export.zip")
        assert shop.times("POST /jobs") == 1
