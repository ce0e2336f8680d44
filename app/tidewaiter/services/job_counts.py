"""Jobs counted by what they have in common: their state, account, operation, batch, schedule, or a label."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeAlias

from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.domain.job import Job, State

MOST_COUNTED: Final = 10_000
"""So many of the newest jobs are looked at."""
_AT_ONCE: Final = 1_000
_LABEL: Final = "label."
_PLAIN: Final[Mapping[str, Callable[[Job], str | None]]] = {
    "state": attrgetter("state.value"),
    "account": attrgetter("account"),
    "operation": attrgetter("operation"),
    "batch": attrgetter("context.batch"),
    "schedule": attrgetter("context.schedule"),
}
USUAL_FORM: Final = "state"
FORMS: Final = f"{', '.join(_PLAIN)} or {_LABEL}NAME"
"""What jobs can be counted by, for people."""
PATTERN: Final = rf"^(?:{'|'.join(_PLAIN)}|label\..+)$"
"""The same as a regular expression of JSON Schema."""

ReadValue: TypeAlias = Callable[[Job], str | None]


@dataclass(frozen=True, slots=True)
class JobGroup:
    """The jobs with one value: how many are in each state. ``value`` is ``None`` for jobs that have none."""

    value: str | None
    states: Mapping[State, int]

    @property
    def jobs(self) -> int:
        """How many they are."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The groups, the largest first. ``is_complete``: every job that matches was counted, not only the newest."""

    by: str
    groups: tuple[JobGroup, ...]
    is_complete: bool

    @property
    def jobs(self) -> int:
        """How many jobs were counted."""
        return sum(group.jobs for group in self.groups)

    def as_json(self) -> dict[str, Any]:
        """The counts as a program reads them."""
        groups = [
            {
                "value": group.value,
                "jobs": group.jobs,
                "states": {state.value: number for state, number in sorted(group.states.items())},
            }
            for group in self.groups
        ]
        return {"by": self.by, "groups": groups, "jobs": self.jobs, "complete": self.is_complete}


def value_reader(by: str) -> ReadValue | None:
    """The function that reads what jobs are counted by; ``None`` if they cannot be counted by it, see ``FORMS``."""
    name = by.removeprefix(_LABEL)
    if name != by and name:
        return lambda job: job.context.labels.get(name)
    return _PLAIN.get(by)


async def count_jobs(
    lists: JobList, conditions: JobFilter, by: str, offered: Mapping[str, Collection[str]]
) -> JobCounts:
    """Count the newest jobs that match.

    Args:
        lists: finds jobs.
        conditions: which jobs.
        by: what they are counted by, one of ``FORMS``.
        offered: the operations that exist, by account.

    Raises:
        ValueError: they cannot be counted by it.
    """
    if (read := value_reader(by)) is None:
        raise ValueError(f"must be {FORMS}")
    counts: Counter[tuple[str | None, State]] = Counter()
    before: int | None = None
    left = MOST_COUNTED
    is_last = False
    while left > 0 and not is_last:
        asked = min(_AT_ONCE, left)
        page = await lists.page(conditions, asked, before, offered)
        counts.update((read(job), job.state) for job in page)
        is_last, left = len(page) < asked, left - len(page)
        before = page[-1].id if page else before
    is_complete = is_last or not await lists.page(conditions, 1, before, offered)
    values = dict.fromkeys(value for value, _ in counts)
    groups = (
        JobGroup(value, {state: number for (one, state), number in counts.items() if one == value}) for value in values
    )
    return JobCounts(by, tuple(sorted(groups, key=lambda one: (-one.jobs, one.value or ""))), is_complete)
