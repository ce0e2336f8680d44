"""Requests about backfills with a real configuration and database: what is refused, paused, resumed and cancelled."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.worker.backfills.backfill_site import ANN, PARAMS, PLAN, Site, end_job
from tidewaiter.domain.backfill import BackfillPlan, BackfillState
from tidewaiter.domain.windows import Span
from tidewaiter.services import (
    BackfillRequest,
    ConflictError,
    RefusedError,
)


async def test_a_preview_of_many_windows_lets_others_run(site: Site) -> None:
    """The requests of jobs and the renewal of leases wait for no more than a few windows."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    others = asyncio.create_task(count())
    plan = BackfillPlan(Span("2026-01-01", "2026-01-21", "1h"), reuse=False)
    params = {"period": "LAST_DAY", "note": "${window.start:%d %H}"}
    preview = await site.service.preview(BackfillRequest("quay", "report", params, plan))
    others.cancel()
    assert (preview.windows, preview.last.params["note"]) == (504, "21 23")
    assert turns >= 5


async def test_pausing_and_resuming(site: Site) -> None:
    """Paused, no window is submitted, and its jobs go on."""
    await site.create()
    await site.runner.serve()
    paused = await site.service.pause("fill", "their maintenance", actor=ANN)
    assert (paused.state, paused.paused_by, paused.paused_reason) == (BackfillState.PAUSED, "ann", "their maintenance")
    for job in await site.live():
        await end_job(site, job.id)
    await site.runner.serve()
    assert len(await site.days()) == 2
    assert (await site.service.resume("fill", actor=ANN)).state is BackfillState.RUNNING
    await site.runner.serve()
    assert len(await site.days()) == 4


async def test_cancelling(site: Site) -> None:
    """No more windows, and its jobs are cancelled; a daemon that read it before submits none, and it ends once."""
    seen = await site.create()
    await site.runner.serve()
    cancelled = await site.service.cancel("fill", actor=ANN)
    assert (cancelled.state, cancelled.next_window) == (BackfillState.CANCELLED, 2)
    assert all(job.cancel_requested for job in await site.live())
    await site.runner.serve()
    assert len(await site.days()) == 2
    assert not await site.other_runner()._advance(replace(seen, next_window=2))
    assert len(await site.days()) == 2
    with pytest.raises(ConflictError, match="cancelled"):
        await site.service.resume("fill", actor=ANN)


async def test_a_cancelled_backfill_does_not_resume(site: Site) -> None:
    """A person who resumes it at the moment of the cancellation has read it before; no window is submitted any more."""
    seen = await site.create()
    await site.service.cancel("fill", actor=ANN)
    assert not await site.store.resume("fill")
    async with site.api.database.writing() as connection:
        await connection.exec_driver_sql("UPDATE backfills SET paused_at = NULL")
    assert not await site.other_runner()._advance(seen)
    assert all(job.cancel_requested for job in await site.live())
    assert (await site.fill()).next_window == 0


async def test_cancelled_before_its_first_job(site: Site) -> None:
    """It ends at once, and a daemon that read it before does not open its batch again."""
    seen = await site.create()
    cancelled = await site.service.cancel("fill", actor=ANN)
    assert cancelled.batch.ended_at is not None
    assert not await site.other_runner()._advance(seen)
    assert (await site.fill()).batch == cancelled.batch
    assert await site.days() == []


async def test_one_name_is_one_backfill(site: Site) -> None:
    """The same request again is the first backfill; another one with its name is refused, as is that of a batch."""
    made = await site.create()
    again, created = await site.service.create(BackfillRequest("quay", "report", PARAMS, PLAN, "fill"), actor=ANN)
    assert (again.name, created) == (made.name, False)
    with pytest.raises(ConflictError, match="taken"):
        await site.create(replace(PLAN, newest_first=True))
    await site.api.submitted(batch="march")
    with pytest.raises(ConflictError, match="taken"):
        await site.create(name="march")


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"params": {"period": "LAST_DAY"}}, "params"),
        ({"params": {"period": "LAST_DAY", "note": "${yesterday}"}}, "params"),
        ({"params": {"note": "${window.from}"}}, "params"),
        ({"account": "nobody"}, "account"),
        ({"operation": "nothing"}, "operation"),
        ({"name": "a/b"}, "name"),
        ({"plan": replace(PLAN, span=Span("2026-01-01", "2026-01-02", "1x"))}, "window"),
        ({"plan": replace(PLAN, labels={"1": "x"})}, "labels"),
    ],
)
async def test_what_is_refused(site: Site, changes: dict[str, Any], member: str) -> None:
    """Nothing is stored of a request that cannot be done."""
    with pytest.raises(RefusedError) as raised:
        await site.create(**{"plan": PLAN, **changes})
    assert {one.member for one in raised.value.faults} == {member}
    assert await site.service.page(10) == []


async def test_the_expected_end(site: Site) -> None:
    """It is told from the windows that have ended, and not before one has."""
    made = await site.create()
    at = made.batch.created_at
    await site.runner.serve()
    assert (await site.fill()).expected_end(at + 60.0) is None
    await end_job(site, (await site.live())[0].id)
    assert (await site.fill()).expected_end(at + 60.0) == at + 60.0 + 5 * 60.0
