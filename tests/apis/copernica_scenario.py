"""Stories with an emulated Copernica and a whole daemon."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.apis.emulated_api import Environment, in_environment
from tidewaiter.clock import Clock
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job, State
from tidewaiter.emulators.catalogue import EmulatedAccount, copernica_account
from tidewaiter.emulators.copernica import CopernicaEmulator, CopernicaVariants
from tidewaiter.emulators.copernica_login import CopernicaLogin, LoginVariants

T = TypeVar("T")

ACCESS_TOKEN: Final = "canary-access&tøken-5b1e"
_API_PORT, _LOGIN_PORT = 4, 5
OPERATION: Final = "subprofile_data"
WANTED: Final[dict[str, Json]] = {"id": "17"}


class Scenario:
    """What a story needs: the stage, and both servers with their records."""

    def __init__(self, environment: Environment, api: CopernicaEmulator) -> None:
        self.environment = environment
        self.api = api
        self.login = api.login

    async def run(self, operation: str = OPERATION, **params: Json) -> Job:
        """One job under a daemon, to its end."""
        async with self.environment.daemon():
            return await self.environment.run(operation, {**WANTED, **params})

    async def landed_whole(self, job: Job, place: int = -1) -> bool:
        """Whether the job's one file is, byte for byte, what a request (the last unless told) results in."""
        body = self.api.file(self.api.data_requests[place])
        return job.state is State.SUCCEEDED and await self.environment.file_of(job) == b"".join(
            body.chunks(0, body.size)
        )

    def asked(self) -> list[str]:
        """The routes that were asked for, in order; a status that is asked for again is left out."""
        routes = [asked.route for asked in self.api.requests]
        return [route for at, route in enumerate(routes) if at == 0 or routes[at - 1] != route]


def run_scenario(
    template: Path,
    story: Callable[[Scenario], Awaitable[T]],
    *,
    settings: dict[str, str] | None = None,
    login: LoginVariants | None = None,
    deadline_s: float = 86_400.0,
    **variants: Any,
) -> T:
    """Tell a story with an API that has such variants; no credential shows anywhere afterwards."""
    servers: list[CopernicaEmulator] = []

    def build(clock: Clock) -> tuple[list[Any], Callable[[], EmulatedAccount]]:
        host = CopernicaLogin(clock=clock, access_token=ACCESS_TOKEN, variants=login, port=_LOGIN_PORT)
        api = CopernicaEmulator(clock=clock, login=host, variants=CopernicaVariants(**variants), port=_API_PORT)
        servers.append(api)
        return [api, host], lambda: copernica_account(api, **{"form": "status", **(settings or {})})

    async def scenario(environment: Environment) -> T:
        (api,) = servers
        result = await story(Scenario(environment, api))
        assert all(ACCESS_TOKEN not in f"{asked.path_qs}{asked.headers}{asked.body!r}" for asked in api.requests)
        assert all("Authorization" not in asked.headers for asked in api.login.requests)
        environment.secrets = [*environment.secrets, *(token.jwt for token in api.login.issued)]
        return result

    return in_environment(template, build, scenario, schedule={"deadline_s": deadline_s})


EITHER_FORM = pytest.mark.parametrize("form", ["status", "bare"])
