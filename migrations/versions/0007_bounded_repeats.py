"""Counters that limit repetition (unknown submits, expired links, polls since the submit); identities of files."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column("jobs", sa.Column("unknowns", sa.Integer(), nullable=False, server_default=zero))
    op.add_column("jobs", sa.Column("polls_at_submit", sa.Integer(), nullable=False, server_default=zero))
    op.add_column("jobs", sa.Column("expiries", sa.Integer(), nullable=False, server_default=zero))
    op.add_column("jobs", sa.Column("expired_at", sa.Double()))
    op.add_column("artifacts", sa.Column("identity", sa.Text()))
