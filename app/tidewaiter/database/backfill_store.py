"""Backfills in the database: they are made, advanced by one daemon at a time, paused, and looked up.

A backfill advances by comparing its next window with what the daemon has read. So a window is counted once, however
many daemons run, and a daemon that dies before it counts leaves the window to the next one.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    false,
    insert,
    null,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from tidewaiter.database.batch_counts import BATCH_COLUMNS, batch_of, counts_of
from tidewaiter.database.job_insert import Guard
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.row_codec import JOB_COLUMNS, jobs_of
from tidewaiter.database.tables import backfills, batches, job_terms, jobs
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.backfill import Backfill, plan_of
from tidewaiter.domain.batch import EndedBatch, StateCounts
from tidewaiter.domain.job import Job, NewJob, State
from tidewaiter.domain.secret_params import SecretParams

_COLUMNS: Final = (
    backfills.c.account,
    backfills.c.operation,
    backfills.c.params,
    backfills.c.plan,
    backfills.c.windows,
    backfills.c.next_window,
    backfills.c.reused,
    backfills.c.paused_at,
    backfills.c.paused_by,
    backfills.c.paused_reason,
    backfills.c.secrets,
)
_MOST_ALIKE: Final = 20


class BackfillStore:
    """The backfills table. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        jobs: the jobs table.
        scope: backfills of other accounts are not found.
    """

    def __init__(self, jobs: JobStore, scope: Scope = EVERY_ACCOUNT) -> None:
        self._jobs = jobs
        self._database = jobs.database
        self._scope = scope

    def limited_to(self, scope: Scope) -> "BackfillStore":
        """The same, for these accounts."""
        return BackfillStore(self._jobs, scope)

    async def create(self, new: Backfill) -> bool:
        """Store a new backfill, with its batch. Returns whether its name was free."""
        batch = {"name": new.name, "created_at": new.batch.created_at, "created_by": new.batch.created_by}
        row = {
            "batch": new.name,
            "account": new.account,
            "operation": new.operation,
            "params": json.dumps(dict(new.params)),
            "plan": new.plan.as_text(),
            "windows": new.windows,
            "secrets": self._jobs.seal.stored_secrets(new.secrets),
        }
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(batches), {**batch, "complete": False})
                await connection.execute(insert(backfills), row)
        except IntegrityError:
            return False
        return True

    async def get(self, name: str) -> Backfill | None:
        """The backfill of that name."""
        found = await self._find(_BACKFILLS.where(batches.c.name == name))
        return found[0] if found else None

    async def named(self, names: Collection[str]) -> dict[str, Backfill]:
        """The backfills with these names that exist."""
        return {one.name: one for one in await self._find(_BACKFILLS.where(batches.c.name.in_(sorted(names))))}

    async def page(self, limit: int, before: str | None = None) -> list[Backfill]:
        """Backfills, the newest first; ``before`` is the last name of the previous page."""
        statement = _BACKFILLS.order_by(batches.c.created_at.desc(), batches.c.name.desc()).limit(limit)
        if before is not None:
            last = _LAST.subquery()
            order = tuple_(batches.c.created_at, batches.c.name)
            statement = statement.join(last, order < tuple_(last.c.created_at, last.c.name))
        return await self._find(statement, before=before)

    async def unfinished(self) -> list[Backfill]:
        """Those with windows that are to be submitted, the oldest first.

        Among them, with a complete batch, are those that were cancelled and whose jobs nobody has cancelled yet.
        """
        return await self._find(_UNFINISHED)

    async def landed(self, new: NewJob, terms: Collection[int], batch: str) -> Job | None:
        """The newest job of another batch that has landed files for the same account, operation and parameters.

        Args:
            new: the job that would be made.
            terms: search terms that few other jobs have; one is looked up.
            batch: jobs of this batch do not count.
        """
        if not terms:
            return None
        asked = {"term": min(terms), "account": new.account, "operation": new.operation}
        async with self._database.reading() as connection:
            found = await jobs_of((await connection.execute(_ALIKE, asked)).all())
        return next((job for job in found if self._is_same(job, new) and job.context.batch != batch), None)

    def _is_same(self, job: Job, new: NewJob) -> bool:
        return job.params == new.params and self._jobs.seal.secrets(job.secrets) == new.secrets.values

    def still(self, seen: Backfill) -> Guard:
        """Whether nobody has advanced, paused or cancelled it since it was read; if so, nobody does so before the end.

        With it, no job is stored after a cancellation, whose batch would otherwise end, open again and end once more.
        """

        def guard(connection: Connection) -> bool:
            asked = {"name": seen.name, "seen": seen.next_window}
            return connection.execute(_STILL, asked).first() is not None

        return guard

    async def advance(self, seen: Backfill, place: int, reused: int, now: float) -> tuple[bool, tuple[EndedBatch, ...]]:
        """Store that the windows before ``place`` are submitted, and ``reused`` more of them need no job.

        With its last window the backfill is complete, and ends with its last job, or now.

        Returns:
            Whether nobody else has advanced, paused or cancelled it since it was read; and the batch, if it has ended.
        """
        values = {"name": seen.name, "seen": seen.next_window, "place": place, "more": reused}

        def write(connection: Connection) -> tuple[bool, tuple[EndedBatch, ...]]:
            if connection.execute(_ADVANCE, values).rowcount != 1:
                return False, ()
            return True, self._completed(connection, seen, now) if place >= seen.windows else ()

        return await self._database.write(write)

    async def pause(self, name: str, by: str, reason: str, now: float) -> bool:
        """Submit no more windows. Returns whether it ran."""
        async with self._database.writing() as connection:
            asked = {"name": name, "now": now, "by": by, "why": reason}
            return (await connection.execute(_PAUSE, asked)).rowcount == 1

    async def resume(self, name: str) -> bool:
        """Submit windows again. Returns whether it was paused."""
        async with self._database.writing() as connection:
            return (await connection.execute(_RESUME, {"name": name})).rowcount == 1

    async def cancel(self, seen: Backfill, now: float) -> tuple[EndedBatch, ...]:
        """Submit no more windows for ever; the batch ends with its last job, or now, and is returned then.

        It is paused first: a daemon that advances it at this moment has stored its jobs before, or finds it paused.
        """

        def write(connection: Connection) -> tuple[EndedBatch, ...]:
            connection.execute(_PAUSE, {"name": seen.name, "now": now, "by": "", "why": "cancelled"})
            return self._completed(connection, seen, now)

        return await self._database.write(write)

    async def jobs_cancelled(self, name: str, now: float) -> None:
        """Its jobs are all cancelled, once: what a person decides about one of them afterwards stays."""
        async with self._database.writing() as connection:
            await connection.execute(_JOBS_CANCELLED, {"name": name, "now": now})

    def _completed(self, connection: Connection, seen: Backfill, now: float) -> tuple[EndedBatch, ...]:
        return self._jobs.group.batches.completed(connection, seen.name, seen.account, now)

    async def _find(self, statement: Select[Any], **parameters: object) -> list[Backfill]:
        if self._scope.accounts is not None:
            statement = statement.where(backfills.c.account.in_(sorted(self._scope.accounts)))

        def read(connection: Connection) -> tuple[Sequence[Sequence[Any]], Mapping[str, StateCounts]]:
            rows = connection.execute(statement, parameters).all()
            return rows, counts_of(connection, [row[0] for row in rows])

        rows, counts = await self._database.read(read)
        found: list[Backfill] = []
        for row in rows:
            account, operation, params, plan, *rest = row[len(BATCH_COLUMNS) :]
            rest[-1] = SecretParams(rest[-1])
            batch = batch_of(row[: len(BATCH_COLUMNS)], counts).within(self._scope)
            found.append(Backfill(batch, account, operation, json.loads(params), plan_of(plan), *rest))
        return found


_NAME: Final = bindparam("name", type_=Text())
_BACKFILLS: Final = select(*BATCH_COLUMNS, *_COLUMNS).join(backfills, backfills.c.batch == batches.c.name)
_IS_RUNNING: Final = and_(batches.c.complete == false(), backfills.c.paused_at.is_(None))
_IS_CANCELLED: Final = and_(
    batches.c.complete == true(),
    batches.c.ended_at.is_(None),
    backfills.c.next_window < backfills.c.windows,
    backfills.c.jobs_cancelled_at.is_(None),
)
_UNFINISHED: Final = _BACKFILLS.where(or_(_IS_RUNNING, _IS_CANCELLED)).order_by(batches.c.created_at, batches.c.name)
_LAST: Final = select(batches.c.created_at, batches.c.name).where(batches.c.name == bindparam("before", type_=Text()))
_IS_OPEN: Final = (
    select(batches.c.name).where(batches.c.name == backfills.c.batch, batches.c.complete == false()).exists()
)
_IS_AS_SEEN: Final = and_(
    backfills.c.batch == _NAME,
    backfills.c.next_window == bindparam("seen", type_=Integer()),
    backfills.c.paused_at.is_(None),
    _IS_OPEN,
)
_STILL: Final = select(backfills.c.batch).where(_IS_AS_SEEN).with_for_update()
_ADVANCE: Final = (
    update(backfills)
    .where(_IS_AS_SEEN)
    .values(
        next_window=bindparam("place", type_=Integer()), reused=backfills.c.reused + bindparam("more", type_=Integer())
    )
)
_PAUSE: Final = (
    update(backfills)
    .where(backfills.c.batch == _NAME, backfills.c.paused_at.is_(None), _IS_OPEN)
    .values(
        paused_at=bindparam("now", type_=Double()),
        paused_by=bindparam("by", type_=Text()),
        paused_reason=bindparam("why", type_=Text()),
    )
)
_RESUME: Final = (
    update(backfills)
    .where(backfills.c.batch == _NAME, backfills.c.paused_at.is_not(None), _IS_OPEN)
    .values(paused_at=null(), paused_by=null(), paused_reason=null())
)
_JOBS_CANCELLED: Final = (
    update(backfills)
    .where(backfills.c.batch == _NAME, backfills.c.jobs_cancelled_at.is_(None))
    .values(jobs_cancelled_at=bindparam("now", type_=Double()))
)
_ALIKE: Final = (
    select(*JOB_COLUMNS)
    .join(job_terms, and_(job_terms.c.job_id == jobs.c.id, job_terms.c.term == bindparam("term", type_=BigInteger())))
    .where(
        jobs.c.account == bindparam("account", type_=Text()),
        jobs.c.operation == bindparam("operation", type_=Text()),
        jobs.c.state == State.SUCCEEDED.value,
    )
    .order_by(jobs.c.id.desc())
    .limit(_MOST_ALIKE)
)
