"""The secret parameters of jobs and backfills; when a schedule was resumed, and a backfill's jobs were cancelled."""

import sqlalchemy as sa
from alembic import op

from tidewaiter.database.undoing import refuse_losses

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("secrets", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("backfills", sa.Column("secrets", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("backfills", sa.Column("jobs_cancelled_at", sa.Double()))
    op.add_column("schedules", sa.Column("resumed_at", sa.Double()))


def downgrade() -> None:
    refuse_losses(
        "0014",
        {
            "jobs have secret parameters": "jobs WHERE secrets <> '{}'",
            "backfills have secret parameters": "backfills WHERE secrets <> '{}'",
        },
    )
    op.drop_column("schedules", "resumed_at")
    op.drop_column("backfills", "jobs_cancelled_at")
    op.drop_column("backfills", "secrets")
    op.drop_column("jobs", "secrets")
