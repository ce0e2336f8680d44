"""The protocol by which one job gets one remote job, as a model: every state that it can be in, and every step.

Two daemons share a lane. The owner makes an intent durable, sends the POST and stores what came of it; a job whose
submit is in doubt is looked up in the provider's list (adopt), or waits for a person (park). Between any two steps a
daemon can die or stand still past its lease, a request or its reply can be lost or late, and the acknowledgement of a
commit can be lost. What is assumed and not modelled: a commit is atomic and durable, the list of a provider is
complete after ``lag_s``, and an owner's own clock does not end its lease later than the database does.

A step is a pair of a label and the world after it. The label of a commit is its history row, as ``QUEUED Intended
SUBMITTING``; ``POST`` is one that arrives at the provider.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple


class Kind(Enum):
    """What may be done about a submit whose outcome is unknown."""

    ADOPTABLE = "adoptable"
    REPEATABLE = "repeatable"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Guards:
    """What the protocol does for its promises. Each is taken out once, to see which promise falls.

    Attributes:
        intent_first: the intent is durable before the POST.
        doubts: a job that is found SUBMITTING may have been submitted.
        waits_for_lag: absence from the list counts only when nothing can be under way any more.
        checks_lease: nothing is sent without the lease.
        fenced: a commit needs the epoch of the lane.
        passes_on: a lease that nobody renews ends, and another daemon takes the lane.
    """

    intent_first: bool = True
    doubts: bool = True
    waits_for_lag: bool = True
    checks_lease: bool = True
    fenced: bool = True
    passes_on: bool = True


class Daemon(NamedTuple):
    """One daemon: the epoch that it believes in (0: none), and where its step on the job is.

    ``at`` is ``idle``, ``intending``, ``intended``, ``sent`` or ``learned``. ``expected`` is the version of the job
    that the step started from, ``request`` the POST whose reply it waits for, ``handle`` what it has found.
    """

    epoch: int = 0
    at: str = "idle"
    expected: int = 0
    request: int = 0
    outcome: str = ""
    after: str = ""
    handle: int = 0


NOBODY: Final = Daemon()


class World(NamedTuple):
    """The database, the daemons, the network and the provider.

    ``writes`` has the epoch of each write of the job; their number is its version. ``listed`` are those of the
    ``remote`` jobs that the provider's list has. A POST has the number of those that were sent before it, from 1, and
    so has the remote job that it makes. ``faults`` are still to come at most. ``broken`` is the promise that a step
    has broken.
    """

    state: str = "QUEUED"
    handle: int = 0
    unknowns: int = 0
    writes: tuple[int, ...] = ()
    epoch: int = 0
    held: bool = False
    daemons: tuple[Daemon, Daemon] = (NOBODY, NOBODY)
    sent: int = 0
    flying: tuple[int, ...] = ()
    remote: tuple[int, ...] = ()
    listed: tuple[int, ...] = ()
    faults: int = 0
    broken: str = ""


class Step(NamedTuple):
    """One step; ``fault``: it need not ever happen, and uses one of the faults."""

    label: str
    world: World
    fault: bool = False


IN_DOUBT: Final = ("SUBMITTING", "RECONCILING", "PARKED")
SECOND: Final = "a second remote job"
LOST: Final = "a remote job that nobody follows"
STALE_WRITE: Final = "a write by an owner whose lease has passed on"
STALE_REQUEST: Final = "a request by an owner whose lease has passed on"
NEVER_ENDS: Final = "a job that does not end"


def broken_promises(kind: Kind, world: World) -> list[str]:
    """The promises that do not hold in a world."""
    most = 1 + world.unknowns if kind is Kind.REPEATABLE else 1
    unknown = kind is not Kind.REPEATABLE and any(number != world.handle for number in world.remote)
    return [
        *([world.broken] if world.broken else []),
        *([SECOND] if len(world.remote) > most else []),
        *([LOST] if unknown and world.state not in IN_DOUBT else []),
    ]


def steps(kind: Kind, guards: Guards, world: World) -> Iterator[Step]:
    """Every step that can be next."""
    for step in _all_steps(kind, guards, world):
        if not step.fault:
            yield step
        elif world.faults:
            yield step._replace(world=step.world._replace(faults=world.faults - 1))


def _all_steps(kind: Kind, guards: Guards, world: World) -> Iterator[Step]:
    yield from _lane(guards, world)
    yield from _provider(world)
    yield from _person(world)
    for who, daemon in enumerate(world.daemons):
        if daemon.epoch:
            yield Step("crash", _with(world, who, NOBODY), fault=True)
            yield from _DAEMON[daemon.at](kind, guards, world, who)


def _with(world: World, who: int, daemon: Daemon) -> World:
    first, second = world.daemons
    return world._replace(daemons=(first, daemon) if who else (daemon, second))


# --- the lane ---------------------------------------------------------------------------------------------------------


def _lane(guards: Guards, world: World) -> Iterator[Step]:
    served = any(0 < daemon.epoch == world.epoch for daemon in world.daemons)
    if world.held and guards.passes_on:
        # An owner that lives renews in time, unless it stands still.
        yield Step("the lease ends", world._replace(held=False), fault=served)
    if not world.held:
        if served:
            yield Step("the lease is renewed", world._replace(held=True))
        for who, daemon in enumerate(world.daemons):
            if daemon.at == "idle":
                taken = world._replace(epoch=world.epoch + 1, held=True)
                yield Step("the lane is taken", _with(taken, who, Daemon(world.epoch + 1)))


def _may_send(world: World, daemon: Daemon) -> bool:
    return world.held and daemon.epoch == world.epoch


def _requested(guards: Guards, world: World, daemon: Daemon) -> World | None:
    """The world in which the daemon has sent a request; ``None`` if it must not."""
    if _may_send(world, daemon):
        return world
    return None if guards.checks_lease else world._replace(broken=world.broken or STALE_REQUEST)


# --- network and provider ---------------------------------------------------------------------------------------------


def _provider(world: World) -> Iterator[Step]:
    for number in world.flying:
        left = world._replace(flying=tuple(one for one in world.flying if one != number))
        yield Step("POST", left._replace(remote=(*world.remote, number)))
        yield Step("a POST is lost", left, fault=True)
    for number in world.remote:
        if number not in world.listed:
            yield Step("the list has it", world._replace(listed=tuple(sorted((*world.listed, number)))))


def _settled(world: World) -> bool:
    """Whether the lag is over: nothing is under way, and the list has every remote job."""
    return not world.flying and len(world.listed) == len(world.remote)


# --- a daemon's step on the job ---------------------------------------------------------------------------------------


def _idle(kind: Kind, guards: Guards, world: World, who: int) -> Iterator[Step]:
    """A step begins with what the database has. Reading is open to everyone; a poll or the list is a request."""
    daemon = world.daemons[who]._replace(expected=len(world.writes))

    def learned(outcome: str, after: str, in_world: World = world, handle: int = 0) -> Step:
        found = daemon._replace(at="learned", outcome=outcome, after=after, handle=handle)
        return Step("a step begins", _with(in_world, who, found))

    match world.state:
        case "QUEUED" if _may_send(world, daemon) or not guards.checks_lease:
            at = "intending" if guards.intent_first else "intended"
            yield Step("a step begins", _with(world, who, daemon._replace(at=at)))
            yield learned("CancelAsked", "ENDED")._replace(fault=True)
        case "SUBMITTING":
            yield learned("Unknown", "RECONCILING") if guards.doubts else learned("Interrupted", "QUEUED")
        case "RECONCILING" if kind is not Kind.ADOPTABLE:
            yield learned("Undecidable", "QUEUED" if kind is Kind.REPEATABLE else "PARKED")
        case "RECONCILING" if (asked := _requested(guards, world, daemon)) is not None:
            if world.listed:
                yield learned("Adopted", "FOLLOWING", asked, world.listed[0])
            elif _settled(world) or not guards.waits_for_lag:
                yield learned("Absent", "QUEUED", asked)
        case "FOLLOWING" if (asked := _requested(guards, world, daemon)) is not None:
            yield learned("Stored", "ENDED", asked, world.handle)


def _intending(_: Kind, guards: Guards, world: World, who: int) -> Iterator[Step]:
    daemon = world.daemons[who]
    done = daemon._replace(at="intended", expected=daemon.expected + 1)
    yield from _commit(guards, world, who, ("Intended", "SUBMITTING"), done)


def _intended(_: Kind, guards: Guards, world: World, who: int) -> Iterator[Step]:
    daemon = world.daemons[who]
    not_sent = daemon._replace(at="learned", outcome="Interrupted", after="QUEUED")
    if (asked := _requested(guards, world, daemon)) is not None:
        number = world.sent + 1
        waiting = daemon._replace(at="sent", request=number)
        sent = asked._replace(sent=number, flying=(*world.flying, number))
        yield Step("a POST is sent", _with(sent, who, waiting))
        refused = not_sent._replace(outcome="Unsent")
        yield Step("the connection is refused", _with(asked, who, refused), fault=True)
    may_send = _may_send(world, daemon) or not guards.checks_lease
    yield Step("nothing is sent", _with(world, who, not_sent), fault=may_send)


def _sent(_: Kind, __: Guards, world: World, who: int) -> Iterator[Step]:
    daemon = world.daemons[who]
    arrived = daemon.request in world.remote
    if arrived:
        heard = daemon._replace(at="learned", outcome="Accepted", after="FOLLOWING", handle=daemon.request)
        yield Step("the reply is read", _with(world, who, heard))
    silence = daemon._replace(at="learned", outcome="Unknown", after="RECONCILING")
    yield Step("no reply comes", _with(world, who, silence), fault=arrived or daemon.request in world.flying)


def _learned(_: Kind, guards: Guards, world: World, who: int) -> Iterator[Step]:
    daemon = world.daemons[who]
    yield from _commit(guards, world, who, (daemon.outcome, daemon.after), Daemon(daemon.epoch))


def _commit(guards: Guards, world: World, who: int, what: tuple[str, str], done: Daemon) -> Iterator[Step]:
    """The fenced write. One that was written already is known by its stamp; any other that does not fit is dropped."""
    daemon, (outcome, after) = world.daemons[who], what
    version = len(world.writes)
    if version == daemon.expected and (daemon.epoch == world.epoch or not guards.fenced):
        written = world._replace(
            state=after,
            handle=daemon.handle if after == "FOLLOWING" else world.handle,
            unknowns=world.unknowns + (outcome == "Unknown"),
            writes=(*world.writes, daemon.epoch),
            broken=world.broken or ("" if daemon.epoch == world.epoch else STALE_WRITE),
        )
        label = f"{world.state} {outcome} {after}"
        yield Step(label, _with(written, who, done))
        yield Step(label, written, fault=True)  # its acknowledgement is lost
    elif version > daemon.expected and world.writes[daemon.expected] == daemon.epoch:
        yield Step("the commit was done already", _with(world, who, done))
    else:
        yield Step("the commit is refused", _with(world, who, NOBODY))


_DAEMON: Final = {"idle": _idle, "intending": _intending, "intended": _intended, "sent": _sent, "learned": _learned}


# --- a person ---------------------------------------------------------------------------------------------------------


def _person(world: World) -> Iterator[Step]:
    """A person decides about a parked job, and looks at the provider before."""
    if world.state != "PARKED" or not _settled(world):
        return
    decided = world._replace(writes=(*world.writes, 0))
    if world.remote:
        yield Step("PARKED AdoptDecided FOLLOWING", decided._replace(state="FOLLOWING", handle=world.remote[-1]))
    else:
        yield Step("PARKED RetryDecided QUEUED", decided._replace(state="QUEUED"))
