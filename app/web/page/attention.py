"""What needs a person, the worst first; an empty list is the best page that there is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from app.domain.job import State
from app.store.accounts import PausedBy
from app.store.overview import Picture
from app.web.page.lanes import LaneView, Standing
from app.web.page.texts import counted
from app.web.vitals import Phase

_LATE_S = 60.0
_PAUSED = {
    PausedBy.CREDENTIALS: "its credentials were refused",
    PausedBy.TLS: "its provider could not prove who it is",
    PausedBy.PERSON: "a person paused it",
}


class Level(IntEnum):
    """How urgent a matter is."""

    URGENT = 0
    """Somebody has to act, or nothing goes on."""
    WATCH = 1
    """It mends itself, or was meant so; good to know."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that needs a look: a few words, what is known of it, and where to go."""

    level: Level
    what: str
    detail: str
    address: str | None = None


def matters_of(picture: Picture, lanes: Sequence[LaneView], phase: Phase, storage: str | None) -> list[Matter]:
    """All of them; ``storage`` is why downloads wait, where they do."""
    found = [
        *_of_process(picture, phase, storage),
        *_of_jobs(picture),
        *_of_accounts(picture, lanes),
        *_of_lanes(lanes),
    ]
    return sorted(found, key=lambda matter: matter.level)


def _of_process(picture: Picture, phase: Phase, storage: str | None) -> Iterator[Matter]:
    if phase is not Phase.STANDBY and not picture.workers:
        yield Matter(
            Level.URGENT, "No daemon serves this database", "Jobs are kept, nothing moves: start tidewaiter serve."
        )
    for name, backlog in picture.undelivered.items():
        if backlog.dead:
            what = f"{counted(backlog.dead, 'notification')} to {name} could not be delivered"
            again = "Given up after its last try; tidewaiter notifications tells which and tries them again."
            yield Matter(Level.URGENT, what, again)
    if storage is not None:
        yield Matter(Level.URGENT, "Downloads wait for the storage", storage)


def _of_jobs(picture: Picture) -> Iterator[Matter]:
    if parked := picture.counts.get(State.PARKED, 0):
        shown = picture.parked[0]
        one = f"/jobs/{shown.id}" if parked == 1 else "/jobs?state=parked"
        why = f"{shown.account}: {shown.reason}" if shown.reason else "Only a person can tell what became of them."
        yield Matter(Level.URGENT, f"{counted(parked, 'job')} parked", why, one)
    ended = {
        state: sum(minute.ended.get(state, 0) for minute in picture.minutes) for state in (State.FAILED, State.EXPIRED)
    }
    for state, number in ended.items():
        if not number:
            continue
        newest = next((job for job in picture.failures if job.state is state), None)
        why = f"job {newest.id} of {newest.account}: {newest.reason or 'no reason was given'}" if newest else ""
        what = f"{counted(number, 'job')} {state.value} in the last hour"
        yield Matter(Level.URGENT, what, f"Last, {why}" if why else "", f"/jobs?state={state.value}")


def _of_accounts(picture: Picture, lanes: Sequence[LaneView]) -> Iterator[Matter]:
    known = {lane.account for lane in lanes}
    for name, pause in picture.pauses.items():
        if name in known:
            level = Level.WATCH if pause.by is PausedBy.PERSON else Level.URGENT
            yield Matter(level, f"Account {name} is paused: {_PAUSED[pause.by]}", pause.reason, f"/accounts/{name}")


def _of_lanes(lanes: Sequence[LaneView]) -> Iterator[Matter]:
    for lane in lanes:
        address = f"/accounts/{lane.account}"
        match lane.standing:
            case Standing.BROKEN:
                what = f"{lane.account}: its provider fails, so it is asked rarely"
                yield Matter(Level.WATCH, what, lane.reason or "", address)
            case Standing.UNKNOWN:
                yield Matter(Level.URGENT, f"Account {lane.account} has jobs and is not configured", lane.reason or "")
            case Standing.OPEN if lane.late_s > _LATE_S:
                late = counted(round(lane.late_s / 60), "minute")
                what = f"{lane.account} is {late} behind"
                yield Matter(Level.WATCH, what, f"{lane.due_text} of its jobs are due.", address)
            case Standing.OPEN | Standing.THROTTLED | Standing.PAUSED | Standing.UNSERVED:
                pass
