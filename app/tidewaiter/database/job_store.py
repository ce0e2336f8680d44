"""Jobs in the database: they are added, read, changed, cancelled and deleted."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Executable,
    Integer,
    ScalarSelect,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    select,
    true,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from tidewaiter.database.artifact_store import ArtifactStore
from tidewaiter.database.engine import Database, HandleTakenError
from tidewaiter.database.errors import unwritable
from tidewaiter.database.group_commit import FencedUpdate, GroupCommit, GroupResult
from tidewaiter.database.job_insert import Check, Guard, JobInsert, unchecked
from tidewaiter.database.link_store import LinkStore
from tidewaiter.database.newest import newest_ids
from tidewaiter.database.notification_store import Outbox
from tidewaiter.database.row_codec import (
    ARTIFACT_COLUMNS,
    ENTRY_COLUMNS,
    JOB_COLUMNS,
    artifact_of,
    entry_of,
    job_of,
    jobs_of,
)
from tidewaiter.database.sealing import Seal
from tidewaiter.database.sql_functions import HandleKey
from tidewaiter.database.tables import HANDLE_INDEX, UNHANDLED, WITH_REMOTE_JOB, artifacts, history, jobs, lanes
from tidewaiter.domain.batch import EndedBatch
from tidewaiter.domain.job import CANCELLED_AT_ONCE, LIVE, HistoryEntry, Job, NewJob, SameRemoteJob, State, Track
from tidewaiter.domain.manifest import Artifact, StoredResult
from tidewaiter.domain.notification import Subscription
from tidewaiter.domain.state_machine import JobUpdate

__all__ = ["FencedUpdate", "GroupResult", "JobStore"]

_IDS_AT_ONCE: Final = 10_000


class JobStore:
    """Jobs with their history and artifacts. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
        subscriptions: which endpoint is notified about what; a notification is committed with the change of state.
        seal: encrypts the stored links; without it they are stored as plain text.
    """

    def __init__(
        self, database: Database, subscriptions: Sequence[Subscription] = (), seal: Seal | None = None
    ) -> None:
        self.database = database
        self.seal = seal or Seal()
        self.links = LinkStore(database, self.seal)
        self.files = ArtifactStore(database)
        self._outbox = Outbox(database.dialect, subscriptions)
        self.group = GroupCommit(database.dialect, self._outbox, self.seal)
        self._insert = JobInsert(database.dialect, self.group)

    def reconfigure(self, subscriptions: Sequence[Subscription]) -> None:
        """Notify these endpoints from the next commit on, and no others."""
        self._outbox.subscriptions = tuple(subscriptions)

    async def add(self, new: NewJob, lane: int, now: float) -> tuple[Job, bool]:
        """Store a job that is due at once, with its first history row.

        Args:
            new: the job.
            lane: the lane that serves it.
            now: epoch seconds.

        Returns:
            The job, and whether it is new: an existing job of the same account and ``unique_key`` is returned.
        """
        (added,) = await self.add_many([(new, lane)], now)
        return added

    async def add_many(
        self,
        news: Sequence[tuple[NewJob, int]],
        now: float,
        detail: str | None = None,
        guard: Guard | None = None,
        check: Check = unchecked,
    ) -> list[tuple[Job, bool]]:
        """Store many jobs in one transaction, each as :meth:`add` does; ``detail`` is that of their first rows."""

        def add(connection: Connection) -> list[tuple[Job, bool]]:
            added = self._insert.add(connection, news, now, detail, guard)
            check(connection)
            return added

        return await self.database.write(add)

    async def add_again(
        self, new: NewJob, lane: int, now: float, detail: str | None = None, by: str = ""
    ) -> tuple[Job, bool]:
        """Store the job that repeats another, as :meth:`add` does, and count the failure as handled by that person.

        A job is repeated once: if it was repeated before, that job is returned.
        """
        return await self.database.write(
            lambda connection: self._insert.add_again(connection, new, lane, now, detail=detail, by=by)
        )

    async def get(self, number: int) -> Job | None:
        """The job with that id."""
        rows = await self._rows(_GET, id=number)
        return job_of(rows[0]) if rows else None

    async def find(
        self,
        *,
        account: str | None = None,
        states: Collection[State] = (),
        unhandled: bool = False,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Jobs that match all given conditions, newest first; ``before_id`` is the last id of the previous page.

        Each condition has an index. A list by other conditions is made by ``JobList``.
        """
        matching = [] if account is None else [jobs.c.account == account]
        if unhandled:
            matching.append(UNHANDLED)
        if before_id is not None:
            matching.append(jobs.c.id < before_id)
        if states or (account is not None and not unhandled):  # the indexes have states in order, and no accounts
            matching = [jobs.c.id.in_(newest_ids(states or State, matching, limit))]
        statement = select(*JOB_COLUMNS).where(*matching).order_by(jobs.c.id.desc()).limit(limit)
        return await jobs_of(await self._rows(statement))

    async def ids_in(self, state: State) -> set[int]:
        """The ids of all jobs in that state."""
        found: set[int] = set()
        after = 0
        while some := await self._rows(_IDS_IN, of_state=state.value, after=after):
            found.update(number for (number,) in some)
            after = some[-1][0]
        return found

    async def has_operation(self, name: str) -> bool:
        """Whether any job is of this operation; reads an index of all jobs if none is."""
        return bool(await self._rows(_OF_OPERATION, operation=name))

    async def history(self, number: int) -> list[HistoryEntry]:
        """The job's history, oldest first."""
        return [entry_of(row) for row in await self._rows(_HISTORY, id=number)]

    async def artifacts(self, number: int) -> list[Artifact]:
        """The files that the job has landed, by number."""
        return [artifact_of(row) for row in await self._rows(_ARTIFACTS, id=number)]

    async def stored_result(self, job: Job, since: float) -> StoredResult | None:
        """The last result that this job may share, if another job asked for it at ``since`` or later."""
        same = {"account": job.account, "operation": job.operation, "answer_key": job.answer_key, "since": since}
        found = await self._rows(_STORED_RESULT, **same)
        if not found:
            return None
        number, asked_at = found[0]
        return StoredResult(number, asked_at, tuple(await self.artifacts(number)))

    async def remote(self, lane: int) -> set[int]:
        """The jobs of a lane whose remote job is, or may be, under way."""
        return {number for (number,) in await self._rows(_REMOTE, lane=lane)}

    async def next_due(self, numbers: Collection[int]) -> dict[tuple[int, Track], float]:
        """When the first job of each track of these lanes is due; a track without such a job is left out."""
        rows = await self._rows(_NEXT_DUE.where(lanes.c.id.in_(numbers)))
        return {(row[0], track): row[1 + track] for row in rows for track in Track if row[1 + track] is not None}

    async def record(self, updates: Sequence[FencedUpdate], owner: str) -> GroupResult:
        """Commit the updates of steps in one transaction; at most one update for each job.

        Args:
            updates: what to write, each with the epoch of its lane.
            owner: who writes.

        Raises:
            StoreUnavailableError: the group may or may not have been written. Call again with the same values: updates
                that were written are recognized, and accepted.
        """
        if not updates:
            return GroupResult(frozenset())
        rows = await self.group.encoded(updates)
        at_once = self.group.is_one_statement(updates)
        write = self.database.write_once if at_once else self.database.write
        try:
            return await write(lambda connection: self.group.write(connection, updates, rows, owner, at_once=at_once))
        except DBAPIError as error:
            is_taken, reason = _is_handle_taken(error), unwritable(error)
            if reason is None:
                raise
        if len(updates) == 1:
            (one,) = updates
            if is_taken:
                return GroupResult(frozenset(), (await self._conflict(one.update),))
            return GroupResult(frozenset(), unwritable=((one.update.job.id, reason),))
        # One update is refused, and the database does not say which: halve the group.
        middle = len(updates) // 2
        first, second = await self.record(updates[:middle], owner), await self.record(updates[middle:], owner)
        return GroupResult(
            first.accepted | second.accepted,
            first.conflicts + second.conflicts,
            first.unwritable + second.unwritable,
            first.batches + second.batches,
        )

    async def decide(self, update: JobUpdate, ended: list[EndedBatch] | None = None) -> bool:
        """Commit a person's decision on a parked job. A batch that ends with it is added to ``ended``.

        Returns:
            Whether it was written: not if the job is no longer parked, or has another version.

        Raises:
            HandleTakenError: it adopts a remote job that another job follows.
        """
        try:
            found = [] if ended is None else ended
            return await self.database.write(lambda connection: self.group.decide(connection, update, found))
        except IntegrityError as error:
            if not _is_handle_taken(error):
                raise
        _, reason = await self._conflict(update)
        raise HandleTakenError(reason)

    async def ask_cancel(self, number: int, now: float) -> bool:
        """Store a cancel request for a live job; its next step, due now, applies it.

        The version does not change, so a step under way is not undone, and its update does not remove the request.

        Returns:
            Whether the job is live; a parked job needs a decision instead.
        """
        asked = {"number": number, "now": now}
        return await self.database.write(lambda connection: connection.execute(_ASK_CANCEL, asked).rowcount == 1)

    async def cancel_requests(self, numbers: Collection[int]) -> list[Job]:
        """The jobs of these lanes with a cancel request that can stop without a request to the provider."""
        return await jobs_of(await self._rows(_CANCEL_REQUESTS.where(jobs.c.lane.in_(numbers))))

    async def followers(self, job: Job) -> list[SameRemoteJob]:
        """The other jobs, ended ones too, that follow the remote job of this one."""
        return [] if job.handle is None else await self.followers_of(job, job.handle)

    async def followers_of(self, job: Job, handle: str) -> list[SameRemoteJob]:
        """The other jobs of its account and operation that follow this remote job, ended ones too."""
        followed = {"account": job.account, "operation": job.operation, "handle": handle, "id": job.id}
        found: dict[int, SameRemoteJob] = {}
        for number, state, shared, deadline_at, outcome in await self._rows(_FOLLOWERS, **followed):
            before = found[number].ended_by if number in found else frozenset()
            outcomes = before if outcome is None else before | {outcome}
            found[number] = SameRemoteJob(number, State(state), bool(shared), deadline_at, outcomes)
        return list(found.values())

    async def counts(self, accounts: Collection[str] | None = None) -> dict[State, int]:
        """How many jobs are in each state, of all accounts or of these."""
        statement = _COUNTS if accounts is None else _COUNTS.where(jobs.c.account.in_(sorted(accounts)))
        found = {State(state): number for state, number in await self._rows(statement)}
        return {state: found.get(state, 0) for state in State}

    async def delete_finished(self, before: float, limit: int) -> int:
        """Delete up to ``limit`` jobs that finished before that epoch second, with all that belongs to them.

        Returns:
            How many were deleted.
        """

        def delete_some(connection: Connection) -> int:
            deleted = connection.execute(_DELETE_FINISHED, {"before": before, "limit": limit}).rowcount
            if deleted < limit:  # the last ones: batches are looked through once, and not for every part of the jobs
                self.group.batches.delete_old(connection, before)
            return deleted

        return await self.database.write(delete_some)

    async def _rows(self, statement: Executable, **parameters: object) -> Sequence[Sequence[Any]]:
        return await self.database.read(lambda connection: connection.execute(statement, parameters).all())

    async def _conflict(self, update: JobUpdate) -> tuple[int, str]:
        """The update's job, and the reason: which other job has its handle."""
        job = update.job
        of_job = (jobs.c.account == job.account, jobs.c.operation == job.operation, jobs.c.handle == job.handle)
        rows = await self._rows(select(jobs.c.id).where(*of_job, jobs.c.finished_at.is_(None), jobs.c.id != job.id))
        holder = f"job {rows[0][0]}" if rows else "another job"
        return job.id, f"{holder} of account {job.account} follows the remote job {job.shown_handle} already"


def _is_handle_taken(error: DBAPIError) -> bool:
    """Whether the unique index over handles has refused a row: PostgreSQL names it, SQLite names its columns."""
    return isinstance(error, IntegrityError) and (HANDLE_INDEX in str(error.orig) or "jobs.handle" in str(error.orig))


def first_due(track: Track, skipped: BindParameter[int] | None = None) -> ScalarSelect[float]:
    """The first entry of the due index for a lane of the outer query, or the first after so many ``skipped`` ones.

    One lookup for any number of jobs.
    """
    of_stream = (jobs.c.lane == lanes.c.id, jobs.c.track == track.value, jobs.c.due_at.is_not(None))
    return select(jobs.c.due_at).where(*of_stream).order_by(jobs.c.due_at).limit(1).offset(skipped).scalar_subquery()


_NOW: Final = bindparam("now", type_=jobs.c.due_at.type)
_LIMIT: Final = bindparam("limit", type_=Integer())

_GET: Final = select(*JOB_COLUMNS).where(jobs.c.id == bindparam("id", type_=BigInteger()))
_IDS_IN: Final = (
    select(jobs.c.id)
    .where(jobs.c.state == bindparam("of_state", type_=Text()), jobs.c.id > bindparam("after", type_=BigInteger()))
    .order_by(jobs.c.id)
    .limit(_IDS_AT_ONCE)
)
_OF_OPERATION: Final = select(jobs.c.operation).where(jobs.c.operation == bindparam("operation", type_=Text())).limit(1)
_HISTORY: Final = (
    select(*ENTRY_COLUMNS).where(history.c.job_id == bindparam("id", type_=BigInteger())).order_by(history.c.version)
)
_ARTIFACTS: Final = (
    select(*ARTIFACT_COLUMNS)
    .where(artifacts.c.job_id == bindparam("id", type_=BigInteger()))
    .order_by(artifacts.c.number)
)
_SINCE: Final = bindparam("since", type_=jobs.c.due_at.type)
_REMOTE: Final = select(jobs.c.id).where(jobs.c.lane == bindparam("lane", type_=BigInteger()), WITH_REMOTE_JOB)
_NEXT_DUE: Final = select(lanes.c.id, first_due(Track.ASK), first_due(Track.FETCH))
# Copies of a shared result have no ``ready_at``: they are as old as their original.
_ASKED_AT: Final = func.coalesce(jobs.c.intent_at, jobs.c.ready_at)
_STORED_RESULT: Final = (
    select(jobs.c.id, _ASKED_AT)
    .where(
        jobs.c.account == bindparam("account", type_=jobs.c.account.type),
        jobs.c.operation == bindparam("operation", type_=jobs.c.operation.type),
        jobs.c.answer_key == bindparam("answer_key", type_=jobs.c.answer_key.type),
        jobs.c.ready_at >= _SINCE,
        jobs.c.state.in_([State.CLEANING.value, State.SUCCEEDED.value]),
        _ASKED_AT >= _SINCE,
    )
    .order_by(jobs.c.ready_at.desc())
    .limit(1)
)
_HANDLE: Final = bindparam("handle", type_=Text())
_FOLLOWERS: Final = (
    select(jobs.c.id, jobs.c.state, jobs.c.shared, jobs.c.deadline_at, history.c.outcome)
    .outerjoin(history, and_(history.c.job_id == jobs.c.id, history.c.outcome.in_(["Cleaned", "Cancelled"])))
    .where(
        jobs.c.account == bindparam("account", type_=Text()),
        jobs.c.operation == bindparam("operation", type_=Text()),
        HandleKey(jobs.c.handle) == HandleKey(_HANDLE),
        jobs.c.handle == _HANDLE,
        jobs.c.id != bindparam("id", type_=BigInteger()),
    )
)
_COUNTS: Final = select(jobs.c.state, func.count()).group_by(jobs.c.state)
_ASK_CANCEL: Final = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("number", type_=BigInteger()),
        jobs.c.state.in_(sorted(state.value for state in LIVE)),
    )
    .values(cancel_requested=true(), due_at=case((jobs.c.due_at < _NOW, jobs.c.due_at), else_=_NOW))
)
_MOST_CANCEL_REQUESTS: Final = 500
_CANCEL_REQUESTS: Final = (
    select(*JOB_COLUMNS)
    .where(jobs.c.cancel_requested, jobs.c.state.in_(sorted(state.value for state in CANCELLED_AT_ONCE)))
    .limit(_MOST_CANCEL_REQUESTS)
)
_FINISHED: Final = (
    select(jobs.c.id)
    .where(jobs.c.finished_at < bindparam("before", type_=jobs.c.finished_at.type))
    .order_by(jobs.c.finished_at)
    .limit(_LIMIT)
    .with_for_update(skip_locked=True)
)
_DELETE_FINISHED: Final = delete(jobs).where(jobs.c.id.in_(_FINISHED))
