"""Leases: what becomes of a lane that is to be given back while the database is out of order."""

from pathlib import Path

from sqlalchemy import text

from app.clock import SystemClock
from app.domain.job import State
from app.store.engine import Database
from app.store.lanes import LaneStore
from tests.bootstrap.stage import staged

# To the daemon it looks as if the server were being shut down at that very statement.
REFUSAL = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END$$",
    "CREATE TRIGGER no_giving_back BEFORE UPDATE ON lanes FOR EACH ROW WHEN (NEW.owner IS NULL) "
    "EXECUTE FUNCTION refuse()",
)


async def test_a_lane_that_could_not_be_given_back_is_served_again(tmp_path: Path, postgres_url: str) -> None:
    """Another daemon comes, the write that gives it a lane fails, it goes: the lane is given back late and taken."""
    async with staged(tmp_path, postgres_url) as stage:
        stage.write(stage.account("shop"), stage.account("other"))
        async with stage.serving():
            await stage.said("lane.taken", more_than=1)
            database = Database.open(postgres_url, SystemClock())
            for statement in REFUSAL:
                await _run(database, statement)
            await LaneStore(database).beat("another", "elsewhere", 2, "1", lease_s=60.0)
            (refused,) = await stage.said("store.unavailable")
            assert "shutting down" in str(refused["reason"])
            await LaneStore(database).forget("another")
            await _run(database, "DROP TRIGGER no_giving_back ON lanes")
            await database.close()
            (given_back,) = await stage.said("lane.given_back")
            (*_, taken) = await stage.said("lane.taken", more_than=2)
            assert (taken["lane"], taken["clean"]) == (given_back["lane"], True)
            jobs = await stage.until([*await stage.submit("shop"), *await stage.submit("other")])
            assert {job.state for job in jobs} == {State.SUCCEEDED}
        assert stage.lines("lane.lost") == []
        assert stage.code == 0


async def _run(database: Database, statement: str) -> None:
    async with database.writing() as connection:
        await connection.execute(text(statement))
