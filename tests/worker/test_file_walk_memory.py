"""Ten thousand files of nested lists are in memory once: the links, and one page of each list."""

import gc
import json
import tracemalloc
from random import Random

import pytest

from tests.support.spec_samples import HEAD, NOW, operation_of
from tidewaiter.clock import SystemClock
from tidewaiter.domain.backoff_and_limits import Limits, OperationPolicy
from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.domain.job import Job, State
from tidewaiter.log import configure
from tidewaiter.providers.steps.file_listing import listing_of
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.file_walk import FileWalk
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.provider_session import ProviderSession

LISTS = """
[operations.report]
title = "Report"

[[operations.report.results.lists]]
url = "/groups"
items = "groups"
next_url = "next"
values = { group = "id" }

[[operations.report.results.lists]]
url = "/groups/${item.group}"
items = "parts"

[operations.report.results.files]
url = "href"
label = "name"
"""
GROUPS, PARTS = 100, 100


class _Remote:
    """A provider that makes each page when it is asked for; of most of a page nothing is needed."""

    def __init__(self) -> None:
        clock, log = SystemClock(), configure("json", "error", [], strict=True)
        budget = Budget(clock, Random(1), Limits())
        self.observer = AccountObserver("shop", Lease(1, 1, clock, 3600.0), budget, clock=clock, log=log)

    def check_open(self) -> None:
        """It is never closed."""

    async def exchange(self, request: WireRequest, *_: object) -> WireReply:
        """The groups, ten on a page, or the parts of a group."""
        path, _mark, query = request.url.removeprefix("https://api.example.com/v1").partition("?")
        if path != "/groups":
            parts = [{"href": f"{path}/{n}.csv", "name": f"{n}.csv", "notes": "x" * 1000} for n in range(PARTS)]
            return WireReply(200, {}, json.dumps({"parts": parts}).encode(), request.url)
        start = int(query or 0)
        groups = [{"id": n, "notes": "x" * 1000} for n in range(start, start + 10)]
        after = f"/v1/groups?{start + 10}" if start + 10 < GROUPS else None
        return WireReply(200, {}, json.dumps({"groups": groups, "next": after}).encode(), request.url)


@pytest.mark.slow
async def test_the_links_are_in_memory_once() -> None:
    """At no time there is much more than what stays: ten megabytes of replies leave nothing else."""
    job = Job(1, 1, "shop", "report", {}, State.FETCHING, 1, NOW, NOW, NOW + 1e9)
    listing = listing_of(operation_of(HEAD + LISTS).parts, job)
    assert listing is not None
    session = ProviderSession(_Remote(), OperationPolicy())  # type: ignore[arg-type]  # what a session asks of a client
    walk = ListWalk(job, session, SystemClock(), Random(1))
    gc.collect()
    tracemalloc.start()
    links = await FileWalk(job, listing, session, walk, walk).links()
    gc.collect()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(links, tuple)
    assert (len(links), len(set(links))) == (GROUPS * PARTS, GROUPS * PARTS)
    assert peak < kept + 2_500_000
    assert kept < 1000 * len(links)
