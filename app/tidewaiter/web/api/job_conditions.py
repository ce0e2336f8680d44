"""The conditions by which jobs are found: in the list, in actions on many jobs, and in the addresses of pages.

Each condition is defined once, as a parameter of a query. The filter in a body has members of the same names; it is
turned into such a query and read by the same function.
"""

from collections.abc import Sequence
from typing import Final

from tidewaiter.database.job_list import MOST_OF_CAUSE, JobFilter
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.web.api.paging import ACCOUNT, STATES, TEXT, states_of
from tidewaiter.web.api.query_values import is_true, labels_of, time_of
from tidewaiter.web.api.routing import ApiParameter, QueryParameters
from tidewaiter.web.problems import FieldFault

_TIME: Final = {"type": "string", "format": "date-time"}
CONDITIONS: Final = (
    ACCOUNT,
    ApiParameter(
        "operation", "only of this operation; without `account` or `unique_key`, of the accounts that have it now", TEXT
    ),
    STATES,
    ApiParameter("unique_key", "only with this unique key", TEXT),
    ApiParameter("created_after", "only made after this time", _TIME),
    ApiParameter("created_before", "only made before this time", _TIME),
    ApiParameter(
        "q",
        "a job's number, its handle, the name of one of its files, a parameter or a label as name=value, the beginning"
        " of its unique key or operation, or, among the newest unhandled failures, a part of its reason",
        TEXT,
    ),
    ApiParameter(
        "label", "only with this label, as name=value; if given several times, with all of them", TEXT, many=True
    ),
    ApiParameter("batch", "only of this batch", TEXT),
    ApiParameter("schedule", "only runs of this schedule", TEXT),
    ApiParameter(
        "cause",
        f"only failures of this cause; without `unhandled`, among the newest {MOST_OF_CAUSE:,} of each state",
        TEXT,
    ),
    ApiParameter(
        "unhandled",
        "`true`: only failed and expired jobs that nobody has acknowledged or retried",
        {"type": "string", "enum": ["true"]},
    ),
)


def conditions_of(query: QueryParameters, faults: list[FieldFault]) -> JobFilter:
    """The conditions that a query has; faulty ones are added to ``faults``."""

    def text(name: str) -> str | None:
        return query[name][0] if name in query else None

    return JobFilter(
        account=text("account"),
        operation=text("operation"),
        states=states_of(query, faults),
        unique_key=text("unique_key"),
        created_after=time_of(query, "created_after", faults),
        created_before=time_of(query, "created_before", faults),
        search=text("q"),
        batch=text("batch"),
        schedule=text("schedule"),
        cause=text("cause"),
        unhandled=is_true(query, "unhandled", faults),
        labels=labels_of(query, faults),
    )


def query_of(conditions: JobFilter) -> dict[str, list[str]]:
    """The query that has these conditions; the opposite of :func:`conditions_of`."""
    values: dict[str, Sequence[str | None]] = {
        "state": sorted(conditions.states),
        "account": [conditions.account],
        "operation": [conditions.operation],
        "unique_key": [conditions.unique_key],
        "created_after": [rfc3339(conditions.created_after)],
        "created_before": [rfc3339(conditions.created_before)],
        "q": [conditions.search],
        "label": [f"{name}={value}" for name, value in conditions.labels],
        "unhandled": ["true"] if conditions.unhandled else [],
        "cause": [conditions.cause],
        "batch": [conditions.batch],
        "schedule": [conditions.schedule],
    }
    given = {name: [one for one in several if one is not None] for name, several in values.items()}
    return {name: several for name, several in given.items() if several}
