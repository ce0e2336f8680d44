"""Whether a migration can be undone without a loss."""

from collections.abc import Mapping

from alembic import op
from sqlalchemy import text

from tidewaiter.database.errors import SchemaError


def refuse_losses(revision: str, losses: Mapping[str, str]) -> None:
    """Refuse to undo a migration while rows have what the older tables cannot keep.

    Args:
        revision: of the migration.
        losses: a table, perhaps with a condition, by what its rows have.

    Raises:
        SchemaError: there are such rows; the message counts them.
    """
    found = []
    for what, rows in losses.items():
        number = op.get_bind().execute(text(f"SELECT count(*) FROM {rows}")).scalar_one()  # noqa: S608  # of a migration
        if number:
            found.append(f"{what} ({number} rows)")
    if found:
        raise SchemaError(
            f"Revision {revision} cannot be undone, because the older tables have no place for it: {'; '.join(found)}. "
            "Nothing has changed. Let these jobs end and delete what is left, or restore the backup from before the "
            "upgrade."
        )
