"""Bounds how many accounts have series of their own; the series of all further accounts are added up in one."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

OTHER: Final = "other"
# What an operator looks at for its largest value. Everything else is a number of things, and is added.
_LARGEST: Final = frozenset(
    {
        "tidewaiter_account_paused",
        "tidewaiter_breaker_open",
        "tidewaiter_lane_closed_seconds",
        "tidewaiter_longest_running_seconds",
        "tidewaiter_overdue_seconds",
        "tidewaiter_usual_duration_seconds",
    }
)
# An account that has no series of its own has no operations and lanes of its own either.
_FOLDED: Final = ("account", "operation", "lane")


def _ignore(_accounts: int) -> None:
    pass


class AccountLimit:
    """The accounts with series of their own: the first that are seen, until the process ends.

    A series that moved between the two kinds would look like a counter that was reset, so the place of an account that
    is no longer configured is not given to another one.

    Args:
        most: how many accounts may have them.
        on_excess: called once, with the number of accounts that have none.
    """

    def __init__(self, most: int = 1000, on_excess: Callable[[int], None] = _ignore) -> None:
        self._most = most
        self._on_excess = on_excess
        self._has_told = False
        self._named: dict[str, None] = {}
        self._others: dict[str, None] = {}

    @property
    def named(self) -> frozenset[str] | None:
        """The accounts with series of their own; ``None`` if every account has them.

        An account whose name is that of the sum cannot have its own beside it, and is a part of the sum.
        """
        return frozenset(self._named) - {OTHER} if self._others else None

    @property
    def others(self) -> int:
        """How many accounts have none."""
        return len(self._others)

    def reconfigure(self, most: int) -> None:
        """Use another limit: the first accounts keep or get series of their own, and the rest have none."""
        self._most = most
        every, self._named, self._others = (*self._named, *self._others), {}, {}
        self._has_told = False
        self.admit(every)

    def admit(self, accounts: Iterable[str]) -> None:
        """Note accounts that have series."""
        for account in accounts:
            if account not in self._named and account not in self._others:
                (self._named if len(self._named) < self._most else self._others)[account] = None
        if self._others and not self._has_told:
            self._has_told = True
            self._on_excess(len(self._others))


def folded(family: Family, named: frozenset[str]) -> Family:
    """The family with the series of all accounts but these in one for each combination of the other labels."""
    values: dict[tuple[str, frozenset[tuple[str, str]]], Sample] = {}
    is_largest = family.name in _LARGEST
    for sample in family.samples:
        if sample.labels.get("account", OTHER) not in named and "account" in sample.labels:
            labels = {name: OTHER if name in _FOLDED else value for name, value in sample.labels.items()}
            sample = sample._replace(labels=labels)  # noqa: PLW2901
        key = (sample.name, frozenset(sample.labels.items()))
        before = values.get(key)
        if before is not None:
            value = max(before.value, sample.value) if is_largest else before.value + sample.value
            sample = before._replace(value=value)  # noqa: PLW2901
        values[key] = sample
    family.samples = list(values.values())
    return family
