"""Schedules: the last tick of each."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("ticked_at", sa.Double(), nullable=False),
        sa.Column("job_id", sa.BigInteger()),
    )
