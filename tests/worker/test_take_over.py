"""A reply that is the file takes over the job's folder, too: what an earlier step had not landed, it lands no more."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.byte_servers import answering
from tests.support.spec_samples import job_with, operation_of
from tests.worker.download_setup import SPEC, downloading, whole
from tidewaiter.clock import SystemClock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.storage.base import StorageError, StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.storage.step_folder import StepFolder
from tidewaiter.transport.reply_bodies import ReplyBeginning
from tidewaiter.worker.result_fetcher import ResultFetcher

_UNUSED: Any = None


@pytest.mark.fault(16)
@pytest.mark.parametrize("content", [None, b"new"])
async def test_a_former_owner_lands_nothing_beside_it(tmp_path: Path, content: bytes | None) -> None:
    """Whether the reply is streamed, or its content was read with the rest of the reply."""
    async with downloading(tmp_path, answering(whole(b"new"))) as setup:
        job = job_with().but(fetches=1)
        with StorageThreads() as threads:
            storage = LocalStorage(tmp_path, threads)
            former = await storage.open("shop/report/export.csv", job.id, 11, identity="old")
            await former.write(b"old")
            fetcher = ResultFetcher(storage, _UNUSED, SystemClock(), setup.job_log, rand=Random(1))
            request = WireRequest("GET", f"{setup.server.origin}/file")
            async with setup.session.open_reply(request, may_be_file=True) as beginning:
                assert isinstance(beginning, ReplyBeginning)
                operation = operation_of(SPEC, {"server": setup.server.origin})
                landed = await fetcher.land_reply(job, operation, o.Inline("export", content=content), beginning)
            assert isinstance(landed, o.Stored)
            with pytest.raises(StorageError):
                await former.finish()
            assert (tmp_path / landed.artifacts[0].key).read_bytes() == b"new"


@pytest.mark.fault(13)
@pytest.mark.invariant(12)
async def test_a_step_that_lands_nothing_more_leaves_nothing_unfinished(tmp_path: Path) -> None:
    """All files were recorded when the daemon died, so the next step only writes the manifest."""
    async with downloading(tmp_path, answering(whole(b"new"))) as setup:
        job = job_with().but(fetches=1)
        StepFolder(tmp_path, job.id)
        with StorageThreads() as threads:
            fetcher = ResultFetcher(
                LocalStorage(tmp_path, threads), _UNUSED, SystemClock(), setup.job_log, rand=Random(1)
            )
            assert isinstance(await fetcher.land_no_files(job, o.Empty()), o.Stored)
        assert not [*(tmp_path / ".partial").glob(f"{job.id}-*")]
