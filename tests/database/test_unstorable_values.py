"""A value that the database refuses fails its own job, not its group; encodings other than UTF8 are refused."""

import asyncio
import io
from dataclasses import replace

import pytest

from tests.support.postgres import Postgres
from tests.support.postgres_encodings import in_encoding, with_tables
from tests.support.stored_jobs import OWNER, Stores, artifact
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.engine import Database
from tidewaiter.database.errors import SchemaError
from tidewaiter.database.job_store import FencedUpdate
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.domain.state_machine import JobUpdate
from tidewaiter.log import configure
from tidewaiter.worker.committer import CommitResult, Committer
from tidewaiter.worker.job_event_log import JobLog

CHINESE = "处理中"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_other_encodings_are_refused(postgres: Postgres, encoding: str) -> None:
    """At the upgrade, before anything is made, and at the start, where an older version has made the tables."""
    empty = postgres.url(in_encoding(postgres, encoding))
    with pytest.raises(SchemaError, match=f"has the encoding {encoding}, .*: create another one in UTF8 .*createdb -E"):
        await asyncio.to_thread(migrate.upgrade, empty)
    assert await asyncio.to_thread(migrate.current, empty) is None
    database = Database.open(with_tables(postgres, encoding), SystemClock())
    with pytest.raises(SchemaError, match=f"has the encoding {encoding}"):
        await database.check_schema()
    await database.close()


async def test_the_encoding_of_the_environment(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PGCLIENTENCODING does not keep a text from getting through."""
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    database = Database.open(postgres_url, SystemClock())
    stores = await Stores.set_up(database)
    job = await stores.accepted(await stores.polling("h"), o.Pending(CHINESE))
    assert job.remote_status == CHINESE
    await database.close()


@pytest.mark.parametrize("bad", ["nul \0", "half \ud800", "both \0\udfff"])
async def test_every_statement_takes_every_text(stores: Stores, bad: str) -> None:
    """Not only the group commit: an account's pause, a search, a person's decision, a job's parameters."""
    said = bad.replace("\0", "\ufffd").replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")
    await AccountStore(stores.database).pause("acme", bad)
    assert (await AccountStore(stores.database).paused())["acme"].reason == said
    assert await stores.jobs.find(account=bad) == []
    job = await stores.add(params={"x": bad}, unique_key=bad)
    assert job.id
    assert (await stores.stored(job)).unique_key == said


async def test_a_number_that_is_too_large(postgres_url: str) -> None:
    """One update of three holds one: the others are written, and it is named with the reason."""
    database = Database.open(postgres_url, SystemClock())
    stores = await Stores.set_up(database)
    bad, one, two = [await stores.polling(name) for name in "abc"]
    huge = stores.update(bad, o.Ready())
    huge = replace(huge, update=replace(huge.update, artifacts=(artifact(0, count=10**30),)))
    group = [stores.update(one, o.Pending()), huge, stores.update(two, o.Pending())]
    recorded = await stores.jobs.record(group, OWNER)
    assert recorded.accepted == {one.id, two.id}
    ((number, reason),) = recorded.unwritable
    assert number == bad.id
    assert reason.startswith("the database does not accept it: ")
    assert (await stores.stored(bad)).version == bad.version
    await database.close()


async def _ends(stores: Stores, updates: list[FencedUpdate]) -> tuple[list[CommitResult], str]:
    """The verdicts of a committer, and its log."""
    clock, output = SystemClock(), io.StringIO()
    log = configure("json", "info", [], stream=output, strict=True)
    committer = Committer(stores.jobs, OWNER, clock, log, JobLog(log, clock, stores.jobs))
    verdicts: dict[int, CommitResult] = {}

    def settled(update: JobUpdate, verdict: CommitResult) -> None:
        verdicts[update.job.id] = verdict

    run = asyncio.ensure_future(committer.run())
    for one in updates:
        committer.record(one.update, one.epoch, settled)
    async with asyncio.timeout(20):
        await committer.settled()
        await committer.settled()  # what is written in place of an update is handed in meanwhile
    run.cancel()
    log.close()
    return [verdicts[one.update.job.id] for one in updates], output.getvalue()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "UTF8"])
async def test_an_outcome_that_cannot_be_written_fails_its_job(postgres: Postgres, encoding: str) -> None:
    """One status word in Chinese on a LATIN1 database: its job fails, and the rest of the group is written."""
    database = Database.open(with_tables(postgres, encoding), SystemClock())
    stores = await Stores.set_up(database)
    bad, good = await stores.polling("a"), await stores.polling("b")
    verdicts, log = await _ends(
        stores, [stores.update(bad, o.Pending(CHINESE)), stores.update(good, o.Pending("busy"))]
    )
    assert verdicts[1] is CommitResult.ACCEPTED
    assert (await stores.stored(good)).remote_status == "busy"
    stored = await stores.stored(bad)
    if encoding == "LATIN1":
        assert (verdicts[0], stored.state) == (CommitResult.UNWRITABLE, State.FAILED)
        assert (stored.reason or "").startswith(
            "what the step learned cannot be stored: the database does not accept it"
        )
        assert "job.failed" in log
    else:
        assert (verdicts[0], stored.state, stored.remote_status) == (CommitResult.ACCEPTED, State.POLLING, CHINESE)
    await database.close()


async def test_a_number_that_json_does_not_have(stores: Stores) -> None:
    """It fails its own job on both databases, and ends neither the group nor the committer."""
    bad, good = await stores.polling("a"), await stores.polling("b")
    update = stores.update(bad, o.Pending())
    broken = replace(update, update=replace(update.update, job=replace(update.update.job, due_at=float("nan"))))
    verdicts, _ = await _ends(stores, [broken, stores.update(good, o.Pending())])
    assert verdicts == [CommitResult.UNWRITABLE, CommitResult.ACCEPTED]
    assert (await stores.stored(bad)).state is State.FAILED
