"""Backfills with a real configuration and database: one job for each window, whatever dies in between."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.worker.backfills.backfill_site import ANN, PARAMS, PLAN, Site, end_job, land_file
from tidewaiter.clock import SystemClock
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.engine import StoreUnavailableError
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backfill import MOST_PARKED, Backfill, BackfillPlan, BackfillState
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.job import State
from tidewaiter.domain.windows import Span
from tidewaiter.services import (
    BackfillRequest,
    ConflictError,
)


class DyingStore(BackfillStore):
    """A store whose daemon dies before it stores that windows are submitted."""

    async def advance(self, seen: Backfill, place: int, reused: int, now: float) -> tuple[bool, tuple[EndedBatch, ...]]:
        raise StoreUnavailableError("it is dead")


async def test_a_round_without_backfills_is_one_statement(site: Site) -> None:
    """Every daemon makes one every two seconds; the page of the same process reads what it shows meanwhile."""
    asked: list[str] = []

    def about_to(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "backfills" in statement:
            asked.append(statement)

    event.listen(Engine, "before_cursor_execute", about_to)
    await site.runner.serve()
    event.remove(Engine, "before_cursor_execute", about_to)
    assert len(asked) == 1


async def test_a_job_for_each_window(site: Site) -> None:
    """A few at a time; the next when one has ended; the batch ends with the last of them."""
    await site.create()
    await site.runner.serve()
    assert await site.days() == ["01", "02"]
    await site.runner.serve()
    assert await site.days() == ["01", "02"]
    assert (await site.fill()).state is BackfillState.RUNNING
    for _ in range(6):
        await end_job(site, (await site.live())[0].id)
        await site.runner.serve()
    assert await site.days() == ["01", "02", "03", "04", "05", "06"]
    found = await site.fill()
    assert (found.state, found.done, found.batch.jobs, found.batch.complete) == (BackfillState.ENDED, 6, 6, True)
    assert len(site.api.logged("backfill.advanced")) == 5
    with pytest.raises(ConflictError, match="submits no more windows: it is ended"):
        await site.service.resume("fill", actor=ANN)
    first = (await site.api.jobs.find(limit=1000))[-1]
    assert (first.unique_key, first.context.requested_by) == ("backfill:fill:2026-01-01", "ann")


async def test_a_death_between_a_cancellation_and_its_jobs(site: Site) -> None:
    """The next round of any daemon cancels the jobs that are left; what a person retried later is left alone."""
    await site.create()
    await site.runner.serve()
    first, second = await site.live()
    await end_job(site, first.id)
    await site.store.cancel(await site.fill(), SystemClock().now())
    again = await site.jobs.retry(first.id, actor=ANN)
    await site.runner.serve()
    assert (await site.fill()).state is BackfillState.CANCELLED
    assert (await site.api.stored(second.id)).cancel_requested
    assert not (await site.api.stored(again.id)).cancel_requested


async def _park(site: Site, number: int) -> None:
    await site.api.step(number, o.Intended(f"i-{number}"), o.Unknown("lost"), o.Undecidable("lost"))


@pytest.mark.slow
async def test_parked_jobs_hold_no_place(site: Site) -> None:
    """The other windows go on, up to a number of parked jobs that no single accident makes."""
    await site.create(replace(PLAN, span=Span("2026-01-01", "2026-02-28", "1d")))
    await site.runner.serve()
    for job in await site.live():
        await _park(site, job.id)
    await site.runner.serve()
    assert await site.days() == ["01", "02", "03", "04"]
    assert (await site.fill()).parked == 2
    for _ in range(20):
        for job in await site.live():
            if job.state is State.QUEUED:
                await _park(site, job.id)
        await site.runner.serve()
    assert ((await site.fill()).parked, len(await site.live())) == (MOST_PARKED, MOST_PARKED)
    await site.jobs.cancel((await site.live())[0].id, actor=ANN)
    await site.runner.serve()
    assert len(await site.live()) == MOST_PARKED + 1


async def test_a_person_decides_after_a_cancellation(site: Site) -> None:
    """A job that parks after its backfill was cancelled, and is adopted, is not cancelled by the next round."""
    await site.create()
    await site.runner.serve()
    first, second = await site.live()
    await site.api.step(first.id, o.Intended("i"))
    await site.service.cancel("fill", actor=ANN)
    await site.runner.serve()
    await site.api.step(first.id, o.Unknown("lost"), o.Undecidable("lost"))
    assert (await site.api.stored(first.id)).state is State.PARKED
    await site.jobs.adopt(first.id, "r-1", actor=ANN)
    await site.runner.serve()
    adopted = await site.api.stored(first.id)
    assert (adopted.state, adopted.cancel_requested) == (State.POLLING, False)
    assert (await site.api.stored(second.id)).cancel_requested


async def test_the_newest_window_first(site: Site) -> None:
    """The order is the person's choice; remote jobs that the account may have limit what is under way."""
    await site.create(replace(PLAN, newest_first=True, at_once=3))
    account = site.jobs.accounts["quay"]
    object.__setattr__(account, "limits", replace(account.limits, remote_jobs=1))
    await site.runner.serve()
    assert await site.days() == ["06"]
    object.__setattr__(account, "limits", replace(account.limits, remote_jobs=None))
    await site.runner.serve()
    assert await site.days() == ["06", "05", "04"]


async def test_a_death_between_the_jobs_and_the_note(site: Site) -> None:
    """The next daemon submits the same windows again, with the same keys, and goes on."""
    await site.create()
    with pytest.raises(StoreUnavailableError):
        await site.other_runner(DyingStore(site.jobs.jobs)).serve()
    assert await site.days() == ["01", "02"]
    assert (await site.fill()).next_window == 0
    # One of them ends before the next daemon looks: its result is the backfill's own, and not reused.
    first = (await site.live())[0]
    await land_file(site, first.id)
    await site.runner.serve()
    found = await site.fill()
    assert await site.days() == ["01", "02", "03"]
    assert (found.next_window, found.reused, found.batch.jobs, found.batch.open) == (3, 0, 3, 2)


async def test_two_daemons_make_one_job_of_each_window(site: Site) -> None:
    """Whatever they do at the same time."""
    await site.create(replace(PLAN, at_once=3))
    runners = [site.runner, site.other_runner(), site.other_runner()]
    while (await site.fill()).state is BackfillState.RUNNING:
        await asyncio.gather(*(one.serve() for one in runners))
        live = await site.live()
        assert len(live) <= 3
        for job in live[:2]:
            await end_job(site, job.id)
    assert sorted(await site.days()) == ["01", "02", "03", "04", "05", "06"]
    assert (await site.fill()).batch.jobs == 6
    assert len([one for one in site.api.logged("batch.ended") if one["batch"] == "fill"]) <= 1


async def test_windows_that_have_landed_are_reused(site: Site) -> None:
    """A result with the same parameters needs no job, unless told otherwise; others do not count."""
    for note in ("2026-01-02", "2026-01-03", "2026-01-04"):
        job = await site.api.submitted(params={"period": "LAST_DAY", "note": note})
        await (end_job(site, job["id"]) if note.endswith("04") else land_file(site, job["id"]))
    other = await site.api.submitted(params={"period": "LAST_WEEK", "note": "2026-01-05"})
    await land_file(site, other["id"])
    preview = await site.service.preview(BackfillRequest("quay", "report", PARAMS, PLAN))
    assert (preview.windows, preview.reused) == (6, 2)
    assert (preview.first.params["note"], preview.last.params["note"]) == ("2026-01-01", "2026-01-06")
    await site.create(replace(PLAN, at_once=10))
    await site.runner.serve()
    assert await site.days() == ["01", "04", "05", "06"]
    assert (await site.fill()).reused == 2
    await site.create(replace(PLAN, reuse=False, at_once=10), name="again")
    await site.runner.serve()
    assert (await site.service.named("again")).batch.jobs == 6


async def test_a_backfill_that_needs_no_job_ends(site: Site) -> None:
    """Everything is reused: it ends at once."""
    job = await site.api.submitted(params={"period": "LAST_DAY", "note": "2026-01-02"})
    await land_file(site, job["id"])
    await site.create(BackfillPlan(Span("2026-01-02", "2026-01-02", "1d")))
    await site.runner.serve()
    found = await site.fill()
    assert (found.state, found.reused, found.batch.jobs) == (BackfillState.ENDED, 1, 0)
    (line,) = site.api.logged("batch.ended")
    assert line["jobs"] == 0


async def test_a_window_that_is_refused_pauses_it(site: Site) -> None:
    """What was permitted is submitted; a person sees the reason, and resumes it."""
    params: Mapping[str, Any] = {"period": "LAST_DAY", "note": "${window.from}", "rows": "${window.from:%d}"}
    await site.create(replace(PLAN, at_once=10), params=params)
    async with site.api.database.writing() as connection:
        await connection.exec_driver_sql('UPDATE backfills SET params = \'{"note": "x"}\'')
    await site.runner.serve()
    found = await site.fill()
    assert (found.state, found.paused_by) == (BackfillState.PAUSED, "daemon")
    assert "period" in str(found.paused_reason)
    assert len(site.api.logged("backfill.paused")) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE backfills SET plan = replace(plan, 'UTC', 'Mars/Olympus')",
        "UPDATE backfills SET windows = 7, next_window = 6",
    ],
)
async def test_a_time_zone_that_has_changed_pauses_it(site: Site, change: str) -> None:
    """Another machine, or an update, may know other rules of a zone, or none: the daemon goes on, and a person sees."""
    await site.create()
    async with site.api.database.writing() as connection:
        await connection.exec_driver_sql(change)
    await site.runner.serve()
    found = await site.fill()
    assert (found.state, found.paused_by, found.batch.jobs) == (BackfillState.PAUSED, "daemon", 0)
    assert "zone" in str(found.paused_reason) or "rules" in str(found.paused_reason)
