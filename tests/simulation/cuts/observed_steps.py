"""What happens to each job of a run, as steps of the model in ``tests.model``."""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.model.traces import CRASH, POST
from tidewaiter.domain.job import TERMINAL, State

_FOLLOWS = (State.POLLING, State.FETCHING, State.CLEANING, State.CANCELLING)


@dataclass(slots=True)
class ObservedSteps:
    """The steps of each job so far, in their order: its history rows, POSTs that have arrived, and power cuts."""

    by_job: dict[int, list[str]] = field(default_factory=dict)
    _posts: Counter[int] = field(default_factory=Counter)
    _versions: dict[int, int] = field(default_factory=dict)

    def look(self, database: Path, posts: Mapping[int, int]) -> None:
        """Add what is new since the last look. Between two looks there is one effect of the daemon at most."""
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute(
                "SELECT job_id, version, state_from, state, outcome FROM history ORDER BY job_id, version"
            ).fetchall()
        for job, version, state_from, state, outcome in rows:
            if version > self._versions.get(job, -1):
                self._versions[job] = version
                steps = self.by_job.setdefault(job, [])
                before, after = (_in_model(state_from) if state_from else None), _in_model(state)
                if before is not None and before != after:
                    steps.append(f"{before} {'Stored' if before == 'FOLLOWING' else outcome} {after}")
        for job, count in posts.items():
            self.by_job.setdefault(job, []).extend([POST] * (count - self._posts[job]))
        self._posts = Counter(posts)

    def cut(self) -> None:
        """The power is cut: no daemon lives."""
        for steps in self.by_job.values():
            steps.append(CRASH)


def _in_model(state: str) -> str:
    """A state in the words of the model, which does not tell apart what comes after the submit."""
    found = State(state)
    if found in TERMINAL:
        return "ENDED"
    return "FOLLOWING" if found in _FOLLOWS else found.name
