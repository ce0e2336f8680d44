"""Scenarios with ShareProgress: the environment, and the emulated API with its record of requests."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.apis.emulated_api import Environment, in_environment
from tidewaiter.clock import Clock
from tidewaiter.domain.job import Job
from tidewaiter.emulators.catalogue import EmulatedAccount, shareprogress_account
from tidewaiter.emulators.shareprogress import ShareProgressEmulator
from tidewaiter.emulators.shareprogress_library import ShareKind
from tidewaiter.emulators.shareprogress_variants import ShareProgressVariants

T = TypeVar("T")

KEY: Final = "canary-key-3b7f"
PAGE_URL: Final = "https://example.org/save-the-reef"
NEW_PAGE: Final[dict[str, Any]] = {"page_url": PAGE_URL, "page_title": "Reef"}
_PORT: Final = 4


class Scenario:
    """What a story needs."""

    def __init__(self, environment: Environment, api: ShareProgressEmulator) -> None:
        self.environment = environment
        self.api = api

    def asked(self) -> list[str]:
        """The routes that were asked for, in order."""
        return [asked.route for asked in self.api.requests]

    async def landed(self, job: Job) -> Any:
        """What the only file of a job holds, as JSON."""
        return json.loads(await self.environment.file_of(job))

    def titles(self, kind: ShareKind = ShareKind.PAGES) -> list[str | None]:
        """The titles of everything of a kind, as the API keeps them."""
        return [entry.page_title for entry in self.api.library.shared[kind].values()]


def run_scenario(
    template: Path, story: Callable[[Scenario], Awaitable[T]], *, pages: int = 3, skew_s: float = -60.0, **variants: Any
) -> T:
    """Tell a story with an API that has such variants. No minute ever sees more than thirty requests."""
    apis: list[ShareProgressEmulator] = []

    def build(clock: Clock) -> tuple[list[ShareProgressEmulator], Callable[[], EmulatedAccount]]:
        scenario = ShareProgressVariants(**variants)
        api = ShareProgressEmulator(clock=clock, key=KEY, pages=pages, variants=scenario, skew_s=skew_s, port=_PORT)
        apis.append(api)
        return [api], lambda: shareprogress_account(api)

    async def scenario(environment: Environment) -> T:
        result = await story(Scenario(environment, apis[0]))
        assert apis[0].busiest_window(60.0) <= 30
        return result

    return in_environment(template, build, scenario)
