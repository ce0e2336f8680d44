"""The storage gate: closed by a step that found the storage full, opened by a trial write that succeeds."""

import asyncio
import io
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.support.log_lines import log_lines
from tests.support.virtual_time import virtual_time
from tidewaiter.log import configure
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.worker.storage_gate import StorageGate

T = TypeVar("T")


async def _in_place(work: Callable[[], T], /) -> T:
    return work()


def test_14_it_opens_by_itself(tmp_path: Path) -> None:
    """As long as the trial fails, nothing begins; as soon as it succeeds, downloads go on."""
    root = tmp_path / "landed"
    root.write_bytes(b"no folder, so nothing can be stored")

    async def story() -> list[bool]:
        gate = StorageGate(LocalStorage(root, _in_place), clock, log)
        running = asyncio.ensure_future(gate.run())
        is_open = [gate.open.is_set()]
        gate.close("the disk is full")
        await clock.sleep(20.0)
        is_open.append(gate.open.is_set())
        root.unlink()
        await clock.sleep(20.0)
        is_open.append(gate.open.is_set())
        running.cancel()
        await asyncio.wait([running])
        return is_open

    with virtual_time() as (loop, clock):
        output = io.StringIO()
        log = configure("json", "info", [], clock=clock, stream=output, strict=True)
        assert loop.run_until_complete(story()) == [True, False, True]
        log.close()
    events = [line["event"] for line in log_lines(output)]
    assert events == ["storage.paused", "storage.paused", "storage.resumed"]
    assert stat.S_ISDIR(root.stat().st_mode)
