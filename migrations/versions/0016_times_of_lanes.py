"""When a lane's recent requests and closing were stored: they count from then, by whatever clock they are read."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # 0 marks rows whose times are epoch seconds, as older programs write them.
    op.add_column("lanes", sa.Column("stored_at", sa.Double(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    # Older programs cannot read these times of requests: the next owner counts the whole window as used.
    op.execute("UPDATE lanes SET clean = false, request_window = '[]' WHERE stored_at > 0 AND request_window <> '[]'")
    op.drop_column("lanes", "stored_at")
    # Older programs cannot read the marker of a long list that ends in the number of links.
    op.execute("UPDATE jobs SET links = rtrim(rtrim(links, '0123456789'), ':') WHERE links LIKE 'paged:1:%:%:%'")
