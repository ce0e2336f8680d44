"""A list of any length needs the memory of one page."""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from tests.support.spec_samples import HEAD, NOW, operation_of
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits, OperationPolicy
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.domain.job import Job, State
from tidewaiter.log import configure
from tidewaiter.providers.results.paged_lists import PageReader
from tidewaiter.storage.base import StorageThreads
from tidewaiter.storage.folder import LocalStorage
from tidewaiter.transport.reply_bodies import StreamReply
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.provider_session import ProviderSession

if TYPE_CHECKING:
    from tidewaiter.transport.wire import RawReply

JSON = """
[operations.report]
title = "Report"

[operations.report.results.pages]
url = "/list"
query = { cursor = "${page.next}" }
"""
PAGES = {
    "json": JSON + 'items = "items"\nnext = "next"\n',
    "csv": JSON + 'join = "csv"\nnext = { header = "next" }\n',
}
ROW = "x" * 1000
_PAGE_ROWS = 100


class LongList:
    """A provider with very many pages, each made when it is asked for."""

    def __init__(self, pages: int) -> None:
        self._left = pages
        clock, log = SystemClock(), configure("json", "error", [], strict=True)
        budget = Budget(clock, Random(1), Limits())
        self.observer = AccountObserver("shop", Lease(1, 1, clock, 3600.0), budget, clock=clock, log=log)

    def reply(self, request: WireRequest) -> WireReply:
        """The next page, as JSON or as CSV."""
        self._left -= 1
        after = f"c{self._left}" if self._left else ""
        if "json" in request.url:
            items = ",".join([f'"{ROW}"'] * _PAGE_ROWS)
            return WireReply(200, {}, f'{{"items":[{items}],"next":"{after}"}}'.encode(), request.url)
        return WireReply(200, {"next": after}, b"row\n" + f"{ROW}\n".encode() * _PAGE_ROWS, request.url)

    async def exchange(self, request: WireRequest, *_: object) -> WireReply:
        """A page, read whole."""
        return self.reply(request)

    @asynccontextmanager
    async def stream(self, request: WireRequest, *, send_auth: bool, **_: object) -> AsyncIterator[StreamReply]:
        """A page, piece by piece."""
        assert send_auth
        reply = self.reply(request)
        yield StreamReply(reply.status, reply.headers, reply.url, True, cast("RawReply", _Raw(reply.body)))


class _Raw:
    phrase = "OK"

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), 65_536):
            yield self._body[start : start + 65_536]


async def _peak(root: Path, kind: str, pages: int) -> int:
    """The most memory, in bytes, that a walk over so many pages has at one time; they are landed for good."""
    operation = operation_of(HEAD + PAGES[kind].replace("/list", f"/{kind}"))
    job = Job(1, 1, "shop", "report", {}, State.FETCHING, 1, NOW, NOW, NOW + 1e9)
    reader = operation.pages(job)
    assert isinstance(reader, PageReader)
    remote = LongList(pages)
    session = ProviderSession(remote, OperationPolicy())  # type: ignore[arg-type]  # it has what a session asks of a client
    with StorageThreads() as threads:
        landing = await LocalStorage(root, threads).open(f"x/{kind}-{pages}", 1, 0)
        gc.collect()
        tracemalloc.start()
        count = await ListWalk(job, session, SystemClock(), Random(1)).land(reader, landing, 1 << 40)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        landed = await landing.finish()
    assert count == pages * _PAGE_ROWS
    assert landed.size > pages * _PAGE_ROWS * len(ROW)
    return peak


@pytest.mark.fault(67)
@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(PAGES))
async def test_memory_does_not_grow_with_the_pages(tmp_path: Path, kind: str) -> None:
    """Three hundred pages, thirty megabytes, take no more than thirty pages do, but for what waits for the disk."""
    await _peak(tmp_path, kind, 2)
    few, many = await _peak(tmp_path, kind, 30), await _peak(tmp_path, kind, 300)
    assert many < few + 4_000_000
    assert many < 12_000_000
