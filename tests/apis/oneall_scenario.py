"""Stories with an emulated OneAll and a whole daemon."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.apis.emulated_api import Environment, in_environment
from tidewaiter.clock import Clock
from tidewaiter.domain.job import Job, State
from tidewaiter.emulators.catalogue import EmulatedAccount, oneall_account
from tidewaiter.emulators.oneall import OneAllEmulator, OneAllVariants

T = TypeVar("T")

PRIVATE_KEY: Final = "canary-private-këy-88d0"
MESSAGE: Final = "221c7bdf-d2b7-4ee4-99f4-34d0d550ecf6"
_PORT: Final = 6


class Scenario:
    """What a story needs: the stage, and the API with its record."""

    def __init__(self, environment: Environment, api: OneAllEmulator) -> None:
        self.environment = environment
        self.api = api

    async def submit(self, message: str = MESSAGE) -> Job:
        """Ask for a snapshot of a message."""
        return await self.environment.submit("snapshot", {"sharing_message_token": message})

    async def run(self, message: str = MESSAGE) -> Job:
        """One snapshot under a daemon, to its end."""
        async with self.environment.daemon():
            return await self.environment.ended(await self.submit(message))

    async def snapshot_of(self, job: Job) -> Any:
        """What the file of a job that has succeeded says of its snapshot."""
        assert job.state is State.SUCCEEDED, job.reason
        file = json.loads(await self.environment.file_of(job))
        return file["response"]["result"]["data"]["sharing_analytics_snapshot"]

    async def landed_whole(self, job: Job, place: int = 0) -> bool:
        """Whether the job's file is the finished snapshot with that place, with its statistics."""
        scenario = await self.snapshot_of(job)
        token = self.api.snapshots[place].token
        publications = scenario["publication_snapshots"]["count"]
        return (
            bool(scenario["sharing_analytics_snapshot_token"] == token)
            and publications == self.api.variants.publications
        )

    def asked(self) -> list[str]:
        """The routes that were asked for, in order; a snapshot that is asked for again is left out."""
        routes = [asked.route for asked in self.api.requests]
        return [route for at, route in enumerate(routes) if at == 0 or routes[at - 1] != route]


def run_scenario(
    template: Path,
    story: Callable[[Scenario], Awaitable[T]],
    *,
    clean: bool = False,
    deadline_s: float = 21_600.0,
    **variants: Any,
) -> T:
    """Tell a story with an API that has such variants; no credential shows anywhere afterwards."""
    servers: list[OneAllEmulator] = []

    def build(clock: Clock) -> tuple[list[OneAllEmulator], Callable[[], EmulatedAccount]]:
        scenario = OneAllVariants(**{"build_s": 300, **variants})
        api = OneAllEmulator(clock=clock, public_key="public", private_key=PRIVATE_KEY, variants=scenario, port=_PORT)
        servers.append(api)
        return [api], lambda: oneall_account(api)

    async def scenario(environment: Environment) -> T:
        return await story(Scenario(environment, servers[0]))

    return in_environment(template, build, scenario, schedule={"deadline_s": deadline_s}, clean=clean)
