"""Browser sessions that were ended early; and what people have done, in addition to the history of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ended_sessions",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("until", sa.Double(), nullable=False),
    )
    op.create_index("ended_sessions_until", "ended_sessions", ["until"])
    op.create_table(
        "actions",
        sa.Column("id", ROW_ID, sa.Identity(), primary_key=True),
        sa.Column("job_id", ROW_ID, sa.ForeignKey("jobs.id", name="actions_job", ondelete="CASCADE")),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("logged", sa.Boolean(), nullable=False),
        sqlite_autoincrement=True,
    )
    of_job = sa.text("job_id IS NOT NULL")
    op.create_index("actions_job", "actions", ["job_id"], sqlite_where=of_job, postgresql_where=of_job)
    op.create_index(
        "actions_unlogged",
        "actions",
        ["id"],
        sqlite_where=sa.text("logged = 0"),
        postgresql_where=sa.text("logged = false"),
    )
