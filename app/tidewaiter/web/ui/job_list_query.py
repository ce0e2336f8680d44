"""What the address of the list of jobs asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from multidict import MultiMapping
from yarl import URL

from tidewaiter.database.job_list import JobFilter
from tidewaiter.domain.formatting import visible
from tidewaiter.domain.job import State
from tidewaiter.web.api.job_conditions import CONDITIONS, conditions_of, query_of
from tidewaiter.web.problems import FieldFault, ProblemError
from tidewaiter.web.request_reading import number_of

_LONGEST_SEARCH: Final = 4096
_NAMES: Final = tuple(one.name for one in CONDITIONS)
_SENTENCES: Final = {
    "unhandled": "Unhandled failures only",
    "cause": "Cause: {}",
    "schedule": "Schedule: {}",
    "batch": "Batch: {}",
    "label": "Label: {}",
    "unique_key": "Unique key: {}",
    "created_after": "Created after {}",
    "created_before": "Created before {}",
}
_WITHOUT_FIELD: Final = tuple(_SENTENCES)


@dataclass(frozen=True, slots=True)
class JobListQuery:
    """What the address asks for: filters, and only jobs with numbers below ``before_id``."""

    filters: JobFilter
    before_id: int | None

    @property
    def state(self) -> State | None:
        """The one state that is asked for, if it is one."""
        return next(iter(self.filters.states)) if len(self.filters.states) == 1 else None

    @property
    def text(self) -> str:
        """The text of the search."""
        return self.filters.search or ""

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is set, other than the search."""
        return not replace(self.filters, search=None).is_empty

    @property
    def narrowed(self) -> list[tuple[str, str]]:
        """The filters without a field in the form, each with the address of the list without it."""
        given = query_of(self.filters)
        chosen = [(name, value) for name in _WITHOUT_FIELD for value in given.get(name, ())]
        return [
            (_SENTENCES[name].format(value), self.address(**{name: [one for one in given[name] if one != value]}))
            for name, value in chosen
        ]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The same filters as parameters of the address."""
        return [(name, value) for name, value in self.parameters() if name in _WITHOUT_FIELD]

    def parameters(self, **changes: str | int | Sequence[str] | None) -> list[tuple[str, str]]:
        """The parameters of the address, some of them changed."""
        changed = {
            name: list(value) if isinstance(value, list) else [] if value is None else [str(value)]
            for name, value in changes.items()
        }
        return [(name, one) for name, several in (query_of(self.filters) | changed).items() for one in several]

    def address(self, **changes: str | int | Sequence[str] | None) -> str:
        """The address with some parameters changed; the first page unless ``before`` is given."""
        return str(URL("/jobs").with_query(self.parameters(**changes)))


def read_job_list_query(query: MultiMapping[str]) -> JobListQuery:
    """The query of a request for the list.

    Raises:
        ProblemError: a parameter is invalid.
    """
    given = {name: [one for one in query.getall(name, ()) if one] for name in _NAMES}
    faults = [
        FieldFault("has control characters, which no job has", parameter=name)
        for name, several in given.items()
        if any(visible(one) != one for one in several)
    ]
    given["q"] = [text for one in given["q"][:1] if (text := one.strip().removeprefix("#"))]
    if any(len(one) > _LONGEST_SEARCH for one in given["q"]):
        faults.append(FieldFault(f"must have at most {_LONGEST_SEARCH} characters", parameter="q"))
    filters = conditions_of({name: several for name, several in given.items() if several}, faults)
    before_id = None
    if before := query.get("before"):
        before_id = number_of(before)
        if before_id is None:
            faults.append(FieldFault("must be the number of a job; the list shows older ones", parameter="before"))
    if faults:
        raise ProblemError(400, "the address of this list has invalid parameters", errors=faults)
    return JobListQuery(filters, before_id)
