"""What Alembic finds between a database and ``tables.py``, as sentences for an operator."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

_MODIFIED: Final = {"modify_type": "type", "modify_nullable": "nullability", "modify_default": "default"}


def differences_in(found: Iterable[Any]) -> Iterator[str]:
    """A sentence for each difference.

    Args:
        found: the result of ``alembic.autogenerate.compare_metadata``: tuples that begin with an operation's name, and
            lists of tuples that change one column.
    """
    for one in found:
        if isinstance(one, list):
            yield from differences_in(one)
        else:
            yield _sentence(one)


def _sentence(found: tuple[Any, ...]) -> str:
    match found:
        case (("add_table" | "remove_table") as operation, table):
            return f"table {table.name} {_how(operation)}"
        case (("add_column" | "remove_column") as operation, _, table, column):
            return f"column {column.name} of {table} {_how(operation)}"
        case (("add_index" | "remove_index") as operation, index):
            return f"index {index.name} on {index.table.name} {_how(operation)}"
        case (("add_constraint" | "remove_constraint" | "add_fk" | "remove_fk") as operation, constraint):
            name = f"{constraint.name} " if constraint.name else ""
            return f"constraint {name}on {constraint.table.name} {_how(operation)}"
        case (operation, _, table, column, *_) if operation in _MODIFIED:
            return f"column {column} of {table} has another {_MODIFIED[operation]}"
        case _:
            return str(found)


def _how(operation: str) -> str:
    return "is missing" if operation.startswith("add_") else "is not known to this program"
