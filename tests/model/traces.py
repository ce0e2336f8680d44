"""Whether the steps of a real job are a way through the model."""

from collections.abc import Sequence
from functools import cache
from typing import Final

from tests.model.protocol import NOBODY, Guards, Kind, World, steps

CRASH: Final = "crash"
POST: Final = "POST"
_HIDDEN_FAULTS: Final = 1
"""An account that is paused, or a reply that is lost, is seen only by what follows."""


def first_impossible(kind: Kind, seen: Sequence[str]) -> int | None:
    """The first of the steps that the model cannot take after those before it; ``None`` if it can take all.

    Args:
        kind: what the operation permits.
        seen: ``CRASH``: the only daemon was killed; ``POST``: one arrived at the provider; else a history row of the
            job, as the labels of the model have it.
    """
    worlds = frozenset([World(faults=_HIDDEN_FAULTS)])
    for number, label in enumerate(seen):
        worlds = _after(kind, worlds, label)
        if not worlds:
            return number
    return None


@cache
def _after(kind: Kind, worlds: frozenset[World], label: str) -> frozenset[World]:
    """The worlds in which the model can be after steps that nobody sees, and then this one."""
    reached, ahead, after = set(worlds), list(worlds), set()
    while ahead:
        world = ahead.pop()
        for step in steps(kind, Guards(), world):
            if step.label == label:
                after.add(step.world)
            elif not is_seen(step.label) and step.world not in reached:
                reached.add(step.world)
                ahead.append(step.world)
    if label == CRASH:
        return frozenset(world._replace(daemons=(NOBODY, NOBODY)) for world in reached)
    return frozenset(after)


def is_seen(label: str) -> bool:
    """Whether a step can be seen from outside: a crash, a POST that arrives, or a history row."""
    words = label.split()
    return label in (CRASH, POST) or (words[0].isupper() and words[-1].isupper())
