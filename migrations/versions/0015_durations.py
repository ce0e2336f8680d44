"""How long remote jobs took, and when a remote job was last polled that was not ready."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("polled_at", sa.Double()))
    op.create_table(
        "durations",
        sa.Column("lane", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("operation", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("sketch", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    # Durations are learned again.
    op.drop_table("durations")
    op.drop_column("jobs", "polled_at")
