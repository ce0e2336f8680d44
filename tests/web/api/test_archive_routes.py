"""All files of a job as one archive: whole, with their names, or not at all."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.support.api_server import ApiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.manifest import Artifact
from tidewaiter.web.api.archive_routes import archive_names

FILE = Artifact(0, "opens.csv", "", "k", 1, "", "text/csv", 1_750_000_000.0)


async def _landed(site: ApiServer, *contents: bytes) -> tuple[int, list[Artifact]]:
    number = int((await site.submitted())["id"])
    files = []
    for place, content in enumerate(contents):
        key = f"quay/report/{number}/{place}.csv"
        landed = await site.storage.put(key, content)
        name = "отчёт 1.csv" if place else "opens.csv"
        files.append(replace(FILE, number=place, name=name, key=key, size=landed.size, sha256=landed.sha256))
    await site.step(number, o.Intended("i"), o.Accepted(f"r-{number}"), o.Ready(), o.Stored(tuple(files)))
    return number, files


async def test_all_files_come_in_one_archive(site: ApiServer) -> None:
    """Every file has its bytes, its name and its time, and entries are ready for any size."""
    contents = (b"a,b\n" * 700_000, b"")
    number, _ = await _landed(site, *contents)
    reply = await site.get(f"/v1/jobs/{number}/artifacts.zip")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/zip"
    assert f'filename="job-{number}.zip"' in reply.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["opens.csv", "отчёт 1.csv"]
        assert tuple(archive.read(name) for name in archive.namelist()) == contents
        assert archive.infolist()[0].date_time == (2025, 6, 15, 15, 6, 40)
    assert int.from_bytes(reply.body[4:6], "little") == zipfile.ZIP64_VERSION
    head = await site.call("HEAD", f"/v1/jobs/{number}/artifacts.zip")
    assert (head.status, head.body) == (200, b"")


async def test_no_archive_without_files(site: ApiServer) -> None:
    """A job without files, and no job, is 404; a file that is gone or has changed is 410 before the first byte."""
    number = int((await site.submitted())["id"])
    (await site.get(f"/v1/jobs/{number}/artifacts.zip")).problem(404)
    (await site.get("/v1/jobs/999/artifacts.zip")).problem(404)
    number, files = await _landed(site, b"first", b"second")
    await site.storage.remove(files[0].key)
    (await site.get(f"/v1/jobs/{number}/artifacts.zip")).problem(410)
    assert site.logged("artifact.unreadable")[-1]["key"] == files[0].key


async def test_what_the_storage_cannot_read_is_no_fault_of_the_program(site: ApiServer) -> None:
    """A link in the place of a file is told as the storage's failure, as for a single file."""
    number, files = await _landed(site, b"first", b"second")
    root = site.folder / "landed"
    path = root / files[0].key
    path.unlink()
    path.symlink_to(root / files[1].key)
    reply = await site.get(f"/v1/jobs/{number}/artifacts.zip")
    assert "storage cannot read" in reply.problem(500)["detail"]
    assert [line["key"] for line in site.logged("artifact.unreadable")] == [files[0].key]
    assert not site.logged("http.failed")


async def test_a_part_never_looks_whole(site: ApiServer) -> None:
    """If a later file is gone, the connection is aborted, and the caller sees that."""
    number, files = await _landed(site, b"first" * 100_000, b"second")
    await site.storage.remove(files[1].key)
    with pytest.raises(aiohttp.ClientError):
        await site.get(f"/v1/jobs/{number}/artifacts.zip")


def test_names_are_plain_and_differ() -> None:
    """No name leads out of the folder where it is unpacked, and no file overwrites another."""
    names = ("../../etc/passwd", "a.csv", "A.CSV", "..", "c:\\x", "a\x00b")
    found = archive_names([replace(FILE, number=place, name=name) for place, name in enumerate(names)])
    assert found == ["_.._etc_passwd", "a.csv", "2-A.CSV", "file", "c__x", "a_b"]
    assert all(Path(name).name == name for name in found)
