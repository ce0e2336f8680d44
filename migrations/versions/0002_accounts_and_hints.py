"""Pauses of accounts, wake-ups by callbacks, results that jobs share, and how many records a file has."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("paused_by", sa.Text()),
        sa.Column("paused_reason", sa.Text()),
        sa.Column("paused_at", sa.Double()),
        sa.Column("resumed_at", sa.Double()),
        sa.Column("fingerprint", sa.Text()),
    )
    op.add_column("jobs", sa.Column("answer_key", sa.Text()))
    op.add_column("jobs", sa.Column("callback_hash", sa.Text()))
    op.add_column("jobs", sa.Column("hinted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("moved_at", sa.Double()))
    op.add_column("artifacts", sa.Column("count", sa.BigInteger()))
    # On PostgreSQL the index has a digest of the handle: an entry has at most 2704 bytes.
    digest: str | sa.TextClause = sa.text("md5(handle)") if op.get_bind().dialect.name == "postgresql" else "handle"
    _index("jobs_followers", ["account", "operation", digest], where="handle IS NOT NULL")
    _index("jobs_callback", ["callback_hash"], where="callback_hash IS NOT NULL", unique=True)
    _index("jobs_answers", ["account", "operation", "answer_key", "ready_at"], where="answer_key IS NOT NULL")


def _index(name: str, columns: list[str | sa.TextClause], *, where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
