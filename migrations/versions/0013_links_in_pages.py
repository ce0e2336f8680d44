"""The links of long lists in pages, and an index over the jobs of a lane that have a remote job."""

import sqlalchemy as sa
from alembic import op

from tidewaiter.database.undoing import refuse_losses

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REMOTE = sa.text("state IN ('cancelling', 'polling', 'reconciling', 'starting', 'submitting') OR poll_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("job_id", _ROW_ID, sa.ForeignKey("jobs.id", name="links_job", ondelete="CASCADE"), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("page", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text(), nullable=False),
    )
    op.create_index("jobs_remote", "jobs", ["lane", "id"], sqlite_where=_REMOTE, postgresql_where=_REMOTE)


def downgrade() -> None:
    refuse_losses("0013", {"jobs have their links in pages": "links"})
    op.drop_index("jobs_remote", "jobs")
    op.drop_table("links")
