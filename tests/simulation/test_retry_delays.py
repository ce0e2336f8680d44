"""Retries in virtual time: how many requests a provider gets that never answers properly."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from tests.simulation.stub_world import ACCOUNT, ORIGIN, Answer, ReplyData, Sent, StubWorld, in_stub_world
from tidewaiter.domain.job import Job, State
from tidewaiter.services import DAEMON

FILES = "http://127.0.0.1:10"
SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
[account]
server = { type = "url", help = "the server" }
[operations.report]
title = "Report"
repeatable = true
schedule = { first_delay_s = 30, interval_s = 30, cap_s = 300 }
[operations.report.submit]
url = "/reports"
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
[[operations.report.poll.rules]]
word = "status"
words = { working = "running", ready = "ready" }
[operations.report.results]
files = { each = "files", url = "url", label = "name" }
"""
HTML = b"<!doctype html><title>Maintenance</title>"
READY = {"status": "ready", "files": [{"url": f"{FILES}/7", "name": "seven.csv"}]}


def gaps(sent: list[Sent]) -> list[float]:
    """Seconds between requests."""
    return [later.at - earlier.at for earlier, later in pairwise(sent)]


def asked(world: StubWorld, path: str) -> list[Sent]:
    """The requests of that method and path."""
    return [sent for sent in world.wire.sent if sent.path == path]


@pytest.mark.fault(71)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (ReplyData(200, HTML), "a body that is not JSON"),
        (ReplyData(303, b"", {"Location": "/sign-in?ticket=1"}), "HTTP 303 (Location: /sign-in?[redacted])"),
        (ReplyData(207, {"request": {"status": {"code": 207}}}), "the reply has no handle"),
        (ReplyData(502, HTML), "HTTP 502"),
    ],
    ids=["html", "redirect", "no-token", "bad-gateway"],
)
def test_an_unclear_submit_is_repeated_five_times_at_most(template: Path, data: ReplyData, why: str) -> None:
    """Ever more slowly; then a person decides, and begins the count anew."""

    async def story(world: StubWorld) -> None:
        job = await world.submit()
        parked = await world.ended(job)
        await world.clock.sleep(300.0)
        assert parked.state is State.PARKED
        assert why in (parked.reason or "")
        posts = asked(world, "POST /reports")
        assert len(posts) == 5
        assert gaps(posts) == sorted(gaps(posts))
        assert gaps(posts)[-1] > 300.0
        assert [line["unknowns"] for line in world.events("job.repeated")] == [1, 2, 3, 4]
        (line,) = world.events("job.parked")
        assert "5 submits in a row had no clear outcome" in str(line["reason"])
        await world.service.retry(job.id, actor=DAEMON)
        await world.clock.sleep(5.0)
        assert (await world.job(job)).unknowns == 1

    in_stub_world(template, SPEC, lambda _: data, story)


@pytest.mark.fault(25)
def test_unreadable_replies_open_the_breaker(template: Path) -> None:
    """Five jobs whose submits are answered with a page of HTML say as much as five times 502: the others wait."""

    async def story(world: StubWorld) -> None:
        for _ in range(20):
            await world.submit()
        await world.clock.sleep(20.0)
        assert len(asked(world, "POST /reports")) < 20
        (status,) = await world.accounts.statuses()
        await world.clock.sleep(25.0)
        (status,) = await world.accounts.statuses()
        assert "a body that is not JSON" in (status.closed[0].closed_reason or "")

    in_stub_world(template, SPEC, lambda _: ReplyData(200, HTML), story, limits={"spacing_s": 0.5})


def appearing(after_s: float) -> Answer:
    """A provider that says ready at once, and has the file so many seconds later."""
    ready_at: list[float] = []

    def answer(sent: Sent) -> ReplyData:
        if sent.path == "POST /reports":
            return ReplyData(200, {"id": "7"})
        if sent.path == "GET /reports/7":
            ready_at.append(sent.at)
            return ReplyData(200, READY)
        there = sent.at - ready_at[0] >= after_s
        return ReplyData(200, b"a,b\n", {"Content-Type": "text/csv"}) if there else ReplyData(404, b"<Error/>")

    return answer


@pytest.mark.fault(70)
@pytest.mark.slow
@pytest.mark.parametrize(("after_s", "most"), [(0.5, 3), (60.0, 9), (1500.0, 18)])
def test_a_file_that_appears_long_after_ready_lands(template: Path, after_s: float, most: int) -> None:
    """A store that is consistent in the end gets its time, and not many requests."""

    async def story(world: StubWorld) -> None:
        job = await world.ended(await world.submit())
        assert job.state is State.SUCCEEDED
        assert await world.file_of(job) == b"a,b\n"
        assert len(asked(world, "GET /reports/7")) <= most
        assert job.fetches == 1

    in_stub_world(template, SPEC, appearing(after_s), story)


@pytest.mark.fault(70)
@pytest.mark.slow
def test_a_file_that_never_appears_ends_the_job(template: Path) -> None:
    """After the account's own limit, with the reason."""

    async def story(world: StubWorld) -> None:
        job = await world.ended(await world.submit())
        assert job.state is State.FAILED
        assert "no link to the files worked" in (job.reason or "")
        assert 600.0 < (job.finished_at or 0.0) - job.created_at < 1000.0
        assert len(asked(world, "GET /reports/7")) < 15

    in_stub_world(template, SPEC, appearing(1e9), story, schedule={"links_expire_s": 600.0})


def polled(headers: Mapping[str, str]) -> Answer:
    """A provider that says "not yet" for ever, with these header fields."""

    def answer(sent: Sent) -> ReplyData:
        return (
            ReplyData(200, {"id": "7"})
            if sent.path == "POST /reports"
            else ReplyData(200, {"status": "working"}, headers)
        )

    return answer


@pytest.mark.slow
def test_a_short_retry_after_does_not_hurry_the_polls(template: Path) -> None:
    """Retry-After: 1 on every "not yet" of a server: our own 30 s and more hold."""

    async def story(world: StubWorld) -> None:
        await world.submit()
        await world.clock.sleep(3600.0)
        polls = asked(world, "GET /reports/7")
        assert 10 < len(polls) < 25
        assert min(gaps(polls)) > 20.0

    in_stub_world(template, SPEC, polled({"Retry-After": "1"}), story)


def test_an_exact_retry_after_is_kept(template: Path) -> None:
    """Where the spec says so: five seconds are five seconds."""

    async def story(world: StubWorld) -> None:
        await world.submit()
        await world.clock.sleep(300.0)
        polls = asked(world, "GET /reports/7")
        assert all(5.0 <= gap < 6.0 for gap in gaps(polls))

    spec = SPEC.replace('url = "/reports/${handle}"', 'url = "/reports/${handle}"\nretry_after = { exact = true }')
    in_stub_world(template, spec, polled({"Retry-After": "5"}), story)


@pytest.mark.slow
def test_a_remote_job_that_never_moves_is_not_polled_in_silence(template: Path) -> None:
    """The log warns once, half way; the status and the history say it too."""

    async def story(world: StubWorld) -> None:
        job = await world.submit()
        await world.clock.sleep(4500.0)
        (line,) = world.events("job.stalled")
        assert line["level"] == "warning"
        assert 3600.0 <= float(str(line["still_s"])) < 3900.0
        assert "reported nothing new" in ((await world.job(job)).reason or "")

    in_stub_world(template, SPEC, polled({}), story, schedule={"deadline_s": 7200.0})


def busy(until: Callable[[Sent], bool], headers: Mapping[str, str]) -> Answer:
    """A provider that makes remote jobs, and answers 429 to polls as long as it is told to."""

    def answer(sent: Sent) -> ReplyData:
        if sent.path == "POST /reports":
            return ReplyData(200, {"id": "7"})
        if sent.path == "GET /reports/7":
            return ReplyData(429, b"", headers) if until(sent) else ReplyData(200, READY)
        return ReplyData(200, b"a,b\n", {"Content-Type": "text/csv"})

    return answer


async def when_closed(world: StubWorld) -> Job:
    """A job, once its account has been closed."""
    job = await world.submit()
    while not world.events("account.paused"):
        await world.clock.sleep(1.0)
    await world.clock.sleep(21.0)
    return job


def test_a_person_opens_a_closed_account(template: Path) -> None:
    """A 429 that names an epoch second far away: the account says until when and why, and another process opens it."""
    polls: list[float] = []

    def until(sent: Sent) -> bool:
        polls.append(sent.at)
        return len(polls) == 1

    async def story(world: StubWorld) -> None:
        job = await when_closed(world)
        (status,) = await world.accounts.statuses()
        (lane,) = status.closed
        assert lane.closed_reason == "HTTP 429"
        assert lane.closed_until is not None
        assert 3500.0 < lane.closed_until - world.clock.now() < 3600.0
        resumed = await world.accounts.resume(ACCOUNT, actor=DAEMON)
        assert (resumed.status.closed, resumed.paused_s, len(resumed.opened)) == ((), None, 1)
        ended = await world.ended(job, within_s=30.0)
        assert ended.state is State.SUCCEEDED
        (line,) = world.events("account.reopened")
        assert (line["account"], line["reason"]) == (ACCOUNT, "HTTP 429")
        assert float(str(line["left_s"])) > 3500.0

    in_stub_world(template, SPEC, busy(until, {"Retry-After": "9999999999"}), story)


@pytest.mark.slow
def test_a_closing_ends_for_the_next_owner_too(template: Path) -> None:
    """It is stored with the lane, and so is its end, also where no daemon runs meanwhile."""
    polls: list[float] = []

    def until(sent: Sent) -> bool:
        polls.append(sent.at)
        return len(polls) == 1

    async def story(world: StubWorld) -> None:
        job = await when_closed(world)
        await world.restart()
        await world.clock.sleep(60.0)
        assert len(polls) == 1
        await world.accounts.resume(ACCOUNT, actor=DAEMON)
        await world.restart()
        assert (await world.ended(job, within_s=60.0)).state is State.SUCCEEDED

    in_stub_world(template, SPEC, busy(until, {"Retry-After": "3600"}), story)


def test_floor_and_cap_are_the_accounts_own(template: Path) -> None:
    """An operator who knows better limits how long a provider can close the account."""

    async def story(world: StubWorld) -> None:
        await when_closed(world)
        assert world.events("account.paused")[0]["until_s"] == 120.0

    in_stub_world(
        template,
        SPEC,
        busy(lambda _: True, {"Retry-After": "9999999999"}),
        story,
        schedule={"retry_after_cap_s": 120.0},
    )


@pytest.mark.slow
def test_downloads_from_elsewhere_go_on_while_the_account_is_closed(template: Path) -> None:
    """The provider's own limit says nothing about the host of the files."""
    closed_at: list[float] = []

    def answer(sent: Sent) -> ReplyData:
        if sent.path.startswith("POST"):
            return ReplyData(200, {"id": str(len(closed_at) or int(sent.at))})
        if sent.request.url.startswith(ORIGIN):
            if not closed_at:
                closed_at.append(sent.at)
                return ReplyData(200, READY)
            return ReplyData(429, b"", {"Retry-After": "3600"})
        late = sent.at - closed_at[0] > 120.0
        return ReplyData(200, b"a,b\n", {"Content-Type": "text/csv"}) if late else ReplyData(503)

    async def story(world: StubWorld) -> None:
        first = await world.submit()
        await world.clock.sleep(35.0)
        await world.submit()
        ended = await world.ended(first, within_s=600.0)
        assert ended.state is State.SUCCEEDED
        assert world.events("account.paused")

    in_stub_world(template, SPEC, answer, story)
