"""Rows of the tables as values of the domain, and many rows as one JSON parameter: one round trip for a group."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Subquery, Text, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from tidewaiter.database.sealing import is_sealed, links_of, sealed_links
from tidewaiter.database.tables import artifacts, history, jobs
from tidewaiter.domain.job import HistoryEntry, Job, State
from tidewaiter.domain.job_context import NO_CONTEXT, context_of
from tidewaiter.domain.manifest import Artifact
from tidewaiter.domain.secret_params import NO_SECRETS, NO_TEXT, SecretParams
from tidewaiter.domain.url import shown_handle

PARAMETER: Final = "encoded_rows"
"""The name of the bound parameter for the result of :func:`encode`."""

_NUL_ESCAPED = "\\u0000"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

JOB_FIELDS: Final = tuple(field.name for field in fields(Job))
JOB_COLUMNS: Final = tuple(jobs.c[name] for name in JOB_FIELDS)
ENTRY_COLUMNS: Final = tuple(history.c[field.name] for field in fields(HistoryEntry))
ARTIFACT_COLUMNS: Final = tuple(artifacts.c[field.name] for field in fields(Artifact))

_STATES: Final = {state.value: state for state in State}
_PARAMS: Final = JOB_FIELDS.index("params")
_STATE: Final = JOB_FIELDS.index("state")
_LINKS: Final = JOB_FIELDS.index("links")
_CONTEXT: Final = JOB_FIELDS.index("context")
_KEPT: Final = JOB_FIELDS.index("kept")
_SECRETS: Final = JOB_FIELDS.index("secrets")
_LARGE_TEXT: Final = 262_144
_WITH_HANDLE: Final = "handle "


def encode(rows: Sequence[Sequence[object]]) -> str:
    """Rows as JSON text for the parameter of :func:`rows_of`.

    JSON would escape the characters that :func:`storable` replaces, and they would fail every row of the group; so they
    are replaced here. In all other parameters the connections replace them, see :mod:`tidewaiter.database.engine`.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = _to_json(rows)
    if _NUL_ESCAPED not in text and _is_utf8(text):
        return text
    return _to_json([[storable(v) if isinstance(v, str) else v for v in row] for row in rows])


def encode_row(row: Sequence[object]) -> str:
    """One row as :func:`encode` writes it, for :func:`joined`."""
    return encode((row,))[1:-1]


def joined(rows: Sequence[str]) -> str:
    """Rows of :func:`encode_row` as one parameter of :func:`rows_of`."""
    return f"[{','.join(rows)}]"


def storable(text: str) -> str:
    """The text as both databases accept it: NUL, and lone surrogates, which are not UTF-8, become U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


def rows_of(dialect: str, columns: Sequence[tuple[str, TypeEngine[Any]]], parameter: str = PARAMETER) -> Subquery:
    """The encoded rows as a table expression called ``given``.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        columns: name and type of each member of a row, in order.
        parameter: the name of the bound parameter.
    """
    text = bindparam(parameter, type_=Text())
    source = func.json_each(text) if dialect == "sqlite" else func.jsonb_array_elements(cast(text, JSONB))
    row = source.table_valued("value", name="member").c.value
    members = [_member(dialect, row, at, kind).label(name) for at, (name, kind) in enumerate(columns)]
    return select(*members).subquery("given")


def _member(dialect: str, row: ColumnElement[Any], at: int, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    if dialect == "sqlite":
        return func.json_extract(row, literal_column(f"'$[{at}]'"), type_=kind)
    return cast(row.op("->>")(literal_column(str(at))), kind)


# Made once: `json.dumps` with options makes an encoder for each call.
_to_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def job_of(row: Sequence[Any]) -> Job:
    """The job of a row of ``JOB_COLUMNS``; by position, because this runs a hundred thousand times an hour."""
    values = list(row)
    params, links = values[_PARAMS], values[_LINKS]
    values[_PARAMS] = {} if params == "{}" else json.loads(params)
    values[_STATE] = _STATES[values[_STATE]]
    values[_LINKS] = () if links == "[]" else sealed_links(links) if is_sealed(links) else links_of(links)
    values[_CONTEXT] = NO_CONTEXT if (context := values[_CONTEXT]) == "{}" else context_of(context)
    values[_KEPT] = {} if (kept := values[_KEPT]) == "{}" else json.loads(kept)
    values[_SECRETS] = NO_SECRETS if (secrets := values[_SECRETS]) == NO_TEXT else SecretParams(secrets)
    return Job(*values)


async def jobs_of(rows: Sequence[Sequence[Any]]) -> list[Job]:
    """The jobs of many rows; in a thread if their links are long: ten thousand links take a tenth of a second."""
    if sum(len(row[_LINKS]) for row in rows) <= _LARGE_TEXT:
        return [job_of(row) for row in rows]
    return await asyncio.to_thread(lambda: [job_of(row) for row in rows])


def entry_of(row: Sequence[Any]) -> HistoryEntry:
    """The history entry of a row of ``ENTRY_COLUMNS``."""
    job_id, version, at, state_from, state, outcome, detail = row
    left = None if state_from is None else _STATES[state_from]
    if detail is not None and detail.startswith(_WITH_HANDLE):  # rows of earlier versions have the whole handle
        detail = shown_handle(detail)
    return HistoryEntry(job_id, version, at, left, _STATES[state], outcome, detail)


def artifact_of(row: Sequence[Any]) -> Artifact:
    """The artifact of a row of ``ARTIFACT_COLUMNS``."""
    return Artifact(*row)
