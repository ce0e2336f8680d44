"""Reads the state of a daemon's parts for the metrics."""

from collections.abc import Callable

from app.clock import Clock
from app.metrics.live import DaemonNow, LaneNow
from app.worker.lane import Lane
from app.worker.leases import Leases
from app.worker.pauses import Pauses
from app.worker.recorder import Recorder
from app.worker.storage_gate import StorageGate


def measured(
    leases: Leases, pauses: Pauses, recorder: Recorder, gate: StorageGate, clock: Clock
) -> Callable[[], DaemonNow]:
    """Returns what reads the state of these parts, each time that it is called."""

    def now() -> DaemonNow:
        return DaemonNow(
            lanes=[_lane_now(lane, clock) for lane in leases.lanes.values()],
            paused=pauses.causes,
            waiting=recorder.waiting,
            storage_open=gate.open.is_set(),
            in_touch=leases.in_touch,
            stalled=leases.stalled,
        )

    return now


def _lane_now(lane: Lane, clock: Clock) -> LaneNow:
    budget = lane.budget
    return LaneNow(
        lane.row.id,
        lane.row.account,
        in_flight=lane.in_flight,
        closed_s=max(0.0, budget.closed_until - clock.now()),
        breaker_open=budget.breaker != "closed",
        left=budget.left,
    )
