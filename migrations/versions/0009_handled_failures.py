"""Failures that somebody acknowledged or retried; the unique key that a retried job had."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UNHANDLED = sa.text("state IN ('failed', 'expired') AND handled_at IS NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("handled_at", sa.Double()))
    op.add_column("jobs", sa.Column("handled_by", sa.Text()))
    op.add_column("jobs", sa.Column("retried_as", sa.BigInteger()))
    op.add_column("jobs", sa.Column("former_key", sa.Text()))
    # Nobody could acknowledge the failures that are in the table now: they are no news to anyone.
    op.execute(
        sa.text("UPDATE jobs SET handled_at = finished_at, handled_by = 'upgrade' WHERE state IN ('failed', 'expired')")
    )
    # A job is repeated once: the newest job that repeats it counts.
    op.execute(
        sa.text(
            "UPDATE jobs SET retried_as = again.id FROM"
            " (SELECT retry_of, max(id) AS id FROM jobs WHERE retry_of IS NOT NULL GROUP BY retry_of) AS again"
            " WHERE jobs.id = again.retry_of"
        )
    )
    op.create_index("jobs_unhandled", "jobs", ["id"], sqlite_where=UNHANDLED, postgresql_where=UNHANDLED)
    op.create_index(
        "jobs_unhandled_account", "jobs", ["account", "id"], sqlite_where=UNHANDLED, postgresql_where=UNHANDLED
    )
