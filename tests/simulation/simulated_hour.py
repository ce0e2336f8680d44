"""An hour of faults: jobs, network faults, power cuts and drains at random moments, and then calm."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from tests.simulation.simulated_wire import Weather
from tests.simulation.world import ACCOUNTS, World, from_command_line, in_world, one_daemon
from tidewaiter.domain.job import TERMINAL
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault, RetryAfter
from tidewaiter.emulators.symplify import EXPORT_TYPES, PERIODS
from tidewaiter.services import DAEMON, JobService

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a world lives and how bad it is. Times in virtual seconds."""

    jobs: int = 20
    hours: float = 1.0
    faults: bool = True
    power_cuts: int = 3
    drains: int = 1
    cancels: int = 1
    calm_after: float = 0.6


def run_hour(seed: int, plan: Plan, template: Path, look: Callable[[World], Awaitable[T]]) -> T:
    """Live through one hour (or as long as the plan says) and look at what is left.

    Args:
        seed: decides everything.
        plan: how long and how bad.
        template: a migrated, empty SQLite file.
        look: the examination, with no daemon running.
    """

    async def live(world: World) -> T:
        await live_through(world, plan)
        return await look(world)

    return in_world(seed, template, live)


async def live_through(world: World, plan: Plan) -> None:
    """Daemon after daemon, cut off or drained at moments that the seed chooses, until every job has ended.

    The seed chooses how often leases are renewed and news is looked for, too: mostly seldom, which is half of the work.
    A job that nothing but its deadline ends does so in the second hour.
    """
    rand, clock = world.rand, world.clock
    world.schedule = {"deadline_s": 7200.0}
    world.lease_s, world.lookout_s = rand.choice(((60.0, 20.0), (300.0, 60.0), (600.0, 60.0), (600.0, 120.0)))
    length_s = plan.hours * 3600.0
    endings = sorted(
        [(rand.uniform(1, length_s), True) for _ in range(plan.power_cuts)]
        + [(rand.uniform(1, length_s), False) for _ in range(plan.drains)]
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(_trouble(world, plan, length_s * plan.calm_after))
        for at, is_cut in endings:
            await one_daemon(world, max(0.0, at - clock.monotonic()), is_cut=is_cut)
        await one_daemon(world, max(600.0, length_s - clock.monotonic()), is_cut=False, until_done=True)


async def _trouble(world: World, plan: Plan, until_s: float) -> None:
    """Submit jobs over the first part of the run, cancel some, and make the weather; then calm."""
    rand, clock = world.rand, world.clock
    if plan.faults:
        world.wire.weather = Weather(
            refused=rand.choice((0.0, 0.02)), lost_request=rand.choice((0.0, 0.02)),
            lost_reply=rand.choice((0.0, 0.03)), broken_body=rand.choice((0.0, 0.05)), slow=0.02,
        )  # fmt: skip
        world.emulator.faults.extend(_random_faults(rand, 12))
        world.files.faults.extend(
            FaultRule("file", 1, InjectedFault(kind))
            for kind in rand.sample((FaultKind.UNAVAILABLE, FaultKind.TRUNCATE, FaultKind.LINK_EXPIRED), 2)
        )
    moments = sorted(rand.uniform(0, until_s) for _ in range(plan.jobs))
    for at in moments:
        await clock.sleep(max(0.0, at - clock.monotonic()))
        await from_command_line(world, lambda services: _submit(world, services.jobs))
        if len(world.asked_for) in range(3, 3 + plan.cancels):
            await from_command_line(world, lambda services: _cancel_one(world, services.jobs))
    await clock.sleep(max(0.0, until_s - clock.monotonic()))
    world.wire.weather = Weather()
    world.emulator.faults.clear()
    world.files.faults.clear()


def _random_faults(rand: Random, number: int) -> Iterator[FaultRule]:
    kinds = (
        FaultKind.THROTTLE, FaultKind.UNAVAILABLE, FaultKind.HTML, FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER,
        FaultKind.MALFORMED, FaultKind.UNKNOWN_WORD, FaultKind.LATENCY, FaultKind.FLAPPING, FaultKind.MISSING,
        FaultKind.LINK_EXPIRED, FaultKind.ERROR_STATUS,
    )  # fmt: skip
    for _ in range(number):
        route = rand.choice(("create", "status", "status", "url", "result"))
        fault = InjectedFault(
            rand.choice(kinds), seconds=rand.uniform(1, 40), retry_after=rand.choice(tuple(RetryAfter))
        )
        yield FaultRule(route, rand.randint(1, 4), fault)


async def _submit(world: World, service: JobService) -> None:
    rand = world.rand
    params = {"export_type": rand.choice(sorted(EXPORT_TYPES)), "period": rand.choice(sorted(PERIODS))}
    job, _ = await service.submit(rand.choice(ACCOUNTS), "statistics", params, actor=DAEMON)
    world.asked_for.append(job.id)


async def _cancel_one(world: World, service: JobService) -> None:
    job = await service.jobs.get(world.rand.choice(world.asked_for))
    if job is not None and job.state not in TERMINAL:
        await service.cancel(job.id, actor=DAEMON)
