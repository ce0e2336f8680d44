"""Values in the query of a list of jobs; a faulty one is reported by the name of its parameter."""

from typing import Final

from tidewaiter.database.job_list import LARGEST_ID
from tidewaiter.web.api.request_input import moment_of
from tidewaiter.web.api.routing import QueryParameters
from tidewaiter.web.problems import FieldFault
from tidewaiter.web.request_reading import number_of

MOST_IDS: Final = 100
"""Jobs that one request for a list may name."""


def numbers_of(query: QueryParameters, faults: list[FieldFault]) -> frozenset[int]:
    """The jobs that a query names; faulty numbers are added to ``faults``."""
    numbers = [number_of(text) for text in query.get("id", ())]
    if len(numbers) > MOST_IDS:
        faults.append(FieldFault(f"is given more than {MOST_IDS} times", parameter="id"))
    if None in numbers:
        faults.append(FieldFault(f"must be a whole number from 1 to {LARGEST_ID}", parameter="id"))
    return frozenset(number for number in numbers if number is not None)


def labels_of(query: QueryParameters, faults: list[FieldFault]) -> tuple[tuple[str, str], ...]:
    """The labels that a query names, as ``name=value``; faults are added to ``faults``."""
    found = [(name, value) for name, _, value in (one.partition("=") for one in query.get("label", ()))]
    if not all(name and value for name, value in found):
        faults.append(FieldFault("must be name=value", parameter="label"))
    return tuple(found)


def is_true(query: QueryParameters, name: str, faults: list[FieldFault]) -> bool:
    """Whether a query has a parameter, which must then be ``true``."""
    if name in query and query[name][0] != "true":
        faults.append(FieldFault("must be true, or left out", parameter=name))
    return name in query


def time_of(query: QueryParameters, name: str, faults: list[FieldFault]) -> float | None:
    """The time in a parameter, in epoch seconds; a faulty one is added to ``faults``."""
    if name not in query:
        return None
    at = moment_of(query[name][0])
    if at is None:
        reason = "must be a time with its offset, such as 2026-11-21T14:00:00Z; in a URL a + is written %2B"
        faults.append(FieldFault(reason, parameter=name))
    return at
