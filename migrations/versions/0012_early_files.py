"""When a remote job is polled next whose first files are being fetched before it has finished."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("poll_at", sa.Double()))
