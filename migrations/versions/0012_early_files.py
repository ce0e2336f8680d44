"""When a remote job is polled next whose first files are being fetched before it has finished."""

import sqlalchemy as sa
from alembic import op

from tidewaiter.database.undoing import refuse_losses

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("poll_at", sa.Double()))


def downgrade() -> None:
    refuse_losses("0012", {"jobs are polled while their first files are fetched": "jobs WHERE poll_at IS NOT NULL"})
    op.drop_column("jobs", "poll_at")
