"""The first tables: jobs with their history and artifacts, lanes and workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "lanes",
        sa.Column("id", ROW_ID, sa.Identity(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text()),
        sa.Column("epoch", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("lease_until", sa.Double()),
        sa.Column("closed_until", sa.Double()),
        sa.Column("closed_reason", sa.Text()),
        sa.Column("request_window", sa.Text(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("clean", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.UniqueConstraint("account", "shard", name="lanes_account_shard"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.Text(), primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", ROW_ID, sa.Identity(), primary_key=True),
        sa.Column("lane", ROW_ID, sa.ForeignKey("lanes.id", name="jobs_lane"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("deadline_at", sa.Double(), nullable=False),
        sa.Column("unique_key", sa.Text()),
        sa.Column("retry_of", ROW_ID),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("intent_key", sa.Text()),
        sa.Column("intent_at", sa.Double()),
        sa.Column("handle", sa.Text()),
        sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("remote_status", sa.Text()),
        sa.Column("progress", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("links", sa.Text(), nullable=False, server_default=sa.text("'[]'")),
        *(
            sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))
            for name in ("polls", "failures", "crashes", "submits", "resubmits", "fetches")
        ),
        sa.Column("submitted_at", sa.Double()),
        sa.Column("ready_at", sa.Double()),
        sa.Column("landed_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("track", sa.SmallInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    _index("jobs_due", ["lane", "track", "due_at"], where="due_at IS NOT NULL")
    _index("jobs_unique_key", ["account", "unique_key"], where="unique_key IS NOT NULL", unique=True)
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_index(
        "jobs_handle",
        "jobs",
        # An entry of PostgreSQL's B-tree holds 2704 bytes at most, a handle may be longer.
        ["account", "operation", "handle" if on_sqlite else sa.text("md5(handle)")],
        unique=True,
        sqlite_where=sa.text("handle IS NOT NULL AND shared = 0 AND finished_at IS NULL"),
        postgresql_where=sa.text("handle IS NOT NULL AND NOT shared AND finished_at IS NULL"),
    )
    _index("jobs_state", ["state", "id"])
    _index("jobs_wishes", ["lane"], where="cancel_requested = 1" if on_sqlite else "cancel_requested = true")
    _index("jobs_finished", ["finished_at"], where="finished_at IS NOT NULL")
    op.create_table(
        "history",
        sa.Column("job_id", ROW_ID, sa.ForeignKey("jobs.id", name="history_job", ondelete="CASCADE"), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("state_from", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text()),
        sa.Column("stamp", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "artifacts",
        sa.Column(
            "job_id", ROW_ID, sa.ForeignKey("jobs.id", name="artifacts_job", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("landed_at", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )


def _index(name: str, columns: list[str], *, where: str | None = None, unique: bool = False) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
