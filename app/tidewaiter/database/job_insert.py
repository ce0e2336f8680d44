"""Adding jobs: many in one statement, each with its first history row, and no second job for a unique key."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    Double,
    Executable,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    null,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.group_commit import GroupCommit
from tidewaiter.database.row_codec import JOB_COLUMNS, PARAMETER, encode, job_of, rows_of
from tidewaiter.database.tables import jobs
from tidewaiter.domain.job import FAILURES, Job, NewJob, State, track_of
from tidewaiter.domain.search_terms import parameter_terms
from tidewaiter.domain.secret_params import NO_SECRETS, SecretParams

_CHUNK: Final = 2_000
_FIRST_VERSION: Final = 1
_ADDED: Final = (
    "id",
    "lane",
    "account",
    "operation",
    "params",
    "state",
    "version",
    "due_at",
    "created_at",
    "deadline_at",
    "unique_key",
    "retry_of",
    "answer_key",
    "track",
    "context",
    "schedule",
    "batch",
    "secrets",
)
Guard = Callable[[Connection], bool]
"""Decides, in the transaction that adds jobs, whether they may be added."""
Check = Callable[[Connection], None]
"""Raises, at the end of the transaction that has added jobs, if they must not stay."""


def unchecked(_: Connection) -> None:
    """They may stay."""


_NewRow = tuple[int, NewJob, int]
"""The place of a new job in the request, the job, and its lane."""


class JobInsert:
    """The statements that add jobs; they run in a transaction of the caller.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        group: writes the history.
    """

    def __init__(self, dialect: str, group: GroupCommit) -> None:
        self._group = group
        self._on_sqlite = dialect == "sqlite"
        self._insert = _job_insert(dialect)
        self._existing = _existing_jobs(dialect)

    def add(
        self,
        connection: Connection,
        news: Sequence[tuple[NewJob, int]],
        now: float,
        detail: str | None = None,
        guard: Guard | None = None,
    ) -> list[tuple[Job, bool]]:
        """Add jobs with their lanes; the results are in the order of ``news``, and none if the ``guard`` refuses."""
        if guard is not None and not guard(connection):
            return []
        # Every batch uses the unique keys in one order, so that two batches never wait for each other in a circle.
        numbered = sorted(((place, new, lane) for place, (new, lane) in enumerate(news)), key=_by_key)
        results: dict[int, tuple[Job, bool]] = {}
        for start in range(0, len(numbered), _CHUNK):
            left = numbered[start : start + _CHUNK]
            # A round that adds nothing and finds nothing met a job that was deleted in between: try again.
            while left:
                results |= self._insert_new(connection, left, now, detail)
                left = [one for one in left if one[0] not in results]
                results |= self._find_existing(connection, left)
                left = [one for one in left if one[0] not in results]
        # Batches come last, so that a writer that waits for one holds everything else that it needs.
        self._group.batches.joined(connection, [job for job, created in results.values() if created], now)
        return [results[place] for place in range(len(numbered))]

    def add_again(
        self, connection: Connection, new: NewJob, lane: int, now: float, *, detail: str | None, by: str
    ) -> tuple[Job, bool]:
        """Add the job that repeats another, once; it takes over the unique key, and the failure counts as handled."""
        connection.execute(_LOCK_JOB, {"id": new.retry_of})  # otherwise two processes could both add one
        if (row := connection.execute(_AGAIN, {"id": new.retry_of}).first()) is not None:
            return job_of(row), False
        connection.execute(_GIVE_UP_KEY, {"number": new.retry_of})
        ((job, created),) = self.add(connection, [(new, lane)], now, detail)
        if created:
            handled = {"number": new.retry_of, "again": job.id, "now": now, "by": by}
            connection.execute(_MARK_RETRIED, handled)
        return job, created

    def _insert_new(
        self, connection: Connection, new_rows: Sequence[_NewRow], now: float, detail: str | None
    ) -> dict[int, tuple[Job, bool]]:
        numbers = self._next_ids(connection, len(new_rows))
        fresh = {
            number: (place, self._job(number, new, lane, now))
            for number, (place, new, lane) in zip(numbers, sorted(new_rows, key=_place), strict=True)
        }
        rows = [_row(job) for _, job in sorted(fresh.values(), key=lambda one: _key(one[1]))]
        added = list(connection.execute(self._insert, {PARAMETER: encode(rows)}).scalars())
        self._group.write_history(
            connection,
            [(number, _FIRST_VERSION, now, None, State.QUEUED.value, "Submitted", detail, None) for number in added],
        )
        made = {number: fresh[number] for number in added}
        self._group.write_terms(
            connection,
            [(term, job.id) for _, job in made.values() for term in parameter_terms(job.params, job.context.labels)],
        )
        return {place: (job, True) for place, job in made.values()}

    def _job(self, number: int, new: NewJob, lane: int, now: float) -> Job:
        secrets = SecretParams(self._group.seal.stored_secrets(new.secrets)) if new.secrets else NO_SECRETS
        return Job(
            id=number,
            lane=lane,
            account=new.account,
            operation=new.operation,
            params=new.params,
            state=State.QUEUED,
            version=_FIRST_VERSION,
            due_at=now + new.wait_s,
            created_at=now,
            deadline_at=now + new.deadline_s,
            unique_key=new.unique_key,
            retry_of=new.retry_of,
            answer_key=new.answer_key,
            context=new.context,
            secrets=secrets,
        )

    def _find_existing(self, connection: Connection, new_rows: Sequence[_NewRow]) -> dict[int, tuple[Job, bool]]:
        if not new_rows:
            return {}
        rows = [(place, new.account, new.unique_key) for place, new, _ in new_rows]
        found = connection.execute(self._existing, {PARAMETER: encode(rows)}).all()
        return {place: (job_of(columns), False) for place, *columns in found}

    def _next_ids(self, connection: Connection, number: int) -> Sequence[int]:
        """Ids that no job ever had. They are taken first, because RETURNING guarantees no order."""
        if self._on_sqlite:
            last = connection.execute(_LAST_ID_ON_SQLITE).scalar() or 0
            return range(last + 1, last + 1 + number)
        return sorted(connection.execute(_NEXT_IDS_ON_POSTGRESQL, {"number": number}).scalars())


_LOCK_JOB: Final = select(jobs.c.id).where(jobs.c.id == bindparam("id")).with_for_update()
_RETRIED: Final = jobs.alias("retried")
_AGAIN: Final = select(*JOB_COLUMNS).join(
    _RETRIED, and_(_RETRIED.c.id == bindparam("id", type_=BigInteger()), jobs.c.id == _RETRIED.c.retried_as)
)
_NUMBER: Final = bindparam("number", type_=BigInteger())
_GIVE_UP_KEY: Final = (
    update(jobs)
    .where(jobs.c.id == _NUMBER, jobs.c.unique_key.is_not(None))
    .values(former_key=jobs.c.unique_key, unique_key=null())
)
_NOW: Final[Any] = bindparam("now", type_=Double())
_BY: Final = bindparam("by", type_=Text())
_IS_FAILURE: Final = jobs.c.state.in_(sorted(state.value for state in FAILURES))
_MARK_RETRIED: Final = (
    update(jobs)
    .where(jobs.c.id == _NUMBER)
    .values(
        retried_as=bindparam("again", type_=BigInteger()),
        handled_at=case((_IS_FAILURE, func.coalesce(jobs.c.handled_at, _NOW)), else_=jobs.c.handled_at),
        handled_by=case((_IS_FAILURE, func.coalesce(jobs.c.handled_by, _BY)), else_=jobs.c.handled_by),
    )
)
_LAST_ID_ON_SQLITE: Final = text("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")
_NEXT_IDS_ON_POSTGRESQL: Final = text(
    "SELECT nextval(pg_get_serial_sequence('jobs', 'id')) FROM generate_series(1, :number)"
)


def _place(row: _NewRow) -> int:
    return row[0]


def _by_key(row: _NewRow) -> tuple[str, str]:
    return _key(row[1])


def _key(job: NewJob | Job) -> tuple[str, str]:
    return job.account, job.unique_key or ""


def _row(job: Job) -> tuple[Any, ...]:
    """A row of ``_ADDED``."""
    return (
        job.id,
        job.lane,
        job.account,
        job.operation,
        json.dumps(job.params) if job.params else "{}",
        job.state.value,
        job.version,
        job.due_at,
        job.created_at,
        job.deadline_at,
        job.unique_key,
        job.retry_of,
        job.answer_key,
        track_of(job.state).value,
        job.context.as_text(),
        job.context.schedule,
        job.context.batch,
        job.secrets.text,
    )


@cache
def _job_insert(dialect: str) -> Executable:
    rows = rows_of(dialect, [(name, jobs.c[name].type) for name in _ADDED])
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # SQLite would read ON CONFLICT as part of the join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    added = insert(jobs).from_select(list(_ADDED), select(*rows.c).where(literal_column("1 = 1")))
    return added.on_conflict_do_nothing(
        index_elements=[jobs.c.account, jobs.c.unique_key], index_where=jobs.c.unique_key.is_not(None)
    ).returning(jobs.c.id)


@cache
def _existing_jobs(dialect: str) -> Executable:
    keys = rows_of(dialect, [("place", Integer()), ("account", Text()), ("unique_key", Text())])
    same = (jobs.c.account == keys.c.account) & (jobs.c.unique_key == keys.c.unique_key)
    return select(keys.c.place, *JOB_COLUMNS).join(jobs, same)
