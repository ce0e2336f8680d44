"""Many rows in one parameter: rows go into a statement as one JSON text, so that a group costs one round trip."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Subquery, Text, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

PARAMETER: Final = "batch"
"""The name of the bound parameter for the result of :func:`encode`."""

_NUL_ESCAPED = "\\u0000"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def encode(rows: Sequence[Sequence[object]]) -> str:
    """Rows as JSON text for the parameter of :func:`rows_of`.

    JSON would escape the characters that :func:`storable` replaces, and they would fail every row of the group; so they
    are replaced here. In all other parameters the database's connections replace them, see :mod:`app.store.engine`.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = _to_json(rows)
    if _NUL_ESCAPED not in text and _is_utf8(text):
        return text
    return _to_json([[storable(v) if isinstance(v, str) else v for v in row] for row in rows])


def storable(text: str) -> str:
    """The text as both databases accept it: NUL, and lone surrogates, which are not UTF-8, become U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def rows_of(dialect: str, columns: Sequence[tuple[str, TypeEngine[Any]]]) -> Subquery:
    """The encoded rows as a table expression called ``batch``.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        columns: name and type of each member of a row, in order.
    """
    text = bindparam(PARAMETER, type_=Text())
    source = func.json_each(text) if dialect == "sqlite" else func.jsonb_array_elements(cast(text, JSONB))
    row = source.table_valued("value", name="member").c.value
    members = [_member(dialect, row, at, kind).label(name) for at, (name, kind) in enumerate(columns)]
    return select(*members).subquery("batch")


def _member(dialect: str, row: ColumnElement[Any], at: int, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    if dialect == "sqlite":
        return func.json_extract(row, literal_column(f"'$[{at}]'"), type_=kind)
    return cast(row.op("->>")(literal_column(str(at))), kind)


def _to_json(rows: Sequence[Sequence[object]]) -> str:
    return json.dumps(rows, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
