"""The secret parameters of jobs and backfills; and when a schedule was resumed."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("secrets", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("backfills", sa.Column("secrets", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("schedules", sa.Column("resumed_at", sa.Double()))
