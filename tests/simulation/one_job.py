"""One job with one fault, and what happened to it: for rows of the catalogue of faults."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.simulation.invariants import broken_invariants
from tests.simulation.world import World, from_command_line, in_world, one_daemon
from tidewaiter.domain.job import HistoryEntry, Job
from tidewaiter.domain.manifest import Artifact
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault, RetryAfter
from tidewaiter.services import DAEMON, JobService

_BUILD_S = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A job as it ended, with its history, its files, and the world that it lived in."""

    world: World
    job: Job
    history: list[HistoryEntry]
    artifacts: list[Artifact]
    logged: list[dict[str, object]]

    @property
    def states(self) -> list[str]:
        """The states that the job went through, repeats left out."""
        states = [entry.state.value for entry in self.history]
        return [state for at, state in enumerate(states) if at == 0 or states[at - 1] != state]

    @property
    def outcomes(self) -> list[str]:
        """What the history says that steps learned."""
        return [entry.outcome for entry in self.history]

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        return [line for line in self.logged if line["event"] == name]


def fault(route: str, kind: FaultKind, times: int | None = 1, **more: object) -> Callable[[World], None]:
    """A preparation that tells the provider, or its file host, to show a fault."""

    def prepare(world: World) -> None:
        server = world.files if route == "file" else world.emulator
        server.faults.extend([FaultRule(route, times, InjectedFault(kind, **more))])  # type: ignore[arg-type]  # members of Fault

    return prepare


def throttled(asked: RetryAfter, seconds: float = 30.0) -> Callable[[World], None]:
    """A preparation: the first poll is answered with 429 and that kind of Retry-After."""
    return fault("status", FaultKind.THROTTLE, retry_after=asked, seconds=seconds)


def tell(
    template: Path,
    *preparations: Callable[[World], None],
    account: str = "by-url",
    export_type: str = "CLICKS",
    lives_s: tuple[float, ...] = (),
    patience_s: float = 60.0,
    cancel_after_s: float | None = None,
    pause_after_s: float | None = None,
    resume_after_s: float | None = None,
) -> Scenario:
    """Submit one job and let daemons live until it has ended.

    Args:
        template: a migrated, empty SQLite file.
        preparations: what is wrong with the world.
        account: by-url or by-redirect.
        export_type: what is exported; CAMPAIGNS is JSON, CLICKS JSON lines, HARD_BOUNCES empty.
        lives_s: daemons whose power is cut after so many seconds, one after the other, before the last one.
        patience_s: how long the last daemon lives at the least.
        cancel_after_s: when somebody cancels the job.
        pause_after_s: when somebody pauses the account, while a daemon lives.
        resume_after_s: how long after that a daemon goes on living before somebody resumes the account.
    """

    async def live(world: World) -> Scenario:
        world.emulator.variants = replace(world.emulator.variants, build_s=_BUILD_S)
        for prepare in preparations:
            prepare(world)

        async def submit(service: JobService) -> int:
            params = {"export_type": export_type, "period": "LAST_DAY"}
            job, _ = await service.submit(account, "statistics", params, actor=DAEMON)
            return job.id

        number = await from_command_line(world, lambda services: submit(services.jobs))
        world.asked_for.append(number)
        for seconds in lives_s:
            await one_daemon(world, seconds, is_cut=True)
        if cancel_after_s is not None:
            await one_daemon(world, cancel_after_s, is_cut=False)
            await from_command_line(world, lambda services: services.jobs.cancel(number, actor=DAEMON))
        async with asyncio.TaskGroup() as people:
            people.create_task(_pause_and_resume(world, account, pause_after_s, resume_after_s))
            await one_daemon(world, patience_s + (resume_after_s or 0.0), is_cut=False, until_done=True)
        job, history, artifacts = await from_command_line(world, lambda services: services.jobs.show(number))
        assert broken_invariants(world) == []
        return Scenario(world, job, history, artifacts, world.lines())

    return in_world(1, template, live)


async def _pause_and_resume(
    world: World, account: str, pause_after_s: float | None, resume_after_s: float | None
) -> None:
    """What somebody does at the command line while the last daemon lives."""
    if pause_after_s is not None:
        await world.clock.sleep(pause_after_s)
        await from_command_line(world, lambda services: services.accounts.pause(account, "maintenance", actor=DAEMON))
    if resume_after_s is not None:
        await world.clock.sleep(resume_after_s)
        await from_command_line(world, lambda services: services.accounts.resume(account, actor=DAEMON))
