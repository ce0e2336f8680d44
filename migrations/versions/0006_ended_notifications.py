"""An index of ended notifications by the time of their end, so that old ones are found without reading all rows."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    has_ended = sa.text("ended_at IS NOT NULL")
    op.create_index(
        "notifications_ended",
        "notifications",
        ["status", "ended_at"],
        sqlite_where=has_ended,
        postgresql_where=has_ended,
    )
