"""Notifications: messages about jobs to endpoints, until they are delivered or given up."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", ROW_ID, sa.Identity(), primary_key=True),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("due_at", sa.Double()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("attempted_at", sa.Double()),
        sa.Column("last_error", sa.Text()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("body", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index(
        "notifications_due", "notifications", ["endpoint", "due_at"], sqlite_where=due, postgresql_where=due
    )
    op.create_index("notifications_status", "notifications", ["status", "id"])
    op.create_index("notifications_job", "notifications", ["job_id"])
