"""Batches: jobs that are submitted under one name, and end together."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import TERMINAL, State

BATCH_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._:@+=~-]{0,99}$"
_NAME: Final = re.compile(BATCH_NAME.removesuffix("$") + r"\Z")
_ID_DIGITS: Final = 32

StateCounts = Mapping[tuple[str, State], int]
"""How many jobs of a batch are in each state, by account."""


def batch_name_fault(name: str) -> str | None:
    """What is wrong with the name of a batch; ``None`` for a name that can be used."""
    if _NAME.match(name):
        return None
    return "is no name of a batch: 1 to 100 of A-Z a-z 0-9 . _ : @ + = ~ -, and first a letter or a digit"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stands; times are epoch seconds.

    ``jobs`` counts all jobs that it ever had, and ``open`` those that have not ended; a parked job has not. ``counts``
    are of the jobs that are still stored. ``complete``: no more jobs are expected, so that it ends with its last job.
    ``ended_at`` is when that was; a job that joins later opens the batch again.
    """

    name: str
    created_at: float
    created_by: str
    jobs: int
    open: int
    complete: bool
    ended_at: float | None
    counts: StateCounts

    def within(self, scope: Scope) -> "Batch":
        """The same as a caller sees it who may see these accounts only."""
        if scope.accounts is None:
            return self
        seen = {key: number for key, number in self.counts.items() if key[0] in scope}
        live = sum(number for (_, state), number in seen.items() if state not in TERMINAL)
        return Batch(
            self.name,
            self.created_at,
            self.created_by,
            sum(seen.values()),
            live,
            self.complete,
            self.ended_at,
            seen,
        )

    @property
    def waits_for_a_person(self) -> bool:
        """Whether every job that has not ended is parked, so that nothing happens until a person decides."""
        return self.complete and 0 < self.open <= self.states.get(State.PARKED, 0)

    @property
    def states(self) -> dict[State, int]:
        """How many jobs are in each state, without states that have none."""
        return by_state(self.counts)


@dataclass(frozen=True, slots=True)
class EndedBatch:
    """A batch that has just ended.

    ``job_id`` is its last job, with its account and state; 0 if it has none, as a backfill that reuses everything.
    """

    batch: Batch
    ended_at: float
    job_id: int
    account: str
    state: State

    @property
    def message_id(self) -> str:
        """The id of this event: the same for every endpoint and attempt; another if the batch ends once more."""
        one = self.batch
        text = f"batch/{one.name}/{one.created_at!r}/{self.ended_at!r}/{one.jobs}"
        return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]}"


def by_state(counts: StateCounts, accounts: Iterable[str] | None = None) -> dict[State, int]:
    """The sums by state, of all accounts or of these; states that have none are left out."""
    known = None if accounts is None else frozenset(accounts)
    found: dict[State, int] = {}
    for (account, state), number in counts.items():
        if known is None or account in known:
            found[state] = found.get(state, 0) + number
    return {state: found[state] for state in State if state in found}
