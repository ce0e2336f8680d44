"""A large download whose daemon is killed: the next one goes on from the last 64 MiB, and the bytes are right."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.killable_daemon import serving_process, submitted_by_command
from tests.support.scripted_provider import answering, config_for, open_provider
from tests.worker.file_lists import LISTED, lists
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain.job import State

MIB = 2**20
ETAG = '"v1"'
SIZE, SENT = 80, 71  # MiB: of the file, and before the kill


def _mib(number: int) -> bytes:
    return number.to_bytes(4, "big") * (MIB // 4)


@pytest.mark.fault(3)
@pytest.mark.slow
async def test_a_large_download_survives_a_kill(tmp_path: Path) -> None:
    """It asks for the rest, if the file is still the same one."""
    url = f"sqlite:///{tmp_path}/tidewaiter.db"
    asked: list[tuple[int, str | None]] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        asked.append((start, request.headers.get("If-Range")))
        headers = {"ETag": ETAG, "Content-Length": str(SIZE * MIB - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{SIZE * MIB - 1}/{SIZE * MIB}"
        reply = web.StreamResponse(status=206 if start else 200, headers=headers)
        await reply.prepare(request)
        await reply.write(_mib(start // MIB)[start % MIB :])
        for number in range(start // MIB + 1, SIZE if len(asked) > 1 else SENT):
            await reply.write(_mib(number))
        if len(asked) == 1:
            await asyncio.sleep(3600)  # whoever asked is killed meanwhile
        return reply

    answers = lists([("/large", "large"), ("/small", "small")])
    async with open_provider({**answers, "GET /large": serve, "GET /small": answering(b"small")}) as shop:
        config_for(tmp_path, LISTED, shop.url, url)
        migrate.upgrade(url)
        database = Database.open(url, SystemClock())
        try:
            jobs, partial = JobStore(database), tmp_path / "landed" / ".partial"
            async with asyncio.timeout(120):
                with serving_process(tmp_path):
                    await submitted_by_command(tmp_path)
                    while _size_of_part(partial) < 70 * MIB:  # noqa: ASYNC110  # another process writes it
                        await asyncio.sleep(0.05)
                with serving_process(tmp_path):
                    while (job := await jobs.get(1)) is None or job.state is State.FETCHING:  # noqa: ASYNC110  # the same
                        await asyncio.sleep(0.1)
            large, _ = await jobs.artifacts(1)
        finally:
            await database.close()
    assert job.state is State.SUCCEEDED
    assert [if_range for _, if_range in asked] == [None, ETAG]
    assert 64 * MIB <= asked[1][0] < 66 * MIB  # at the end of a block
    whole = hashlib.sha256()
    for number in range(SIZE):
        whole.update(_mib(number))
    with (tmp_path / "landed" / large.key).open("rb") as file:
        assert large.sha256 == whole.hexdigest() == hashlib.file_digest(file, "sha256").hexdigest()
    assert list(partial.iterdir()) == []


def _size_of_part(partial: Path) -> int:
    return sum(one.stat().st_size for one in partial.glob("**/*.part"))
