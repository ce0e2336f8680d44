"""Rare forms that the APIs document: the emulators produce them and the daemon accepts them."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.apis.emulated_api import Environment, in_environment
from tests.apis.shareprogress_api import NEW_PAGE, run_scenario
from tests.apis.shareprogress_api import Scenario as ShareProgressScenario
from tidewaiter.clock import Clock
from tidewaiter.domain.job import State
from tidewaiter.emulators import catalogue
from tidewaiter.emulators.catalogue import EmulatedAccount
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.copernica import CopernicaEmulator, CopernicaVariants, IdentifierPlace
from tidewaiter.emulators.copernica_login import CopernicaLogin
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.oneall import OneAllEmulator, OneAllVariants
from tidewaiter.emulators.server import EmulatedServer
from tidewaiter.emulators.socialgateway import SocialGatewayEmulator, SocialGatewayLogin
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants, UrlForm

_SECRET: Final = "canary-secret-7d1c"


def _copernica(
    template: Path,
    story: Callable[[Environment, CopernicaEmulator], Awaitable[None]],
    auth: str = "login",
    **variants: Any,
) -> None:
    made: list[CopernicaEmulator] = []

    def build(clock: Clock) -> tuple[list[EmulatedServer], Callable[[], EmulatedAccount]]:
        login = CopernicaLogin(clock=clock, access_token=_SECRET, port=5)
        made.append(CopernicaEmulator(clock=clock, login=login, variants=CopernicaVariants(**variants), port=4))
        return [made[0], login], lambda: catalogue.copernica_account(made[0], auth=auth)

    in_environment(template, build, lambda environment: story(environment, made[0]))


@pytest.mark.parametrize("place", [IdentifierPlace.SEE_OTHER, IdentifierPlace.SEE_OTHER_LOCATION])
def test_a_303_that_names_the_request(template: Path, place: IdentifierPlace) -> None:
    """It has been taken: one request, and its data lands the documented way."""

    async def story(environment: Environment, api: CopernicaEmulator) -> None:
        async with environment.daemon():
            job = await environment.run("subprofile_data", {"id": "17"})
        assert (job.state, job.submits, len(api.data_requests)) == (State.SUCCEEDED, 1, 1)
        assert {asked.route for asked in api.requests} == {"create", "bare"}

    _copernica(template, story, identifier=place)


@pytest.mark.parametrize("auth", ["bearer", "query"])
def test_the_access_token_itself(template: Path, auth: str) -> None:
    """Without a login; it shows in no log, no database and no file's name."""

    async def story(environment: Environment, api: CopernicaEmulator) -> None:
        async with environment.daemon():
            job = await environment.run("subprofile_data", {"id": "17", "report": "jane@example.org"})
        assert job.state is State.SUCCEEDED
        assert (api.login.requests, api.data_requests[0].report) == ([], "jane@example.org")

    _copernica(template, story, auth, direct=True)


@pytest.mark.parametrize("route", ["create", "bare"])
def test_an_error_that_comes_as_200(template: Path, route: str) -> None:
    """The job ends with its message, in every step."""

    async def story(environment: Environment, api: CopernicaEmulator) -> None:
        api.faults.add(route, InjectedFault(FaultKind.ERROR_STATUS, text="this customer has left"))
        async with environment.daemon():
            job = await environment.run("subprofile_data", {"id": "17"})
        assert (job.state, job.submits) == (State.FAILED, 1)
        assert "this customer has left" in (job.reason or "")

    _copernica(template, story)


def test_a_list_without_pagination(template: Path) -> None:
    """As OneAll's document shows it: the list is read to its end, and a page of it is a page."""
    made: list[OneAllEmulator] = []

    def build(clock: Clock) -> tuple[list[EmulatedServer], Callable[[], EmulatedAccount]]:
        variants = OneAllVariants(pagination=False)
        made.append(OneAllEmulator(clock=clock, public_key="p", private_key=_SECRET, variants=variants, port=4))
        return [made[0]], lambda: catalogue.oneall_account(made[0])

    async def story(environment: Environment) -> None:
        tokens = [made[0].make(f"message-{number}").token for number in range(7)]
        async with environment.daemon():
            whole = await environment.run("snapshots")
            page = await environment.run("snapshots", {"page": 2, "entries_per_page": 3, "order_direction": "desc"})
            read = await environment.run("snapshot_read", {"token": tokens[0]})
            gone = await environment.run("snapshot_delete", {"token": tokens[0]})
        listed: Any = [await environment.json_of(whole), await environment.json_of(page)]
        scenario = [[entry["sharing_analytics_snapshot_token"] for entry in entries] for entries in listed]
        assert scenario == [tokens, tokens[::-1][3:6]]
        assert (read.state, gone.state, made[0].snapshots[0].deleted) == (State.SUCCEEDED, State.SUCCEEDED, True)

    in_environment(template, build, story)


@pytest.mark.parametrize("form", UrlForm)
def test_the_url_of_a_result(template: Path, form: UrlForm) -> None:
    """However it is written, Symplify's file lands, and OPENED is sent as it was given."""
    made: list[SymplifyEmulator] = []

    def build(clock: Clock) -> tuple[list[EmulatedServer], Callable[[], EmulatedAccount]]:
        files = FileHost(clock=clock, secrets=[_SECRET], port=5)
        variants = SymplifyVariants(url=form)
        made.append(
            SymplifyEmulator(clock=clock, files=files, customer=SymplifyCustomer(_SECRET), variants=variants, port=4)
        )
        return [made[0], files], lambda: catalogue.symplify_account(made[0])

    async def story(environment: Environment) -> None:
        async with environment.daemon():
            job = await environment.run("statistics", {"export_type": "OPENED"})
        assert job.state is State.SUCCEEDED
        assert json.loads(made[0].requests[0].body)["exportType"] == "OPENED"

    in_environment(template, build, story)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_of_a_resource(template: Path, method: str) -> None:
    """Made once; one whose reply is lost is left to a person, also by a daemon that dies in the middle."""
    made: list[SocialGatewayEmulator] = []

    def build(clock: Clock) -> tuple[list[EmulatedServer], Callable[[], EmulatedAccount]]:
        made.append(
            SocialGatewayEmulator(clock=clock, login=SocialGatewayLogin("api", f"{_SECRET}-key", _SECRET), port=4)
        )
        return [made[0]], lambda: catalogue.socialgateway_account(made[0])

    async def story(environment: Environment) -> None:
        async with environment.daemon():
            job = await environment.run("resource", {"path": "segment/7", "method": method})
            assert (job.state, made[0].actions) == (State.SUCCEEDED, ["segment/7"])
            made[0].faults.add("action", InjectedFault(FaultKind.RESET_AFTER))
            lost = await environment.run("resource", {"path": "segment/8", "method": method})
        assert (lost.state, made[0].actions) == (State.PARKED, ["segment/7", "segment/8"])

    in_environment(template, build, story)


def test_a_template_that_is_not_in_the_document(template: Path) -> None:
    """It is sent as it was given; the log warns of it, and of no template that is known."""

    async def story(scenario: ShareProgressScenario) -> None:
        async with scenario.environment.daemon():
            new = await scenario.environment.run("button_create", {**NEW_PAGE, "button_template": "sp_wa_large"})
            await scenario.environment.run("button_create", {**NEW_PAGE, "button_template": "SP_FB_small"})
        assert new.state is State.SUCCEEDED
        assert json.loads(scenario.api.requests[0].body)["button_template"] == "sp_wa_large"
        (warned,) = scenario.environment.events("job.warned")
        assert (warned["key"], warned["level"], warned["job"]) == ("button_template", "warning", new.id)

    run_scenario(template, story, templates=("sp_wa_large",))
