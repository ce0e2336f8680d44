"""Cuts a run after every effect of it: each cut is a process of its own, which goes on with what was left.

A fork is the snapshot: the child has the provider, the people and the clock as they are between two effects, and a copy
of the files. There the daemon stands still for ever, in the middle of whatever it was doing: no exception tells it, so
nothing can tidy up. Another daemon is started beneath it.
"""

import asyncio
import json
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NoReturn

from tests.simulation.cuts.cut_invariants import broken_invariants, files_are_whole, may_be_deleted
from tests.simulation.cuts.cut_world import Act, CutWorld, live
from tests.simulation.cuts.disk import Fate
from tests.simulation.cuts.effects import Effects
from tests.simulation.cuts.export_provider import ExportProvider
from tests.support.scratch import scratch
from tests.support.virtual_time import virtual_time
from tidewaiter.storage import safe_paths

_AT_ONCE = 2
_CHILD_S = 60
_SECOND_CUTS = 0.5


@dataclass(frozen=True, slots=True)
class Story:
    """One way through the state table: what people do, what the provider is like, and what the configuration adds."""

    name: str
    spec: str
    acts: tuple[tuple[float, Act], ...]
    repeatable: bool = False
    may_fail: bool = False
    ticks: int = 0
    inline: bool = False
    breaks: bool = False
    purges: bool = False
    cleans: bool = False
    tables: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Explored:
    """What came of a story: its effects, the number of cuts, and what was broken, by the cut."""

    effects: list[str] = field(default_factory=list)
    cuts: int = 0
    parked: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)


def explore(story: Story, template: Path, *, chosen: Callable[[int, str], bool], seed: int = 0) -> Explored:
    """Live through a story and cut it after each effect that is chosen.

    Args:
        story: what happens.
        template: a migrated, empty SQLite file.
        chosen: asked for each effect, by its number from 1 and its name.
        seed: decides what becomes of unsynced bytes, and where the next daemon is cut in turn.
    """
    with virtual_time() as (loop, clock), scratch("cuts") as folder:
        provider = ExportProvider(repeatable=story.repeatable, inline=story.inline, breaks=story.breaks)
        root = folder / "run"
        root.mkdir()
        world = CutWorld(root, clock, Random(seed), story.spec, provider, list(story.acts), tables=story.tables)
        world.may_fail, world.ticks = story.may_fail, story.ticks
        world.purges, world.cleans = story.purges, story.cleans
        provider.on_delete = lambda export: may_be_deleted(world, export)
        world.prepare(template)
        found = Explored()
        forks = _Forks(world, folder, chosen, seed, found)
        world.effects.gap = forks.gap
        loop.run_until_complete(live(world))
        found.effects = world.effects.names
        forks.wait_for_all()
        if wrong := broken_invariants(world):
            found.broken["uncut"] = wrong
    return found


class _Forks:
    """The children of a run."""

    def __init__(
        self, world: CutWorld, folder: Path, chosen: Callable[[int, str], bool], seed: int, found: Explored
    ) -> None:
        self._world = world
        self._folder = folder
        self._chosen = chosen
        self._seed = seed
        self._found = found
        self._running: dict[int, tuple[str, Path, int]] = {}

    def gap(self, number: int) -> None:
        """Between two effects: make a child for each fate of what is not synced."""
        self._world.observe()
        if not self._chosen(number, self._world.effects.names[-1]):
            return
        world = self._world
        assert world.disk is not None
        for fate in tuple(Fate) if world.disk.uncertain else (Fate.KEPT,):
            name = f"{number} {world.effects.names[-1]} {fate.value}"
            copy = self._folder / f"{number}-{fate.value}"
            _copy(world, copy, fate, Random(f"{self._seed} {name}"))
            if len(self._running) >= _AT_ONCE:
                self._wait()
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                _live_on(world, copy, name, writing, Random(f"{self._seed} then {name}"))
            os.close(writing)
            world.back_again.clear()
            self._running[pid] = (name, copy, reading)

    def wait_for_all(self) -> None:
        """Until every child has reported."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        pid, status = os.wait()
        name, copy, reading = self._running.pop(pid)
        with os.fdopen(reading) as pipe:
            told = pipe.read()
        shutil.rmtree(copy, ignore_errors=True)
        self._found.cuts += 1
        broken, parked = json.loads(told) if told else ([f"the process ended with {status}"], 0)
        self._found.parked += parked
        if broken:
            self._found.broken[name] = broken


def _live_on(world: CutWorld, copy: Path, name: str, writing: int, rand: Random) -> NoReturn:
    """In a child: the lives of other daemons, and the report about them; the process ends here."""
    signal.alarm(_CHILD_S)

    def report(broken: list[str]) -> NoReturn:
        if broken:
            broken = [*broken, *(f"life {number}: {', '.join(names)}" for number, names in enumerate(world.lives, 2))]
        os.write(writing, json.dumps([broken, world.decided]).encode())
        os._exit(0)

    cut_at = rand.randint(1, 60) if rand.random() < _SECOND_CUTS else 0
    try:
        _next_life(world, copy, rand, cut_at, report)
    except BaseException:  # noqa: BLE001  # whatever it is, the parent reports it
        report([traceback.format_exc()])


def _next_life(
    world: CutWorld, copy: Path, rand: Random, cut_at: int, report: Callable[[list[str]], NoReturn]
) -> NoReturn:
    """The life of the next daemon on what was left; it is cut in turn after that many effects, if it has as many."""
    world.cuts += 1
    world.observed.cut()
    world.root = copy
    if broken := list(files_are_whole(world)):
        report(broken)

    def gap(number: int) -> None:
        world.observe()
        if number == cut_at:
            another = Path(f"{copy}-again")
            _copy(world, another, rand.choice(tuple(Fate)), rand)
            _next_life(world, another, rand, 0, report)

    world.effects = Effects(gap)
    world.lives.append(world.effects.names)
    asyncio._set_running_loop(None)  # that of the daemon that stands still
    safe_paths._making_folders = threading.Lock()  # it may hold the other one
    with virtual_time() as (loop, clock):
        loop._jump.at = world.clock.monotonic() + rand.uniform(0.0, 30.0)
        world.clock, world.rand = clock, Random(rand.random())
        loop.run_until_complete(live(world))
    report(broken_invariants(world))


def _copy(world: CutWorld, copy: Path, fate: Fate, rand: Random) -> None:
    assert world.disk is not None
    copy.mkdir()
    # Neither the lock nor SQLite's shared memory outlives a machine.
    for name in ("tidewaiter.db", "tidewaiter.db-wal"):
        if (world.root / name).exists():
            shutil.copyfile(world.root / name, copy / name)
    shutil.copytree(world.root / "specs", copy / "specs")
    shutil.copytree(world.exports, copy / "exports")
    world.back_again |= world.disk.lose(copy / "exports", fate, rand)
