"""What the address of the list of jobs asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from tidewaiter.database.job_list import JobFilter
from tidewaiter.domain.formatting import visible
from tidewaiter.domain.job import State
from tidewaiter.web.problems import FieldFault, ProblemError
from tidewaiter.web.request_reading import number_of

_LONGEST_SEARCH: Final = 4096
_TEXTS: Final = ("account", "operation", "q", "cause", "batch", "schedule")


@dataclass(frozen=True, slots=True)
class JobListQuery:
    """What the address asks for: filters, one state or any, and only jobs with numbers below ``before_id``."""

    filters: JobFilter
    state: State | None
    before_id: int | None

    @property
    def text(self) -> str:
        """The text of the search."""
        return self.filters.search or ""

    @property
    def is_filtered(self) -> bool:
        """Whether a filter is set, other than the search."""
        return replace(self.filters, search=None) != JobFilter()

    @property
    def narrowed(self) -> list[tuple[str, str]]:
        """The filters without a field in the form, each with the address of the list without it."""
        chosen = (
            ("unhandled", self.filters.unhandled, "Unhandled failures only"),
            ("cause", self.filters.cause, f"Cause: {self.filters.cause}"),
            ("schedule", self.filters.schedule, f"Schedule: {self.filters.schedule}"),
            ("batch", self.filters.batch, f"Batch: {self.filters.batch}"),
        )
        return [(sentence, self.address(**{name: None})) for name, value, sentence in chosen if value]

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The same filters as parameters of the address."""
        names = ("unhandled", "cause", "schedule", "batch")
        return [(name, value) for name, value in self.parameters().items() if name in names]

    def parameters(self, **changes: str | int | None) -> dict[str, str]:
        """The parameters of the address, some of them changed."""
        parameters: dict[str, str | int | None] = {
            "state": self.state.value if self.state else None,
            "account": self.filters.account,
            "operation": self.filters.operation,
            "q": self.filters.search,
            "unhandled": "true" if self.filters.unhandled else None,
            "cause": self.filters.cause,
            "batch": self.filters.batch,
            "schedule": self.filters.schedule,
            **changes,
        }
        return {name: str(value) for name, value in parameters.items() if value}

    def address(self, **changes: str | int | None) -> str:
        """The address with some parameters changed; the first page unless ``before`` is given."""
        return str(URL("/jobs").with_query(self.parameters(**changes)))


def read_job_list_query(query: Mapping[str, str]) -> JobListQuery:
    """The query of a request for the list.

    Raises:
        ProblemError: a parameter is invalid.
    """
    faults = [
        FieldFault("has control characters, which no job has", parameter=name)
        for name in _TEXTS
        if visible(query.get(name, "")) != query.get(name, "")
    ]
    state, before_id = None, None
    if given := query.get("state"):
        try:
            state = State(given)
        except ValueError:
            known = ", ".join(one.value for one in State)
            faults.append(FieldFault(f"there is no state {given[:64]!r}; the states are: {known}", parameter="state"))
    if given := query.get("before"):
        before_id = number_of(given)
        if before_id is None:
            faults.append(FieldFault("must be the number of a job; the list shows older ones", parameter="before"))
    if query.get("unhandled", "true") != "true":
        faults.append(FieldFault("must be true, or left out", parameter="unhandled"))
    text = query.get("q", "").strip().removeprefix("#")
    if len(text) > _LONGEST_SEARCH:
        faults.append(FieldFault(f"must have at most {_LONGEST_SEARCH} characters", parameter="q"))
    if faults:
        raise ProblemError(400, "the address of this list has invalid parameters", errors=faults)
    filters = JobFilter(
        account=query.get("account") or None,
        operation=query.get("operation") or None,
        states=() if state is None else (state,),
        search=text or None,
        unhandled=query.get("unhandled") == "true",
        cause=query.get("cause") or None,
        batch=query.get("batch") or None,
        schedule=query.get("schedule") or None,
    )
    return JobListQuery(filters, state, before_id)
