"""Trends: each end of a job counts once, by hour and by day."""

from random import Random
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from tests.database.query_plans import plan_of, statements_run, walks
from tests.support.database_engines import group_engine, reading_engine
from tests.support.stored_jobs import NOW, OWNER, POLICY, Stores, artifact, new_job
from tidewaiter.database.tables import trends
from tidewaiter.database.trend_store import TrendStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.state_machine import advance
from tidewaiter.domain.trends import DAY_S, HOUR_S, OperationTrend, Spread, Trend, TrendStep

HOUR = 3600.0
DAY = 86_400.0


async def _landed(stores: Stores, name: str, took_s: float, at: float = NOW, **changes: object) -> Job:
    """A job that has landed a file of 100 bytes; ready half way."""
    job, _ = await stores.jobs.add(new_job(**changes), stores.lane.id, at - took_s)
    job = await stores.accepted(job, o.Intended(f"intent-{name}"), at - took_s)
    job = await stores.accepted(job, o.Accepted(name), at - took_s)
    job = await stores.accepted(job, o.Ready(), at - took_s / 2)
    return await stores.accepted(job, o.Stored((artifact(0, size=100),)), at)


async def _failed(stores: Stores, at: float = NOW, **changes: object) -> Job:
    job = await stores.accepted(await stores.add(**changes), o.Intended("intent"), at)
    return await stores.accepted(job, o.Refused("no"), at)


async def _parked(stores: Stores) -> Job:
    job = await stores.accepted(await stores.add(), o.Intended("intent"))
    job = await stores.accepted(job, o.Unknown("lost"))
    job = await stores.accepted(job, o.Undecidable("nobody knows"))
    assert job.state is State.PARKED
    return job


async def _rows(stores: Stores) -> list[tuple[Any, ...]]:
    async with stores.database.reading() as connection:
        return [tuple(row) for row in await connection.execute(select(trends).order_by(*trends.primary_key))]


async def test_ends_are_counted_by_hour_and_day(stores: Stores) -> None:
    """Landed, failed, expired and cancelled jobs, files, bytes, durations and delays; in each hour and each day."""
    trend_store = TrendStore(stores.database)
    await _landed(stores, "a", 20.0)
    await _landed(stores, "b", 20.0, NOW - HOUR)
    await _failed(stores)
    await stores.accepted(await stores.add(), o.DeadlinePassed("too late"))
    assert await stores.jobs.decide(advance(await _parked(stores), o.CancelAsked(), POLICY, NOW, Random(1)))

    hours = await trend_store.periods(TrendStep.HOUR, 3, NOW)
    now = TrendStep.HOUR.begin(NOW)
    one = {"landed": 1, "files": 1, "bytes": 100, "duration": Spread({9: 1}), "delay": Spread({7: 1})}
    assert [(each.at, each.sums) for each in hours] == [
        (now - 2 * HOUR_S, Trend()),
        (now - HOUR_S, Trend(**one)),  # type: ignore[arg-type]  # the types of its fields
        (now, Trend(**one, failed=1, expired=1, cancelled=1)),  # type: ignore[arg-type]  # the same
    ]
    (day,) = await trend_store.periods(TrendStep.DAY, 1, NOW)
    both = Trend(2, 1, 1, 1, 2, 200, Spread({9: 2}), Spread({7: 2}))
    assert (day.at, day.sums) == (TrendStep.DAY.begin(NOW), both)
    assert await trend_store.operations(TrendStep.DAY, 1, NOW) == [OperationTrend("acme", "statistics", both)]
    (week,) = await trend_store.periods(TrendStep.WEEK, 1, NOW)
    assert week.sums == both


async def test_a_job_that_cleans_up_counts_once(stores: Stores) -> None:
    """It lands with its files, and its duration is known at its end, perhaps in another hour."""
    job = await stores.accepted(await stores.polling("h"), o.Ready())
    policy = type(POLICY)(cleans=True)
    stored = stores.update(job, o.Stored((artifact(0, size=7), artifact(1, size=8))))
    cleaning = advance(job, o.Stored((artifact(0, size=7), artifact(1, size=8))), policy, NOW, Random(1))
    assert cleaning.job.state is State.CLEANING
    group = [type(stored)(cleaning, stores.lane.epoch)]
    assert (await stores.jobs.record(group, OWNER)).accepted == {job.id}
    await stores.accepted(await stores.stored(job), o.Cleaned(), NOW + HOUR)

    first, second = await TrendStore(stores.database).periods(TrendStep.HOUR, 2, NOW + HOUR)
    assert first.sums == Trend(landed=1, files=2, bytes=15, delay=Spread({0: 1}))
    assert second.sums == Trend(duration=Spread({24: 1}))


async def test_one_statement_for_a_group(stores: Stores) -> None:
    """A poll costs none, and the ends of a group cost one, however many they are."""
    jobs = [await stores.polling(f"h{number}") for number in range(6)]
    with statements_run(group_engine(stores.database)) as polls:
        await stores.jobs.record([stores.update(job, o.Pending("running")) for job in jobs], OWNER)
    assert len([one for one, _ in polls if not one.startswith("BEGIN")]) == 1
    jobs = [await stores.stored(job) for job in jobs]
    with statements_run(group_engine(stores.database)) as moves:
        await stores.jobs.record([stores.update(job, o.Ready()) for job in jobs[:2]], OWNER)
    assert not [one for one, _ in moves if "trends" in one]
    with statements_run(group_engine(stores.database)) as ends:
        await stores.jobs.record([stores.update(job, o.Refused("no")) for job in jobs[2:]], OWNER)
    assert len([one for one, _ in ends if "trends" in one]) == 1
    lane = stores.lane.id
    assert await _rows(stores) == [
        (HOUR_S, TrendStep.HOUR.begin(NOW), lane, "statistics", "failed", 4),
        (DAY_S, TrendStep.DAY.begin(NOW), lane, "statistics", "failed", 4),
    ]


async def test_updates_written_before_do_not_count_again(stores: Stores) -> None:
    """After a lost acknowledgement the same group is written again; a stale decision counts nothing."""
    job = await stores.accepted(await stores.polling("h"), o.Ready())
    landed = stores.update(job, o.Stored((artifact(0, size=5),)))
    for _ in range(3):
        assert (await stores.jobs.record([landed], OWNER)).accepted == {job.id}
    parked = await _parked(stores)
    cancelled = advance(parked, o.CancelAsked(), POLICY, NOW, Random(1))
    assert await stores.jobs.decide(cancelled)
    assert not await stores.jobs.decide(cancelled)
    (day,) = await TrendStore(stores.database).periods(TrendStep.DAY, 1, NOW)
    assert (day.sums.landed, day.sums.files, day.sums.bytes, day.sums.cancelled) == (1, 1, 5, 1)
    assert day.sums.duration.count == 1


async def test_accounts_and_operations(stores: Stores) -> None:
    """By account and operation, added over an account's lanes; a scope shows its own accounts only."""
    await stores.lanes.ensure({"acme": 2, "zoo": 1})
    taken = await stores.lanes.take(OWNER, 9, 30.0, force=False, accounts=["acme", "zoo"])
    lanes = {(lane.account, lane.shard): lane for lane in taken}
    await _failed(stores)
    await _failed(stores, operation="report")
    stores.lane = lanes["acme", 1]
    await _failed(stores)
    stores.lane = lanes["zoo", 0]
    await _failed(stores, account="zoo")

    every = TrendStore(stores.database)
    found = [(one.account, one.operation, one.sums.failed) for one in await every.operations(TrendStep.HOUR, 1, NOW)]
    assert found == [("acme", "report", 1), ("acme", "statistics", 2), ("zoo", "statistics", 1)]
    (hour,) = await every.periods(TrendStep.HOUR, 1, NOW, account="acme", operation="statistics")
    assert hour.sums.failed == 2
    zoo = every.limited_to(Scope(frozenset({"zoo"})))
    assert [one.account for one in await zoo.operations(TrendStep.DAY, 1, NOW)] == ["zoo"]
    assert (await zoo.periods(TrendStep.DAY, 1, NOW))[0].sums.failed == 1
    assert (await zoo.periods(TrendStep.DAY, 1, NOW, account="acme"))[0].sums == Trend()
    assert await every.limited_to(Scope(frozenset())).operations(TrendStep.DAY, 1, NOW) == []


async def test_typical_durations(stores: Stores) -> None:
    """How long jobs took that succeeded in the last thirty days; failures say nothing about it."""
    for number, days in enumerate((0, 29, 40)):
        await _landed(stores, f"h{number}", 100.0, NOW - days * DAY)
    await _failed(stores, NOW + HOUR)
    durations = await TrendStore(stores.database).durations(NOW)
    assert {names: spread.count for names, spread in durations.items()} == {("acme", "statistics"): 2}
    typical_s = durations["acme", "statistics"].quantile_s(0.95)
    assert typical_s is not None
    assert 90.0 < typical_s < 128.0


async def test_old_sums_are_deleted(stores: Stores) -> None:
    """Hours after two weeks, days after 800 days."""
    for days in (0, 13, 15, 799, 801):
        await _failed(stores, NOW - days * DAY)
    await TrendStore(stores.database).delete_old(NOW)
    kept = [(step_s, (TrendStep.DAY.begin(NOW) - at) // DAY_S) for step_s, at, *_ in await _rows(stores)]
    assert [days for step_s, days in kept if step_s == DAY_S] == [799, 15, 13, 0]
    assert len([days for step_s, days in kept if step_s == HOUR_S]) == 2


@pytest.mark.slow
async def test_readings_use_the_primary_key(stores: Stores) -> None:
    """No reading walks through the periods that it does not show, with many hours beside the days."""
    await _failed(stores)
    async with stores.database.writing() as connection:
        for step_s, number in ((HOUR_S, 336), (DAY_S, 365)):
            first = int(NOW) - int(NOW) % step_s
            rows = [
                {"step_s": step_s, "at": first - step_s * past, "lane": stores.lane.id, "operation": f"o{one}"}
                for past in range(1, number)
                for one in range(40)
            ]
            await connection.execute(insert(trends), [row | {"measure": "landed", "value": 1} for row in rows])
        await connection.execute(text("ANALYZE"))
    trend_store = TrendStore(stores.database)
    for work in (
        lambda: trend_store.periods(TrendStep.HOUR, 24, NOW),
        lambda: trend_store.operations(TrendStep.DAY, 30, NOW, account="acme"),
        lambda: trend_store.durations(NOW),
    ):
        plan = await plan_of(stores, work)
        if stores.database.dialect == "sqlite":
            assert "SEARCH trends USING PRIMARY KEY (step_s=? AND at=?" in plan
            assert not [line for line in walks(plan) if "trends" in line], plan
        assert "Seq Scan on trends" not in plan, plan


async def test_days_before_yesterday_are_added_up_once(stores: Stores) -> None:
    """A second reading reads the newest days only, sees what ended meanwhile, and keeps scopes and filters apart."""
    every = TrendStore(stores.database)
    other = every.limited_to(Scope(frozenset({"other"})))
    await _failed(stores, NOW - 40 * DAY)

    async def failed(store: TrendStore, now: float = NOW, operation: str | None = None) -> tuple[int, int]:
        weeks = await store.periods(TrendStep.WEEK, 12, now, operation=operation)
        operations = await store.operations(TrendStep.WEEK, 12, now, operation=operation)
        return sum(one.sums.failed for one in weeks), sum(one.sums.failed for one in operations)

    reader = reading_engine(stores.database)
    with statements_run(reader) as first:
        assert await failed(every) == (1, 1)
    await _failed(stores, NOW - DAY)
    await _failed(stores, NOW)
    with statements_run(reader) as second:
        assert await failed(every) == (3, 3)
    assert [len([one for one, _ in run if "trends" in one]) for run in (first, second)] == [4, 2]
    assert await failed(every.limited_to(Scope(frozenset({"acme"})))) == (3, 3)
    assert await failed(other) == (0, 0)
    assert await failed(every, operation="report") == (0, 0)
    assert await failed(every, NOW + 2 * DAY) == (3, 3), "the days that have become old are counted"
