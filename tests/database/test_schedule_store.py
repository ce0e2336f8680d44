"""The last tick of each schedule, on both databases."""

from tidewaiter.database.engine import Database
from tidewaiter.database.run_store import RunStore
from tidewaiter.database.schedule_store import SchedulePause, ScheduleProgress, ScheduleStore


async def test_ticks_are_remembered(database: Database) -> None:
    """The last tick and the last job are kept, each schedule by itself."""
    store = ScheduleStore(database)
    assert await store.progress() == {}
    await store.save_tick("nightly", 100.0, None)
    await store.save_tick("hourly", 50.0, 7)
    await store.save_tick("nightly", 200.0, 8)
    assert await store.progress() == {"nightly": ScheduleProgress(200.0, 8), "hourly": ScheduleProgress(50.0, 7)}


async def test_an_older_tick_changes_nothing(database: Database) -> None:
    """A daemon that comes late does not turn back what another has served."""
    store = ScheduleStore(database)
    await store.save_tick("nightly", 200.0, 8)
    await store.save_tick("nightly", 100.0, 9)
    assert await store.progress() == {"nightly": ScheduleProgress(200.0, 8)}


async def test_a_tick_without_a_job_keeps_the_last(database: Database) -> None:
    """Ticks that were let go do not forget the job of the last that was served."""
    store = ScheduleStore(database)
    await store.save_tick("nightly", 100.0, 8)
    await store.save_tick("nightly", 300.0, None)
    assert await store.progress() == {"nightly": ScheduleProgress(300.0, 8)}


async def test_a_pause_is_kept(database: Database) -> None:
    """A second pause changes the reason only; ticks do not end it; a schedule that no daemon has seen begins then."""
    store = ScheduleStore(database)
    await store.save_tick("nightly", 100.0, 8)
    await store.pause("nightly", 150.0, "ada", None)
    await store.pause("nightly", 160.0, "bob", "repairs")
    await store.pause("nightly", 170.0, "cyd", None)
    await store.pause("new", 180.0, "ada", None)
    await store.save_tick("nightly", 200.0, None)
    assert await store.progress() == {
        "nightly": ScheduleProgress(200.0, 8, SchedulePause(150.0, "ada", "repairs")),
        "new": ScheduleProgress(180.0, None, SchedulePause(180.0, "ada", None)),
    }
    await store.resume("nightly", 300.0)
    await store.resume("nightly", 400.0)
    assert (await store.progress())["nightly"] == ScheduleProgress(200.0, 8)
    assert (await RunStore(database).last_runs())["nightly"].resumed_at == 300.0
