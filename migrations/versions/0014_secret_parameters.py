"""The secret parameters of jobs and backfills; when a schedule was resumed, and a backfill's jobs were cancelled."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("secrets", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("backfills", sa.Column("secrets", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("backfills", sa.Column("jobs_cancelled_at", sa.Double()))
    op.add_column("schedules", sa.Column("resumed_at", sa.Double()))
