"""A step that is interrupted while the folder of its files is synced keeps the files that have landed."""

import asyncio
import os
import stat
import threading
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.byte_servers import answering
from tests.support.spec_samples import job_with, operation_of
from tests.worker.download_setup import SPEC, downloading, whole
from tidewaiter.clock import SystemClock
from tidewaiter.domain.file_identity import identities
from tidewaiter.domain.http_values import Link
from tidewaiter.worker.file_hosts import FileHosts
from tidewaiter.worker.job_download import DownloadTools, ListDownload
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.step_context import StepContext

_UNUSED: Any = None


@pytest.mark.slow
async def test_what_has_landed_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interruption comes while the names of two files become durable: the outcome records both."""
    real, goes_on, begun, loop = os.fsync, threading.Event(), asyncio.Event(), asyncio.get_running_loop()

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            loop.call_soon_threadsafe(begun.set)
            goes_on.wait(30)
        real(descriptor)

    root, clock = tmp_path / "root", SystemClock()
    for folder in (".partial", "shop/report"):
        (root / folder).mkdir(parents=True)
    async with downloading(root, answering(whole(b"content"))) as setup:
        links = [Link(f"{setup.server.origin}/{name}", name) for name in ("a", "b")]
        tools = DownloadTools(setup.downloader, _UNUSED, FileHosts(clock, Random(1)), clock, setup.job_log)
        operation = operation_of(SPEC, {"server": setup.server.origin})
        step = StepContext(job_with(), operation, setup.session, Lease(1, 1, clock, 60.0))
        download = ListDownload(tools, step, links, identities(links))
        monkeypatch.setattr(os, "fsync", fsync)
        missing = [(place, place, f"shop/report/{place}") for place in range(2)]
        landing = asyncio.create_task(download.land(missing, {}))
        await begun.wait()
        landing.cancel()
        loop.call_later(0.05, goes_on.set)
        with pytest.raises(asyncio.CancelledError):
            await landing
    assert [one.key for one in step.artifacts] == ["shop/report/0", "shop/report/1"]
