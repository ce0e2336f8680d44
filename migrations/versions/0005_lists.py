"""Lists: the jobs of an account by state, and jobs by the beginning of their unique key."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("jobs_listed", "jobs", ["account", "state", "id", "operation"])
    has_key = sa.text("unique_key IS NOT NULL")
    op.create_index(
        "jobs_keys",
        "jobs",
        ["unique_key"],
        sqlite_where=has_key,
        postgresql_where=has_key,
        postgresql_ops={"unique_key": "text_pattern_ops"},
    )
