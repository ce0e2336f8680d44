"""Explores every world that the model of the protocol can reach with a number of faults."""

from collections import deque
from dataclasses import dataclass, field

from tests.model.protocol import NEVER_ENDS, SECOND, STALE_WRITE, Guards, Kind, World, broken_promises, steps

_MOST = 500_000


@dataclass(slots=True)
class Explored:
    """How many worlds and steps there are, and the shortest way to each promise that was broken."""

    worlds: int = 0
    steps: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)


def explore(kind: Kind, guards: Guards | None = None, *, faults: int) -> Explored:
    """Every world, in the order of their distance; what lies behind a second remote job or a stale write is left out.

    Whether each job ends is looked at only where no other promise was broken.
    """
    guards = guards or Guards()
    beginning = World(faults=faults)
    came_from: dict[World, tuple[World, str] | None] = {beginning: None}
    certain: dict[World, list[World]] = {}
    found = Explored()
    ahead = deque([beginning])
    while ahead:
        assert len(came_from) < _MOST, "the model has no end"
        world = ahead.popleft()
        broken = broken_promises(kind, world)
        for promise in broken:
            if promise not in found.broken:
                found.broken[promise] = _way(came_from, world)
        after = [] if SECOND in broken or STALE_WRITE in broken else list(steps(kind, guards, world))
        certain[world] = [step.world for step in after if not step.fault]
        found.steps += len(after)
        for step in after:
            if step.world not in came_from:
                came_from[step.world] = (world, step.label)
                ahead.append(step.world)
    found.worlds = len(came_from)
    if not found.broken and (stuck := _stuck(certain)) is not None:
        found.broken[NEVER_ENDS] = _way(came_from, stuck)
    return found


def _stuck(certain: dict[World, list[World]]) -> World | None:
    """A world from which a job may not end though no fault comes any more: a dead end, or a circle."""
    waiting = {world: len(after) for world, after in certain.items()}
    before: dict[World, list[World]] = {}
    for world, after in certain.items():
        for one in after:
            before.setdefault(one, []).append(world)
    ends = deque(world for world, count in waiting.items() if not count and world.state == "ENDED")
    # Backwards from the ends: a world all of whose ways end is taken off.
    ended = set(ends)
    while ends:
        for world in before.get(ends.popleft(), ()):
            waiting[world] -= 1
            if not waiting[world]:
                ended.add(world)
                ends.append(world)
    return next((world for world in reversed(certain) if world not in ended), None)


def _way(came_from: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    labels: list[str] = []
    at = came_from[world]
    while at is not None:
        labels.append(at[1])
        at = came_from[at[0]]
    return labels[::-1]
