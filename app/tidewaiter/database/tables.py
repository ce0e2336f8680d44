"""The tables.

Times are epoch seconds (UTC), JSON is text. The migrations build the same tables; a test proves it on both databases.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    literal_column,
    not_,
    or_,
    text,
    true,
)

from tidewaiter.database.sql_functions import HandleKey

HANDLE_INDEX: Final = "jobs_handle"
"""The unique index that permits one job for each remote job (shared ones excepted)."""


metadata = MetaData()

# SQLite counts rows by itself only in a column of exactly this type.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _partial(condition: ColumnElement[bool]) -> dict[str, Any]:
    return {"sqlite_where": condition, "postgresql_where": condition}


lanes = Table(
    "lanes",
    metadata,
    Column("id", _ROW_ID, Identity(), primary_key=True),
    Column("account", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("owner", Text),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("lease_until", Double),
    Column("closed_until", Double),
    Column("closed_reason", Text),
    Column("request_window", Text, nullable=False, server_default=text("'[]'")),
    Column("clean", Boolean, nullable=False, server_default=true()),
    Column("stored_at", Double, nullable=False, server_default=text("0")),
    UniqueConstraint("account", "shard", name="lanes_account_shard"),
    sqlite_autoincrement=True,
)

workers = Table(
    "workers",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ROW_ID, Identity(), primary_key=True),
    Column("lane", _ROW_ID, ForeignKey("lanes.id", name="jobs_lane"), nullable=False),
    Column("account", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("due_at", Double),
    Column("created_at", Double, nullable=False),
    Column("deadline_at", Double, nullable=False),
    Column("unique_key", Text),
    Column("retry_of", _ROW_ID),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("intent_key", Text),
    Column("intent_at", Double),
    Column("handle", Text),
    Column("shared", Boolean, nullable=False, server_default=false()),
    Column("remote_status", Text),
    Column("progress", Text),
    Column("reason", Text),
    Column("links", Text, nullable=False, server_default=text("'[]'")),
    _count("polls"),
    _count("failures"),
    _count("crashes"),
    _count("submits"),
    _count("resubmits"),
    _count("fetches"),
    Column("submitted_at", Double),
    Column("ready_at", Double),
    Column("landed_at", Double),
    Column("finished_at", Double),
    Column("answer_key", Text),
    Column("callback_hash", Text),
    Column("hinted", Boolean, nullable=False, server_default=false()),
    Column("moved_at", Double),
    _count("unknowns"),
    _count("polls_at_submit"),
    _count("expiries"),
    Column("expired_at", Double),
    # Not part of the job itself: the track in which it is served, and the stamp of the last update.
    Column("track", SmallInteger, nullable=False),
    Column("stamp", BigInteger),
    Column("handled_at", Double),
    Column("handled_by", Text),
    Column("retried_as", BigInteger),
    Column("former_key", Text),
    Column("context", Text, nullable=False, server_default=text("'{}'")),
    Column("cause", Text),
    Column("stage", Text),
    Column("kept", Text, nullable=False, server_default=text("'{}'")),
    _count("agains"),
    Column("poll_at", Double),
    Column("polled_at", Double),
    # The values of secret parameters, encrypted if there is a key.
    Column("secrets", Text, nullable=False, server_default=text("'{}'")),
    # Parts of the context in columns of their own, for the indexes.
    Column("schedule", Text),
    Column("batch", Text),
    sqlite_autoincrement=True,
)

Index("jobs_due", jobs.c.lane, jobs.c.track, jobs.c.due_at, **_partial(jobs.c.due_at.is_not(None)))
Index("jobs_unique_key", jobs.c.account, jobs.c.unique_key, unique=True, **_partial(jobs.c.unique_key.is_not(None)))
Index(
    HANDLE_INDEX, jobs.c.account, jobs.c.operation, HandleKey(jobs.c.handle), unique=True,
    **_partial(and_(jobs.c.handle.is_not(None), not_(jobs.c.shared), jobs.c.finished_at.is_(None))),
)  # fmt: skip
Index(
    "jobs_followers", jobs.c.account, jobs.c.operation, HandleKey(jobs.c.handle),
    **_partial(jobs.c.handle.is_not(None)),
)  # fmt: skip
Index("jobs_callback", jobs.c.callback_hash, unique=True, **_partial(jobs.c.callback_hash.is_not(None)))
Index(
    "jobs_answers", jobs.c.account, jobs.c.operation, jobs.c.answer_key, jobs.c.ready_at,
    **_partial(jobs.c.answer_key.is_not(None)),
)  # fmt: skip
Index("jobs_state", jobs.c.state, jobs.c.id)
# For lists: by account and state in the order of numbers, and by the beginning of a key, in any collation.
Index("jobs_listed", jobs.c.account, jobs.c.state, jobs.c.id, jobs.c.operation)
Index(
    "jobs_keys",
    jobs.c.unique_key,
    postgresql_ops={"unique_key": "text_pattern_ops"},
    **_partial(jobs.c.unique_key.is_not(None)),
)
Index("jobs_wishes", jobs.c.lane, **_partial(jobs.c.cancel_requested == true()))
Index("jobs_finished", jobs.c.finished_at, **_partial(jobs.c.finished_at.is_not(None)))

# The failures that nobody has handled. A partial index is used only where a query has its condition, word by word.
UNHANDLED: Final = and_(
    literal_column("state", Text()).in_([literal_column("'failed'"), literal_column("'expired'")]),
    literal_column("handled_at", Double()).is_(None),
)
Index("jobs_unhandled", jobs.c.id, **_partial(UNHANDLED))
Index("jobs_unhandled_account", jobs.c.account, jobs.c.id, **_partial(UNHANDLED))

# The jobs of a lane whose remote job is, or may be, under way; the states of ``domain.job.REMOTE``.
WITH_REMOTE_JOB: Final = or_(
    literal_column("state", Text()).in_(
        [literal_column(f"'{state}'") for state in ("cancelling", "polling", "reconciling", "starting", "submitting")]
    ),
    literal_column("poll_at", Double()).is_not(None),
)
Index("jobs_remote", jobs.c.lane, jobs.c.id, **_partial(WITH_REMOTE_JOB))

Index("jobs_schedule", jobs.c.schedule, jobs.c.id, **_partial(jobs.c.schedule.is_not(None)))
Index("jobs_batch", jobs.c.batch, jobs.c.account, jobs.c.state, jobs.c.id, **_partial(jobs.c.batch.is_not(None)))

# By what jobs are found, see :mod:`tidewaiter.domain.search_terms`.
job_terms = Table(
    "job_terms",
    metadata,
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("job_id", _ROW_ID, ForeignKey("jobs.id", name="job_terms_job", ondelete="CASCADE"), primary_key=True),
    sqlite_with_rowid=False,
)

Index("job_terms_job", job_terms.c.job_id)

history = Table(
    "history",
    metadata,
    Column("job_id", _ROW_ID, ForeignKey("jobs.id", name="history_job", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("state_from", Text),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text),
    Column("stamp", BigInteger),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("job_id", _ROW_ID, ForeignKey("jobs.id", name="artifacts_job", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("landed_at", Double, nullable=False),
    Column("count", BigInteger),
    Column("identity", Text),
    sqlite_with_rowid=False,
)

# The links of long lists, see :mod:`tidewaiter.database.link_store`: pages that the job wrote with this version.
links = Table(
    "links",
    metadata,
    Column("job_id", _ROW_ID, ForeignKey("jobs.id", name="links_job", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("page", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("paused_at", Double),
    Column("resumed_at", Double),
    Column("fingerprint", Text),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("ticked_at", Double, nullable=False),
    Column("job_id", BigInteger),
    Column("paused_at", Double),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("resumed_at", Double),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", _ROW_ID, Identity(), primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    # No foreign key: a notification may outlive its job, so the body has everything.
    Column("job_id", BigInteger, nullable=False),
    Column("account", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("due_at", Double),
    _count("attempts"),
    Column("attempted_at", Double),
    Column("last_error", Text),
    Column("ended_at", Double),
    Column("body", Text, nullable=False),
    # The batch that it is about; ``job_id`` is then the job whose end completed the batch.
    Column("batch", Text),
    sqlite_autoincrement=True,
)

Index(
    "notifications_due",
    notifications.c.endpoint,
    notifications.c.due_at,
    **_partial(notifications.c.due_at.is_not(None)),
)
Index("notifications_status", notifications.c.status, notifications.c.id)
Index(
    "notifications_ended",
    notifications.c.status,
    notifications.c.ended_at,
    **_partial(notifications.c.ended_at.is_not(None)),
)
Index("notifications_job", notifications.c.job_id)

ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until", Double, nullable=False),
)

Index("ended_sessions_until", ended_sessions.c.until)

actions = Table(
    "actions",
    metadata,
    Column("id", _ROW_ID, Identity(), primary_key=True),
    Column("job_id", _ROW_ID, ForeignKey("jobs.id", name="actions_job", ondelete="CASCADE")),
    Column("version", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("logged", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

Index("actions_job", actions.c.job_id, **_partial(actions.c.job_id.is_not(None)))
Index("actions_unlogged", actions.c.id, **_partial(actions.c.logged == false()))

# ``jobs`` counts all jobs of the batch and ``open`` those that have not ended; ``complete``: no more jobs will come.
batches = Table(
    "batches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    _count("jobs"),
    _count("open"),
    Column("complete", Boolean, nullable=False, server_default=true()),
    Column("ended_at", Double),
)

# A backfill adds the jobs of its batch, one for each window, in order; ``plan`` says which windows.
backfills = Table(
    "backfills",
    metadata,
    Column("batch", Text, ForeignKey("batches.name", name="backfills_batch", ondelete="CASCADE"), primary_key=True),
    Column("account", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("windows", Integer, nullable=False),
    _count("next_window"),
    _count("reused"),
    Column("paused_at", Double),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("secrets", Text, nullable=False, server_default=text("'{}'")),
    Column("jobs_cancelled_at", Double),
)

# Sums by hour and by day. A lane has one writer, so no two daemons wait for each other's rows.
trends = Table(
    "trends",
    metadata,
    Column("step_s", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", _ROW_ID, primary_key=True, autoincrement=False),
    Column("operation", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# How long remote jobs took: a sketch for each operation of a lane, and for each kind of its jobs.
durations = Table(
    "durations",
    metadata,
    Column("lane", _ROW_ID, primary_key=True, autoincrement=False),
    Column("operation", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("sketch", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("account", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    # Encrypted. It replaces the configured token whose digest is beside it.
    Column("token", Text, nullable=False),
    Column("configured", Text, nullable=False),
    Column("stored_at", Double, nullable=False),
    # Set before the token is sent for a new one, and cleared with the commit of the new one.
    Column("renewing_since", Double),
)
