"""Rows of the tables as values of the domain, and back."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from app.domain.address import shown_handle
from app.domain.job import Entry, Job, State
from app.domain.manifest import Artifact
from app.domain.wire import SealedLinks
from app.store.sealing import is_sealed, links_of
from app.store.tables import artifacts, history, jobs

JOB_FIELDS: Final = tuple(field.name for field in fields(Job))
JOB_COLUMNS: Final = tuple(jobs.c[name] for name in JOB_FIELDS)
ENTRY_COLUMNS: Final = tuple(history.c[field.name] for field in fields(Entry))
ARTIFACT_COLUMNS: Final = tuple(artifacts.c[field.name] for field in fields(Artifact))

_STATES: Final = {state.value: state for state in State}
_PARAMS: Final = JOB_FIELDS.index("params")
_STATE: Final = JOB_FIELDS.index("state")
_LINKS: Final = JOB_FIELDS.index("links")
_LARGE_TEXT: Final = 262_144
_WITH_HANDLE: Final = "handle "


def job_of(row: Sequence[Any]) -> Job:
    """The job of a row of ``JOB_COLUMNS``; by position, because this runs a hundred thousand times an hour."""
    values = list(row)
    params, links = values[_PARAMS], values[_LINKS]
    values[_PARAMS] = {} if params == "{}" else json.loads(params)
    values[_STATE] = _STATES[values[_STATE]]
    values[_LINKS] = () if links == "[]" else SealedLinks(links) if is_sealed(links) else links_of(links)
    return Job(*values)


async def jobs_of(rows: Sequence[Sequence[Any]]) -> list[Job]:
    """The jobs of many rows; in a thread if their links are long: ten thousand links take a tenth of a second."""
    if sum(len(row[_LINKS]) for row in rows) <= _LARGE_TEXT:
        return [job_of(row) for row in rows]
    return await asyncio.to_thread(lambda: [job_of(row) for row in rows])


def entry_of(row: Sequence[Any]) -> Entry:
    """The history entry of a row of ``ENTRY_COLUMNS``."""
    job_id, version, at, state_from, state, outcome, detail = row
    left = None if state_from is None else _STATES[state_from]
    if detail is not None and detail.startswith(_WITH_HANDLE):  # rows of earlier versions have the whole handle
        detail = shown_handle(detail)
    return Entry(job_id, version, at, left, _STATES[state], outcome, detail)


def artifact_of(row: Sequence[Any]) -> Artifact:
    """The artifact of a row of ``ARTIFACT_COLUMNS``."""
    return Artifact(*row)
