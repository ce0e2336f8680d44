"""A list of very many files does not block the event loop."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import pytest

from tests.support.scripted_provider import answering, open_provider, serving
from tests.worker.file_lists import LISTED, lists, reason_to_wait
from tidewaiter.domain.file_identity import identities
from tidewaiter.domain.file_names import free_places
from tidewaiter.worker.file_hosts import FileHosts

_TURN = asyncio.BaseEventLoop._run_once  # type: ignore[attr-defined]


@contextmanager
def calls_in_one_turn() -> Iterator[dict[CodeType, int]]:
    """How often the loop's thread has called each function within one turn of the loop, at most."""
    most: dict[CodeType, int] = {}
    now: dict[CodeType, int] = {}

    def count(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if code is _TURN.__code__:
            now.clear()
        elif event == "call":
            now[code] = now.get(code, 0) + 1
            most[code] = max(most.get(code, 0), now[code])

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield most
    finally:
        sys.setprofile(before)


@pytest.mark.slow
async def test_a_long_list_does_not_hold_up_the_loop(tmp_path: Path, sqlite_url: str) -> None:
    """What its files are and where they land is found in a thread; files of a closed host are passed over in pieces."""
    busy = answering(b"", status=429, headers={"Retry-After": "60"})
    async with open_provider({"GET /0": busy}) as host:
        answers = lists([(f"{host.url}/{number}", f"part-{number}") for number in range(2000)])
        async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
            with calls_in_one_turn() as most:
                job = await running.submit()
                assert "429" in await reason_to_wait(running, job.id)
            assert host.asked == ["GET /0"]
    assert 0 < most[FileHosts.check.__code__] <= 500
    assert identities.__code__ not in most
    assert free_places.__code__ not in most


@pytest.mark.slow
async def test_the_line_of_a_finished_job_is_bounded(tmp_path: Path, sqlite_url: str) -> None:
    """It counts all files and has the checksums of the first; a line of megabytes would hold up the loop."""
    answers = lists([(f"/a?part={number}", f"part-{number}") for number in range(120)]) | {"GET /a": answering(b"A")}
    async with serving(tmp_path, sqlite_url, LISTED, answers) as (_, running):
        job = await running.run()
        (line,) = await running.logged("job.finished")
        listed = (await running.manifest(job))["artifacts"]
    assert isinstance(listed, list)
    assert line["files"] == len(listed) == 120
    assert line["sha256"] == [one["sha256"] for one in listed[:100]]
