"""Lists of jobs, a page at a time, newest first.

A page is read from the end of an index and stops when it is full, so it costs the same among a million jobs. One index
has every account's jobs by state; a list over several states is made of one page for each. No index has the jobs of an
operation alone, so such a list is made of a page from each account that has the operation.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from heapq import nlargest
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    literal,
    select,
    union,
)

from tidewaiter.database.failure_store import unhandled_only
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.newest import newest_ids
from tidewaiter.database.row_codec import JOB_COLUMNS, jobs_of
from tidewaiter.database.sql_functions import HandleKey
from tidewaiter.database.tables import UNHANDLED, job_terms, jobs, lanes
from tidewaiter.domain.account_scope import EVERY_ACCOUNT, Scope
from tidewaiter.domain.job import FAILURES, Job, State
from tidewaiter.domain.search_terms import label_term, searched_terms

# Ids rise with time, but several daemons' clocks differ, and a transaction may take its id before its time.
_SKEW_S: Final = 3600.0
_LAST_CHARACTER: Final = "\U0010ffff"
LARGEST_ID: Final = 2**63 - 1
"""No job has a number beyond it."""
MOST_READ: Final = 5_000
"""Among how many unhandled failures a text is searched for."""
MOST_OF_CAUSE: Final = 10_000
"""Among how many failures of a state a cause is searched for, unless they are unhandled."""
_SHORTEST_REASON: Final = 3
_FEW: Final = 2_000
"""So many jobs are looked through one by one, in place of all jobs that have a search term."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to find: all given conditions must match. Times are epoch seconds, and exclusive.

    ``search`` is a job's number, the beginning of its unique key, its whole handle, the beginning of its operation's
    name, the name of one of its files, a parameter or a label as ``name=value``, or a part of its reason, which is
    looked for in the newest :data:`MOST_READ` unhandled failures only. ``labels`` must all be there.
    """

    account: str | None = None
    operation: str | None = None
    states: Collection[State] = ()
    unique_key: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    search: str | None = None
    unhandled: bool = False
    """Only failures that nobody has acknowledged or retried."""
    batch: str | None = None
    schedule: str | None = None
    cause: str | None = None
    """Only failures of this cause. Without ``unhandled`` or another condition that has an index of its own, the newest
    :data:`MOST_OF_CAUSE` failed and as many expired jobs are looked through, of the account if one is given."""
    labels: tuple[tuple[str, str], ...] = ()
    numbers: Collection[int] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it has no condition, so that it finds every job."""
        values = [getattr(self, one.name) for one in fields(self)]
        return all(value is None or value is False or (isinstance(value, Collection) and not value) for value in values)


class JobList:
    """Finds jobs. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        jobs: the jobs table.
        scope: jobs of other accounts are not found.
    """

    def __init__(self, jobs: JobStore, scope: Scope = EVERY_ACCOUNT) -> None:
        self._jobs_table = jobs
        self._database = jobs.database
        self._scope = scope

    def limited_to(self, scope: Scope) -> "JobList":
        """The same, for these accounts."""
        return JobList(self._jobs_table, scope)

    async def page(
        self,
        conditions: JobFilter,
        limit: int,
        before_id: int | None = None,
        operations_by_account: Mapping[str, Collection[str]] | None = None,
    ) -> list[Job]:
        """Jobs, the newest first.

        Args:
            conditions: which jobs; an operation without an account, a key or a search is looked up in the accounts of
                ``operations_by_account`` that have it, and without them among all jobs.
            limit: how many at most.
            before_id: the last id of the previous page.
            operations_by_account: the existing operations, by account.
        """
        matching = await self._matching(conditions, before_id)
        few = await self._few(conditions, before_id, operations_by_account or {})
        matching += [] if few is None else [jobs.c.id.in_(few)]
        if conditions.search is not None:
            named = frozenset(name for operations in (operations_by_account or {}).values() for name in operations)
            found: Any = _searched(self._database.dialect, conditions, named, matching, limit, walks=few is None)
        elif conditions.numbers or conditions.unique_key is not None:
            found = _page(_ids(*matching), limit)
        elif conditions.labels:
            found = _with_term(label_term(*conditions.labels[0]), matching, limit, walks=few is None)
        elif conditions.unhandled:
            failures = unhandled_only(select(*JOB_COLUMNS).where(*matching), conditions.account)
            return await self._jobs(_page(failures, limit))
        elif conditions.batch is not None or conditions.schedule is not None:
            return await self._jobs(_page(select(*JOB_COLUMNS).where(*matching), limit))
        elif conditions.cause is not None:
            return await self._newest(await self._of_cause(conditions, limit, before_id), limit)
        elif conditions.account is None and conditions.operation is not None and operations_by_account is not None:
            having = [name for name, operations in operations_by_account.items() if conditions.operation in operations]
            names = [name for name in having if name in self._scope]
            return await self._newest(self._of_accounts(names, conditions, matching, limit), limit)
        elif conditions.account is None and self._scope.accounts is not None:
            pages = self._of_accounts(sorted(self._scope.accounts), conditions, matching, limit)
            return await self._newest(pages, limit)
        elif conditions.account is not None or conditions.states:
            found = newest_ids(conditions.states or State, matching, limit)
        else:
            return await self._jobs(_page(select(*JOB_COLUMNS).where(*matching), limit))
        return await self._jobs(_page(select(*JOB_COLUMNS).where(jobs.c.id.in_(found)), limit))

    async def keyed(self, unique_keys: Sequence[str]) -> dict[tuple[str, str], Job]:
        """The jobs with one of these unique keys, of any account, by account and key."""
        found: list[Job] = []
        for start in range(0, len(unique_keys), _KEYS_AT_ONCE):
            some = jobs.c.unique_key.in_(unique_keys[start : start + _KEYS_AT_ONCE])
            found += await self._jobs(select(*JOB_COLUMNS).where(some, *self._within()))
        return {(job.account, job.unique_key): job for job in found if job.unique_key is not None}

    async def numbered(self, numbers: Collection[int]) -> dict[int, Job]:
        """The jobs with these numbers."""
        return {
            job.id: job for job in await self._jobs(select(*JOB_COLUMNS).where(jobs.c.id.in_(numbers), *self._within()))
        }

    def _within(self) -> list[ColumnElement[bool]]:
        return [] if self._scope.accounts is None else [jobs.c.account.in_(sorted(self._scope.accounts))]

    @staticmethod
    def _of_accounts(
        accounts: Sequence[str], conditions: JobFilter, matching: Sequence[ColumnElement[bool]], limit: int
    ) -> list[Any]:
        """A page of ids of each of these accounts."""
        return [newest_ids(conditions.states or State, [*matching, jobs.c.account == name], limit) for name in accounts]

    async def _few(
        self, conditions: JobFilter, before_id: int | None, operations_by_account: Mapping[str, Collection[str]]
    ) -> list[int] | None:
        """The ids of the jobs that match the other conditions of a search, if they are few.

        Else a search for what many jobs have would read all of them to find the few in this state or of this operation.
        """
        others = replace(conditions, search=None, labels=())
        if conditions.search is None and not conditions.labels:
            return None
        if not (others.states or others.unhandled or others.cause or others.account or others.operation):
            return None
        matching = await self._matching(others, before_id)
        others = replace(others, states=others.states or (FAILURES if others.cause is not None else ()))
        if others.unhandled:
            pages: list[Any] = [_page(unhandled_only(select(jobs.c.id).where(*matching), others.account), _FEW + 1)]
        elif others.account is None and others.operation is not None:
            having = [name for name, known in operations_by_account.items() if others.operation in known]
            if not having:
                return None
            pages = self._of_accounts([name for name in having if name in self._scope], others, matching, _FEW + 1)
        else:
            pages = [newest_ids(others.states or State, matching, _FEW + 1)]

        def read(connection: Connection) -> list[int]:
            return nlargest(_FEW + 1, (number for page in pages for number in connection.execute(page).scalars()))

        ids = await self._database.read(read)
        return ids if len(ids) <= _FEW else None

    async def _newest(self, pages: Sequence[Any], limit: int) -> list[Job]:
        """The newest jobs of several pages of ids; only these are read."""

        def read(connection: Connection) -> Sequence[Sequence[Any]]:
            ids = nlargest(limit, (number for page in pages for number in connection.execute(page).scalars()))
            return connection.execute(_page(select(*JOB_COLUMNS).where(jobs.c.id.in_(ids)), limit)).all()

        return await jobs_of(await self._database.read(read))

    async def _of_cause(self, conditions: JobFilter, limit: int, before_id: int | None) -> list[Select[Any]]:
        """Pages of ids of the newest failures of a cause. No index has causes, so only the newest failures are read."""
        within = await self._matching(replace(conditions, cause=None, operation=None, states=()), None)
        scope = self._scope.accounts if conditions.account is None else None
        accounts = [[]] if scope is None else [[jobs.c.account == name] for name in sorted(scope)]
        pages: list[Select[Any]] = []
        for account in accounts:
            for state in sorted(conditions.states or FAILURES):
                failures = select(jobs.c.id, jobs.c.operation, jobs.c.cause).where(
                    *within, *account, jobs.c.state == state.value
                )
                newest = _page(failures, MOST_OF_CAUSE).subquery()
                wanted = [newest.c.cause == conditions.cause]
                if conditions.operation is not None:
                    wanted.append(newest.c.operation == conditions.operation)
                if before_id is not None:
                    wanted.append(newest.c.id < before_id)
                pages.append(select(newest.c.id).where(*wanted).order_by(newest.c.id.desc()).limit(limit))
        return pages

    async def _matching(self, conditions: JobFilter, before_id: int | None) -> list[ColumnElement[bool]]:
        matching: list[ColumnElement[bool]] = self._within()
        if before_id is not None:
            matching.append(jobs.c.id < before_id)
        matching += [
            jobs.c[name] == value
            for name in ("account", "operation", "unique_key", "batch", "schedule", "cause")
            if (value := getattr(conditions, name)) is not None
        ]
        matching += [
            exists().where(_LABELS.c.term == label_term(name, value), _LABELS.c.job_id == jobs.c.id)
            for name, value in conditions.labels
        ]
        if conditions.numbers:
            matching.append(jobs.c.id.in_(sorted(conditions.numbers)))
        if conditions.unhandled:
            matching.append(UNHANDLED)
        if states := conditions.states or (FAILURES if conditions.cause is not None else ()):
            matching.append(jobs.c.state.in_(sorted(states)))
        if conditions.created_after is not None:
            matching.append(jobs.c.created_at > conditions.created_after)
            matching.append(jobs.c.id >= await self._first_since(conditions.created_after - _SKEW_S))
        if conditions.created_before is not None:
            matching.append(jobs.c.created_at < conditions.created_before)
            matching.append(jobs.c.id < await self._first_since(conditions.created_before + _SKEW_S))
        return matching

    async def _first_since(self, at: float) -> int:
        """About the first id of jobs created at ``at`` or later, by a search over the ids, which needs no index."""

        def search(connection: Connection) -> int:
            low, high = 1, (connection.execute(_LAST_ID).scalar() or 0) + 1
            while low < high:
                middle = (low + high) // 2
                row = connection.execute(_FROM_ID, {"from_id": middle}).first()
                if row is None or row[1] >= at:
                    high = middle
                else:
                    low = row[0] + 1
            return low

        return await self._database.read(search)

    async def _jobs(self, statement: Select[Any]) -> list[Job]:
        return await jobs_of(await self._database.read(lambda connection: connection.execute(statement).all()))


_KEYS_AT_ONCE: Final = 500
_LABELS: Final = job_terms.alias("labels")
_LAST_ID: Final = select(func.max(jobs.c.id))
_FROM_ID: Final = (
    select(jobs.c.id, jobs.c.created_at)
    .where(jobs.c.id >= bindparam("from_id", type_=BigInteger()))
    .order_by(jobs.c.id)
    .limit(1)
)
# Every account that ever had jobs; only a few rows.
_ACCOUNTS: Final = select(lanes.c.account)


def _page(statement: Select[Any], limit: int) -> Select[Any]:
    return statement.order_by(jobs.c.id.desc()).limit(limit)


def _ids(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(jobs.c.id).where(*conditions)


def _searched(
    dialect: str,
    conditions: JobFilter,
    operations: Collection[str],
    matching: Sequence[ColumnElement[bool]],
    limit: int,
    *,
    walks: bool,
) -> Any:
    """Ids of jobs that match a text in any of its meanings; each meaning has an index of its own.

    ``walks``: the terms' rows are read from their end; else the jobs of ``matching`` are few.
    """
    text = conditions.search or ""
    at_least, at_most = ("~>=~", "~<=~") if dialect == "postgresql" else (">=", "<=")
    begins = and_(
        jobs.c.unique_key.is_not(None),
        jobs.c.unique_key.bool_op(at_least)(text),
        jobs.c.unique_key.bool_op(at_most)(f"{text}{_LAST_CHARACTER}"),
    )
    followed = and_(
        jobs.c.account.in_(_ACCOUNTS),
        jobs.c.operation.in_(sorted(operations)),
        jobs.c.handle.is_not(None),
        HandleKey(jobs.c.handle) == HandleKey(literal(text, Text())),
        jobs.c.handle == text,
    )
    meanings = [begins, followed]
    if text.isascii() and text.isdigit() and int(text) <= LARGEST_ID:
        meanings.append(jobs.c.id == int(text))
    elif len(text) >= _SHORTEST_REASON:
        meanings.append(jobs.c.id.in_(_with_reason(text, matching, conditions.account)))
    if named := sorted(name for name in operations if name.startswith(text)):
        meanings.append(jobs.c.operation.in_(named))
    pages = [_page(_ids(meaning, *matching), limit).subquery() for meaning in meanings]
    pages += [_with_term(term, matching, limit, walks=walks).subquery() for term in sorted(searched_terms(text))]
    return union(*(select(page.c.id) for page in pages))


def _with_term(term: int, matching: Sequence[ColumnElement[bool]], limit: int, *, walks: bool) -> Select[Any]:
    """A page of ids from the end of the term's rows: a term that a million jobs have costs no more than a rare one.

    If the jobs of ``matching`` are few, they are looked up among the term's rows instead.
    """
    if not walks:
        row = exists().where(job_terms.c.term == term, job_terms.c.job_id == jobs.c.id)
        return _page(_ids(row, *matching), limit)
    found = select(jobs.c.id).select_from(job_terms).join(jobs, jobs.c.id == job_terms.c.job_id)
    return found.where(job_terms.c.term == term, *matching).order_by(job_terms.c.job_id.desc()).limit(limit)


def _with_reason(text: str, matching: Sequence[ColumnElement[bool]], account: str | None) -> Select[Any]:
    """Ids of unhandled failures with this text in their reason; no index has reasons, so only the newest are read."""
    newest = _page(unhandled_only(select(jobs.c.id, jobs.c.reason).where(*matching), account), MOST_READ).subquery()
    return select(newest.c.id).where(newest.c.reason.icontains(text, autoescape=True))
