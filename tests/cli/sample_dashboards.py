"""Sample dashboards for the tests of ``top``."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tidewaiter.cli.top_view import TopState
from tidewaiter.database.dashboard_store import Arrival, DashboardSnapshot, Minute
from tidewaiter.database.lane_rows import WorkerStatus
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import Job, State
from tidewaiter.services.wait_reasons import LaneCondition
from tidewaiter.web.ui.dashboard import LaneView

NOW = 1_790_000_000.0
LEASE_S = 15.0


def job(number: int, **changes: Any) -> Job:
    """A job that succeeded half a minute ago."""
    made = Job(
        number, 1, "newsletter", "statistics", {"type": "OPENS"}, State.SUCCEEDED, 6, None, NOW - 100.0, NOW + 900.0,
        finished_at=NOW - 30.0,
    )  # fmt: skip
    return replace(made, **changes)


def lane(account: str, **changes: Any) -> LaneView:
    """A lane that works."""
    made = LaneView(
        1, account, 0, "symplify", "tide-1", LaneCondition.OPEN, None, None, Limits(requests=30), 12, 1204, 0, 0.0
    )  # fmt: skip
    return replace(made, **changes)


def minutes(landed: Sequence[int]) -> list[Minute]:
    """The last hour, with so many landings in each of its minutes, each later than the one before."""
    return [
        Minute(
            NOW - 3600.0 + 60.0 * i,
            {State.SUCCEEDED: number, State.FAILED: 1} if number else {},
            [1.0 + i / 10] * number,
        )
        for i, number in enumerate(landed)
    ]


def snapshot(**changes: Any) -> DashboardSnapshot:
    """A busy afternoon with a little trouble."""
    made = DashboardSnapshot(
        at=NOW,
        counts=dict.fromkeys(State, 0) | {State.POLLING: 1204, State.SUCCEEDED: 88_120, State.PARKED: 1},
        lanes=(),
        workers=(WorkerStatus("a1", "tide-1", 4711, "0.3.0", NOW - 12_000.0, NOW + 13.0),),
        pauses={},
        backlogs={},
        minutes=minutes([i % 7 for i in range(60)]),
        arrivals=[Arrival(job(900 - i), 1 + i % 3, 1_234_567 * (i + 1), f"OPENS-{i}.json") for i in range(20)],
        parked=[
            job(77, state=State.PARKED, finished_at=None, intent_at=NOW - 7300.0, reason="the submit was not answered")
        ],
        undelivered={},
        failures=[job(78, state=State.FAILED, reason="the provider refused it: 422 unknown period")],
    )
    return replace(made, **changes)


def busy(**changes: Any) -> TopState:
    """What there is to be seen of that."""
    lanes = [
        lane("newsletter", due=12, late_s=0.4),
        lane("newsletter", id=4, shard=1, used=30, due=2_400, late_s=95.0),
        lane(
            "networks",
            used=0,
            condition=LaneCondition.THROTTLED,
            until=NOW + 42.0,
            reason="HTTP 429 without Retry-After",
        ),
        lane(
            "sharing",
            limits=Limits(),
            condition=LaneCondition.PAUSED,
            reason="their maintenance on Sunday",
            due=3,
            late_s=4000.0,
        ),
        lane("shop", condition=LaneCondition.BROKEN, reason="5 failures in a row: connection refused"),
        lane("old", condition=LaneCondition.UNSERVED, host=None, live=3),
    ]
    return replace(TopState("sqlite:///tidewaiter.db", NOW, snapshot(), lanes, LEASE_S), **changes)
