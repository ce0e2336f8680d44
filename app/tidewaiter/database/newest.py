"""The newest jobs of some states, from the end of an index."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, union_all

from tidewaiter.database.tables import jobs
from tidewaiter.domain.job import State


def newest_ids(states: Iterable[State], matching: Sequence[ColumnElement[bool]], limit: int) -> Any:
    """A page of ids from each state: with several states in one condition, the database would sort all rows."""
    pages = [
        select(jobs.c.id)
        .where(jobs.c.state == state.value, *matching)
        .order_by(jobs.c.id.desc())
        .limit(limit)
        .subquery()
        for state in sorted(states)
    ]
    return union_all(*(select(page.c.id) for page in pages))
