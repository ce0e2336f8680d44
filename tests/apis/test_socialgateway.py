"""Social Gateway with a whole daemon: each row of its contract, each quirk, and what its document leaves open."""

import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.apis.emulated_api import Environment, in_environment
from tidewaiter.clock import Clock
from tidewaiter.domain.job import State
from tidewaiter.emulators.catalogue import socialgateway_account
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.emulated_replies import page_reply
from tidewaiter.emulators.socialgateway import (
    SocialGatewayEmulator,
    SocialGatewayLogin,
    SocialGatewayVariants,
    StatsShape,
)
from tidewaiter.services import RequestError

T = TypeVar("T")

_API_KEY: Final = "canary-api-key-91c2"
_PASSWORD: Final = "canary pässword&77"
_PORT: Final = 3


def _contacts(parameters: Mapping[str, str]) -> object:
    if "list" not in parameters:
        return page_reply(400, "Bad Request")
    return {"parameters": parameters}


class Scenario:
    """What a story needs: the stage, and the gateway with its record."""

    def __init__(self, environment: Environment, gateway: SocialGatewayEmulator) -> None:
        self.environment = environment
        self.gateway = gateway

    def asked(self) -> list[str]:
        """The routes that were asked for, in order."""
        return [asked.route for asked in self.gateway.requests]


def _run_scenario(
    template: Path,
    story: Callable[[Scenario], Awaitable[T]],
    *,
    campaigns: int = 3,
    lookout_s: float = 20.0,
    **variants: Any,
) -> T:
    """Tell a story with a gateway that has such variants; no token shows anywhere afterwards."""
    gateways: list[SocialGatewayEmulator] = []

    def build(clock: Clock) -> tuple[list[SocialGatewayEmulator], Any]:
        gateway = SocialGatewayEmulator(
            clock=clock, login=SocialGatewayLogin("api", _API_KEY, _PASSWORD), port=_PORT, campaigns=campaigns,
            variants=SocialGatewayVariants(**variants), hidden=["billing"],
            resources={"segment/list": [1, 2], "contact/list": _contacts, "billing": {"due": 1}, "empty": []},
        )  # fmt: skip
        gateways.append(gateway)
        return [gateway], lambda: socialgateway_account(gateway)

    async def scenario(environment: Environment) -> T:
        (gateway,) = gateways
        result = await story(Scenario(environment, gateway))
        environment.secrets = [*environment.secrets, *(session.token for session in gateway.sessions)]
        return result

    return in_environment(template, build, scenario, lookout_s=lookout_s)


def test_statistics(template: Path) -> None:
    """One login and one reading; the file is the JSON as it came, and no credential shows anywhere."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        landed = await scenario.environment.json_of(job)
        assert isinstance(landed, dict)
        assert [campaign["id"] for campaign in landed["campaigns"]] == [1, 2, 3]
        assert scenario.asked() == ["authenticate", "stats"]
        (artifact,) = await scenario.environment.service.jobs.artifacts(job.id)
        assert artifact.name == "campaign-stats.json"

    _run_scenario(template, story)


@pytest.mark.parametrize("shape", list(StatsShape))
@pytest.mark.parametrize("campaigns", [0, 3])
def test_statistics_of_either_shape(template: Path, shape: StatsShape, campaigns: int) -> None:
    """An object or an array, with or without anything in it, lands byte for byte."""

    async def story(scenario: Scenario) -> bytes:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        return await scenario.environment.file_of(job)

    landed = json.loads(_run_scenario(template, story, campaigns=campaigns, stats_shape=shape))
    assert isinstance(landed, list) is (shape is StatsShape.ARRAY)


def test_any_resource(template: Path) -> None:
    """A path of several segments and an object of parameters, of every type, reach the API as they were meant."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            plain = await scenario.environment.run("resource", {"path": "segment/list"})
            with_parameters = await scenario.environment.run(
                "resource", {"path": "contact/list", "parameters": {"list": "a b&c", "page": 2, "all": True}}
            )
            nothing = await scenario.environment.run("resource", {"path": "empty"})
        assert await scenario.environment.json_of(plain) == [1, 2]
        assert await scenario.environment.json_of(with_parameters) == {
            "parameters": {"list": "a b&c", "page": "2", "all": "true"}
        }
        assert await scenario.environment.json_of(nothing) == []
        assert scenario.asked() == ["authenticate", "resource", "resource", "resource"]

    _run_scenario(template, story)


@pytest.mark.parametrize(
    "path", ["//me", "a//b", "../../admin", "a/.", "/authenticate", "a?b=1", "", "authenticate", "a b"]
)
def test_paths_that_are_none(template: Path, path: str) -> None:
    """A value that is no path, or is the login's, is refused by the service, and nothing is sent."""

    async def story(scenario: Scenario) -> None:
        with pytest.raises(RequestError, match="path"):
            await scenario.environment.submit("resource", {"path": path})
        assert scenario.asked() == []

    _run_scenario(template, story)


def test_one_login_for_all(template: Path) -> None:
    """Twenty jobs at once share one token."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            jobs = [await scenario.environment.submit("campaign_stats") for _ in range(20)]
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert (scenario.gateway.logins, scenario.gateway.count("stats")) == (1, 20)

    _run_scenario(template, story)


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [0, -180, 330])
def test_renewed_ahead_of_its_end(template: Path, minutes: int) -> None:
    """The expiry stands in the domain's time zone, its offset without a colon; no request meets a spent token."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            for _ in range(30):
                assert (await scenario.environment.run("campaign_stats")).state is State.SUCCEEDED
                await scenario.environment.clock.sleep(40)
        issued = [session.issued_at for session in scenario.gateway.sessions]
        assert all(540 <= later - earlier <= 600 for earlier, later in pairwise(issued))
        assert (scenario.gateway.logins, scenario.gateway.count("stats")) == (3, 30)
        lifetimes = [line["expires_in_s"] for line in scenario.environment.events("session.renewed")]
        assert lifetimes == pytest.approx([600] * 3, abs=1)

    _run_scenario(template, story, lookout_s=5.0, token_ttl_s=600, utc_offset_minutes=minutes)


@pytest.mark.fault(26)
@pytest.mark.parametrize("bare", [False, True])
def test_revoked_once(template: Path, bare: bool) -> None:
    """A 401, with its phrase or bare: one renewal, the request once more, and the job knows nothing of it."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            assert (await scenario.environment.run("campaign_stats")).state is State.SUCCEEDED
            scenario.gateway.revoke()
            job = await scenario.environment.run("campaign_stats")
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert scenario.asked() == ["authenticate", "stats", "stats", "authenticate", "stats"]
        assert scenario.environment.events("account.refused") == []

    _run_scenario(template, story, bare_401=bare)


def test_revoked_under_many(template: Path) -> None:
    """Ten requests find their token revoked at once: one renewal serves them all."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            await scenario.environment.run("campaign_stats")
            scenario.gateway.revoke()
            jobs = [await scenario.environment.submit("campaign_stats") for _ in range(10)]
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert scenario.gateway.logins == 2
        assert scenario.gateway.count("stats") <= 1 + 2 * 10

    _run_scenario(template, story)


@pytest.mark.slow
def test_tokens_that_die_early(template: Path) -> None:
    """A token that ends long before it was told to is renewed when it is refused."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            for _ in range(4):
                assert (await scenario.environment.run("campaign_stats")).state is State.SUCCEEDED
                await scenario.environment.clock.sleep(90)
        assert (scenario.gateway.logins, scenario.gateway.count("stats")) == (4, 7)

    _run_scenario(template, story, dies_after_s=60)


@pytest.mark.slow
def test_refused_after_the_renewal(template: Path) -> None:
    """Two 401 in a row: the account is paused, loudly, and the job waits unharmed until a person resumes it."""

    async def story(scenario: Scenario) -> None:
        scenario.gateway.faults.add("stats", InjectedFault(FaultKind.REVOKED), times=2)
        async with scenario.environment.daemon():
            job = await scenario.environment.submit("campaign_stats")
            await scenario.environment.clock.sleep(3600)
            assert scenario.asked() == ["authenticate", "stats"] * 2
            await scenario.environment.resume()
            job = await scenario.environment.ended(job)
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert [line["level"] for line in scenario.environment.events("account.refused")] == ["error"]
        assert "Please renew your access_token" in str(scenario.environment.events("account.refused")[0])

    _run_scenario(template, story)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
@pytest.mark.slow
def test_a_login_that_fails(template: Path, status: int) -> None:
    """However a failed login looks, the account is paused, its jobs wait, and the password is not hammered."""

    async def story(scenario: Scenario) -> None:
        scenario.gateway.faults.add("authenticate", InjectedFault(FaultKind.ERROR_STATUS, text="Locked"))
        async with scenario.environment.daemon():
            jobs = [await scenario.environment.submit("campaign_stats") for _ in range(5)]
            await scenario.environment.clock.sleep(30)
            assert scenario.asked() == ["authenticate"]
            assert {(await scenario.environment.job(job)).state for job in jobs} <= {State.QUEUED, State.SUBMITTING}
            await scenario.environment.resume()
            ended = [await scenario.environment.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert (scenario.gateway.failed_logins, scenario.gateway.logins) == (1, 1)
        assert "Locked" in str(scenario.environment.events("account.refused")[0]["reason"])

    _run_scenario(template, story, login_failure_status=status)


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.HTML, FaultKind.RESET_AFTER, FaultKind.MALFORMED])
def test_a_login_that_passes_by(template: Path, kind: FaultKind) -> None:
    """A login that breaks is tried again; nothing was submitted before it, so nothing is in doubt."""

    async def story(scenario: Scenario) -> None:
        scenario.gateway.faults.add("authenticate", InjectedFault(kind))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        assert scenario.gateway.count("stats") == 1
        assert "reconciling" not in [entry.state for entry in await scenario.environment.history(job)]

    _run_scenario(template, story)


@pytest.mark.parametrize(
    ("operation", "params", "reason"),
    [
        ("campaign_stats", {}, "HTTP 200: the report is not configured"),
        ("resource", {"path": "segment/list"}, "HTTP 200: the report is not configured"),
    ],
)
def test_a_200_that_is_a_failure(template: Path, operation: str, params: dict[str, Any], reason: str) -> None:
    """``success: false`` is never landed as a file: the job fails with the API's own words."""

    async def story(scenario: Scenario) -> None:
        fault = InjectedFault(FaultKind.ERROR_STATUS, text="the report is not configured")
        scenario.gateway.faults.add("stats" if operation == "campaign_stats" else "resource", fault)
        async with scenario.environment.daemon():
            job = await scenario.environment.run(operation, params)
        assert (job.state, job.reason) == (State.FAILED, reason)
        assert await scenario.environment.service.jobs.artifacts(job.id) == []

    _run_scenario(template, story)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"path": "billing"}, "there is none, or this user may not see it: HTTP 404"),
        ({"path": "nowhere"}, "there is none, or this user may not see it: HTTP 404"),
        ({"path": "contact/list"}, "HTTP 400"),
    ],
)
def test_what_is_refused(template: Path, params: dict[str, Any], reason: str) -> None:
    """400, and a 404 that may hide a 403: the job fails and says both; the account goes on."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon():
            job = await scenario.environment.run("resource", params)
            after = await scenario.environment.run("campaign_stats")
        assert job.state is State.FAILED
        assert reason in (job.reason or "")
        assert after.state is State.SUCCEEDED
        assert scenario.environment.events("account.refused") == []

    _run_scenario(template, story)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.HTML, FaultKind.MALFORMED, FaultKind.TRUNCATE, FaultKind.UNAVAILABLE, FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER, FaultKind.THROTTLE, FaultKind.WRONG_TYPE, FaultKind.LATENCY,
    ],
)  # fmt: skip
def test_whatever_goes_wrong_with_a_reading(template: Path, kind: FaultKind) -> None:
    """A page of HTML, broken JSON, an outage or a lost reply is read again; what lands is whole."""

    async def story(scenario: Scenario) -> None:
        scenario.gateway.faults.add("stats", InjectedFault(kind, seconds=5))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        landed = await scenario.environment.json_of(job)
        assert isinstance(landed, dict)
        assert "campaigns" in landed

    _run_scenario(template, story)


def test_a_restart_signs_in_again(template: Path) -> None:
    """Tokens are kept in memory alone: the next daemon asks for one of its own."""

    async def story(scenario: Scenario) -> None:
        for _ in range(2):
            async with scenario.environment.daemon():
                assert (await scenario.environment.run("campaign_stats")).state is State.SUCCEEDED
        assert scenario.gateway.logins == 2

    _run_scenario(template, story)


def test_power_lost_while_reading(template: Path) -> None:
    """A daemon dies between the request and its answer: the next one asks again, for a reading does no harm."""

    async def story(scenario: Scenario) -> None:
        scenario.gateway.faults.add("stats", InjectedFault(FaultKind.LATENCY, seconds=30))
        async with scenario.environment.daemon(is_cut=True):
            job = await scenario.environment.submit("campaign_stats")
            await scenario.environment.clock.sleep(15)
        async with scenario.environment.daemon():
            ended = await scenario.environment.ended(job)
        assert ended.state is State.SUCCEEDED
        assert scenario.gateway.count("stats") == 2

    _run_scenario(template, story)
