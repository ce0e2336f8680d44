"""Social Gateway through the product: each row of its contract, each quirk, and what its document leaves open."""

import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.apis.emulated_api import Stage, on_stage
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


class Told:
    """What a story needs: the stage, and the gateway with its record."""

    def __init__(self, stage: Stage, gateway: SocialGatewayEmulator) -> None:
        self.stage = stage
        self.gateway = gateway

    def asked(self) -> list[str]:
        """The routes that were asked for, in order."""
        return [asked.route for asked in self.gateway.requests]


def _tell(template: Path, story: Callable[[Told], Awaitable[T]], *, campaigns: int = 3, **variants: Any) -> T:
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

    async def told(stage: Stage) -> T:
        (gateway,) = gateways
        result = await story(Told(stage, gateway))
        stage.secrets = [*stage.secrets, *(session.token for session in gateway.sessions)]
        return result

    return on_stage(template, build, told)


def test_statistics(template: Path) -> None:
    """One login and one reading; the file is the JSON as it came, and no credential shows anywhere."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            job = await told.stage.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        landed = await told.stage.json_of(job)
        assert isinstance(landed, dict)
        assert [campaign["id"] for campaign in landed["campaigns"]] == [1, 2, 3]
        assert told.asked() == ["authenticate", "stats"]
        (artifact,) = await told.stage.desk.jobs.artifacts(job.id)
        assert artifact.name == "campaign-stats.json"

    _tell(template, story)


@pytest.mark.parametrize("shape", list(StatsShape))
@pytest.mark.parametrize("campaigns", [0, 3])
def test_statistics_of_either_shape(template: Path, shape: StatsShape, campaigns: int) -> None:
    """An object or an array, with or without anything in it, lands byte for byte."""

    async def story(told: Told) -> bytes:
        async with told.stage.daemon():
            job = await told.stage.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        return await told.stage.file_of(job)

    landed = json.loads(_tell(template, story, campaigns=campaigns, stats_shape=shape))
    assert isinstance(landed, list) is (shape is StatsShape.ARRAY)


def test_any_resource(template: Path) -> None:
    """A path of several segments and an object of parameters, of every type, reach the API as they were meant."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            plain = await told.stage.run("resource", {"path": "segment/list"})
            with_parameters = await told.stage.run(
                "resource", {"path": "contact/list", "parameters": {"list": "a b&c", "page": 2, "all": True}}
            )
            nothing = await told.stage.run("resource", {"path": "empty"})
        assert await told.stage.json_of(plain) == [1, 2]
        assert await told.stage.json_of(with_parameters) == {
            "parameters": {"list": "a b&c", "page": "2", "all": "true"}
        }
        assert await told.stage.json_of(nothing) == []
        assert told.asked() == ["authenticate", "resource", "resource", "resource"]

    _tell(template, story)


@pytest.mark.parametrize(
    "path", ["//me", "a//b", "../../admin", "a/.", "/authenticate", "a?b=1", "", "authenticate", "a b"]
)
def test_paths_that_are_none(template: Path, path: str) -> None:
    """What is no path, or is the login, is refused at the desk, and nothing is sent."""

    async def story(told: Told) -> None:
        with pytest.raises(RequestError, match="path"):
            await told.stage.submit("resource", {"path": path})
        assert told.asked() == []

    _tell(template, story)


def test_one_login_for_all(template: Path) -> None:
    """Twenty jobs at once share one token."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            jobs = [await told.stage.submit("campaign_stats") for _ in range(20)]
            ended = [await told.stage.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert (told.gateway.logins, told.gateway.count("stats")) == (1, 20)

    _tell(template, story)


@pytest.mark.parametrize("minutes", [0, -180, 330])
def test_renewed_ahead_of_its_end(template: Path, minutes: int) -> None:
    """The expiry stands in the domain's time zone, its offset without a colon; no request meets a spent token."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            for _ in range(30):
                assert (await told.stage.run("campaign_stats")).state is State.SUCCEEDED
                await told.stage.clock.sleep(40)
        issued = [session.issued_at for session in told.gateway.sessions]
        assert all(540 <= later - earlier <= 600 for earlier, later in pairwise(issued))
        assert (told.gateway.logins, told.gateway.count("stats")) == (3, 30)
        lifetimes = [line["expires_in_s"] for line in told.stage.events("session.renewed")]
        assert lifetimes == pytest.approx([600] * 3, abs=1)

    _tell(template, story, token_ttl_s=600, utc_offset_minutes=minutes)


@pytest.mark.parametrize("bare", [False, True])
def test_revoked_once(template: Path, bare: bool) -> None:
    """A 401, with its phrase or bare: one renewal, the request once more, and the job knows nothing of it."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            assert (await told.stage.run("campaign_stats")).state is State.SUCCEEDED
            told.gateway.revoke()
            job = await told.stage.run("campaign_stats")
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert told.asked() == ["authenticate", "stats", "stats", "authenticate", "stats"]
        assert told.stage.events("account.refused") == []

    _tell(template, story, bare_401=bare)


def test_revoked_under_many(template: Path) -> None:
    """Ten requests find their token revoked at once: one renewal serves them all."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            await told.stage.run("campaign_stats")
            told.gateway.revoke()
            jobs = [await told.stage.submit("campaign_stats") for _ in range(10)]
            ended = [await told.stage.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert told.gateway.logins == 2
        assert told.gateway.count("stats") <= 1 + 2 * 10

    _tell(template, story)


def test_tokens_that_die_early(template: Path) -> None:
    """A token that ends long before it was told to is renewed when it is refused."""

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            for _ in range(4):
                assert (await told.stage.run("campaign_stats")).state is State.SUCCEEDED
                await told.stage.clock.sleep(90)
        assert (told.gateway.logins, told.gateway.count("stats")) == (4, 7)

    _tell(template, story, dies_after_s=60)


def test_refused_after_the_renewal(template: Path) -> None:
    """Two 401 in a row: the account is paused, loudly, and the job waits unharmed until a person resumes it."""

    async def story(told: Told) -> None:
        told.gateway.faults.add("stats", InjectedFault(FaultKind.REVOKED), times=2)
        async with told.stage.daemon():
            job = await told.stage.submit("campaign_stats")
            await told.stage.clock.sleep(3600)
            assert told.asked() == ["authenticate", "stats"] * 2
            await told.stage.resume()
            job = await told.stage.ended(job)
        assert (job.state, job.failures) == (State.SUCCEEDED, 0)
        assert [line["level"] for line in told.stage.events("account.refused")] == ["error"]
        assert "Please renew your access_token" in str(told.stage.events("account.refused")[0])

    _tell(template, story)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
def test_a_login_that_fails(template: Path, status: int) -> None:
    """However a failed login looks, the account is paused, its jobs wait, and the password is not hammered."""

    async def story(told: Told) -> None:
        told.gateway.faults.add("authenticate", InjectedFault(FaultKind.ERROR_STATUS, text="Locked"))
        async with told.stage.daemon():
            jobs = [await told.stage.submit("campaign_stats") for _ in range(5)]
            await told.stage.clock.sleep(30)
            assert told.asked() == ["authenticate"]
            assert {(await told.stage.job(job)).state for job in jobs} <= {State.QUEUED, State.SUBMITTING}
            await told.stage.resume()
            ended = [await told.stage.ended(job) for job in jobs]
        assert {job.state for job in ended} == {State.SUCCEEDED}
        assert (told.gateway.failed_logins, told.gateway.logins) == (1, 1)
        assert "Locked" in str(told.stage.events("account.refused")[0]["reason"])

    _tell(template, story, login_failure_status=status)


@pytest.mark.parametrize("kind", [FaultKind.UNAVAILABLE, FaultKind.HTML, FaultKind.RESET_AFTER, FaultKind.MALFORMED])
def test_a_login_that_passes_by(template: Path, kind: FaultKind) -> None:
    """A login that breaks is tried again; nothing was submitted before it, so nothing is in doubt."""

    async def story(told: Told) -> None:
        told.gateway.faults.add("authenticate", InjectedFault(kind))
        async with told.stage.daemon():
            job = await told.stage.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        assert told.gateway.count("stats") == 1
        assert "reconciling" not in [entry.state for entry in await told.stage.history(job)]

    _tell(template, story)


@pytest.mark.parametrize(
    ("operation", "params", "reason"),
    [
        ("campaign_stats", {}, "HTTP 200: the report is not configured"),
        ("resource", {"path": "segment/list"}, "HTTP 200: the report is not configured"),
    ],
)
def test_a_200_that_is_a_failure(template: Path, operation: str, params: dict[str, Any], reason: str) -> None:
    """``success: false`` is never landed as a file: the job fails with the API's own words."""

    async def story(told: Told) -> None:
        fault = InjectedFault(FaultKind.ERROR_STATUS, text="the report is not configured")
        told.gateway.faults.add("stats" if operation == "campaign_stats" else "resource", fault)
        async with told.stage.daemon():
            job = await told.stage.run(operation, params)
        assert (job.state, job.reason) == (State.FAILED, reason)
        assert await told.stage.desk.jobs.artifacts(job.id) == []

    _tell(template, story)


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

    async def story(told: Told) -> None:
        async with told.stage.daemon():
            job = await told.stage.run("resource", params)
            after = await told.stage.run("campaign_stats")
        assert job.state is State.FAILED
        assert reason in (job.reason or "")
        assert after.state is State.SUCCEEDED
        assert told.stage.events("account.refused") == []

    _tell(template, story)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.HTML, FaultKind.MALFORMED, FaultKind.TRUNCATE, FaultKind.UNAVAILABLE, FaultKind.RESET_BEFORE,
        FaultKind.RESET_AFTER, FaultKind.THROTTLE, FaultKind.WRONG_TYPE, FaultKind.LATENCY,
    ],
)  # fmt: skip
def test_whatever_goes_wrong_with_a_reading(template: Path, kind: FaultKind) -> None:
    """A page of HTML, broken JSON, an outage or a lost reply is read again; what lands is whole."""

    async def story(told: Told) -> None:
        told.gateway.faults.add("stats", InjectedFault(kind, seconds=5))
        async with told.stage.daemon():
            job = await told.stage.run("campaign_stats")
        assert job.state is State.SUCCEEDED
        landed = await told.stage.json_of(job)
        assert isinstance(landed, dict)
        assert "campaigns" in landed

    _tell(template, story)


def test_a_restart_signs_in_again(template: Path) -> None:
    """Tokens are kept in memory alone: the next daemon asks for one of its own."""

    async def story(told: Told) -> None:
        for _ in range(2):
            async with told.stage.daemon():
                assert (await told.stage.run("campaign_stats")).state is State.SUCCEEDED
        assert told.gateway.logins == 2

    _tell(template, story)


def test_power_lost_while_reading(template: Path) -> None:
    """A daemon dies between the request and its answer: the next one asks again, for a reading does no harm."""

    async def story(told: Told) -> None:
        told.gateway.faults.add("stats", InjectedFault(FaultKind.LATENCY, seconds=30))
        async with told.stage.daemon(is_cut=True):
            job = await told.stage.submit("campaign_stats")
            await told.stage.clock.sleep(15)
        async with told.stage.daemon():
            ended = await told.stage.ended(job)
        assert ended.state is State.SUCCEEDED
        assert told.gateway.count("stats") == 2

    _tell(template, story)
