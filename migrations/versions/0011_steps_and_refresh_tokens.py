"""The stage and the kept values of jobs with several requests, repeats after passing failures, refresh tokens."""

import sqlalchemy as sa
from alembic import op

from tidewaiter.database.undoing import refuse_losses

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("stage", sa.Text()))
    op.add_column("jobs", sa.Column("kept", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("jobs", sa.Column("agains", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_table(
        "refresh_tokens",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("configured", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.Double(), nullable=False),
        sa.Column("renewing_since", sa.Double()),
    )


def downgrade() -> None:
    refuse_losses(
        "0011",
        {
            "jobs wait for the start of their remote job": "jobs WHERE state = 'starting'",
            "jobs have a stage or kept values": "jobs WHERE stage IS NOT NULL OR kept <> '{}'",
            "accounts have a refresh token that replaced the configured one": "refresh_tokens",
        },
    )
    op.drop_table("refresh_tokens")
    for column in ("agains", "kept", "stage"):
        op.drop_column("jobs", column)
