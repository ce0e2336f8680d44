"""The catalogue of faults, as far as one job in virtual time can show it. Numbers are its rows."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.simulation.one_job import fault, tell, throttled
from tests.simulation.world import World
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, RetryAfter


def test_a_plain_job(template: Path) -> None:
    """Without faults: submit, polls on the schedule, one download, one history row for each change of state."""
    told = tell(template)
    assert told.states == ["queued", "submitting", "polling", "fetching", "succeeded"]
    assert (told.job.submits, told.job.fetches, told.world.emulator.count("create")) == (1, 1, 1)
    assert told.job.polls == told.world.emulator.count("status")
    (line,) = told.events("job.finished")
    assert line["bytes"] == told.artifacts[0].size
    assert line["sha256"] == [told.artifacts[0].sha256]


@pytest.mark.fault(1)
@pytest.mark.slow
def test_killed_before_the_post(template: Path) -> None:
    """Killed while the POST is on its way: reconciled, then a new intent because the spec permits it."""
    told = tell(template, fault("create", FaultKind.LATENCY, seconds=50.0), lives_s=(20.0,))
    assert told.job.state is State.SUCCEEDED
    assert told.states[:4] == ["queued", "submitting", "reconciling", "queued"]
    assert told.job.submits == told.world.emulator.count("create") == 2
    assert any("repeatable" in (entry.detail or "") for entry in told.history)


@pytest.mark.fault(3)
@pytest.mark.slow
def test_killed_in_a_download(template: Path) -> None:
    """Killed again and again: nothing half-published, the file whole in the end."""
    told = tell(template, lives_s=(70.0, 30.0, 30.0, 30.0))
    assert told.job.state is State.SUCCEEDED
    assert told.job.submits == 1


@pytest.mark.fault(5)
def test_a_drain_gives_the_lanes_back(template: Path) -> None:
    """A daemon that is asked to stop gives every lane back, and the next one takes them as clean."""
    told = tell(template, cancel_after_s=30.0)
    takes = told.events("lane.taken")
    assert len(told.events("lane.given_back")) == 4
    assert all(line["clean"] for line in takes)
    assert all(line["clean"] for line in told.events("daemon.stopped"))


@pytest.mark.fault(19)
def test_refused_connections_are_unsent(template: Path) -> None:
    """A connection that cannot be made proves that nothing was sent: the submit is tried again, without reconciling."""

    def refuse_at_first(world: World) -> None:
        world.wire.refuse_before_s = 100.0

    told = tell(template, refuse_at_first)
    assert told.job.state is State.SUCCEEDED
    assert "reconciling" not in told.states
    assert told.world.emulator.count("create") == 1
    assert told.job.submits > 1


@pytest.mark.fault(20)
def test_lost_reply_to_a_submit_is_unknown(template: Path) -> None:
    """A reply that never came leaves the outcome open: RECONCILING, and the history says why there is a new intent."""
    told = tell(template, fault("create", FaultKind.RESET_AFTER))
    assert told.states[:4] == ["queued", "submitting", "reconciling", "queued"]
    assert (told.job.state, told.job.submits) == (State.SUCCEEDED, 2)


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.MALFORMED, FaultKind.TRUNCATE]
)
def test_polls_that_fail_are_polled_again(template: Path, kind: FaultKind) -> None:
    """A poll that breaks, or whose body cannot be read, is counted as a failure and asked again."""
    told = tell(template, fault("status", kind, 2))
    assert told.job.state is State.SUCCEEDED
    assert told.events("job.troubled")


@pytest.mark.fault(24)
@pytest.mark.slow
@pytest.mark.parametrize("asked", list(RetryAfter))
def test_retry_after_of_every_kind(template: Path, asked: RetryAfter) -> None:
    """However a server words its 429, the next request comes neither at once nor never, and no attempt is charged."""
    told = tell(template, throttled(asked))
    assert told.job.state is State.SUCCEEDED
    times = [asked.at for asked in told.world.emulator.requests if asked.route == "status"]
    wait_s = times[1] - times[0]
    assert 1.0 <= wait_s <= 3700.0
    if asked is RetryAfter.SECONDS:
        assert wait_s >= 30.0
    assert told.events("account.paused")
    assert told.job.crashes == 0


@pytest.mark.fault(25)
@pytest.mark.slow
def test_a_storm_opens_the_breaker(template: Path) -> None:
    """Errors in a row open the account's breaker: the storm is met with few requests, and the job waits unharmed."""
    told = tell(template, fault("status", FaultKind.UNAVAILABLE, 12, status=502))
    assert told.job.state is State.SUCCEEDED
    times = [asked.at for asked in told.world.emulator.requests if asked.route == "status"]
    assert times[12] - times[0] > 600.0


@pytest.mark.fault(26)
@pytest.mark.slow
def test_refused_credentials_pause_the_account(template: Path) -> None:
    """401 pauses the account, loudly and for good; the job waits unharmed, and goes on when a person has resumed it.

    The pause outlasts the deadline that the job had, and charges it nothing: the deadline moves with it.
    """

    def soon(world: World) -> None:
        world.schedule["deadline_s"] = 1200.0

    told = tell(template, soon, fault("status", FaultKind.UNAUTHORIZED, 1), resume_after_s=2400.0, patience_s=300.0)
    assert told.job.state is State.SUCCEEDED
    assert [line["level"] for line in told.events("account.refused")] == ["error"]
    assert told.events("account.resumed")
    assert (told.job.failures, told.job.crashes) == (0, 0)
    times = [asked.at for asked in told.world.emulator.requests if asked.route == "status"]
    assert times[1] - times[0] > 2300
    assert told.job.deadline_at - told.job.created_at == pytest.approx(1200 + times[1] - times[0], abs=60)


@pytest.mark.fault(26)
@pytest.mark.slow
def test_a_refused_submit_is_made_again(template: Path) -> None:
    """A provider that refuses the key has not acted: after the pause the job is submitted, once."""
    told = tell(template, fault("create", FaultKind.UNAUTHORIZED, 1), resume_after_s=600.0, patience_s=300.0)
    assert told.job.state is State.SUCCEEDED
    assert len(told.world.emulator.batches) == 1


@pytest.mark.fault(26)
@pytest.mark.slow
def test_a_paused_account_is_left_alone(template: Path) -> None:
    """While it is paused nothing at all is sent, however long and through however many restarts."""
    refused = fault("status", FaultKind.UNAUTHORIZED, 1)
    told = tell(template, refused, lives_s=(900.0, 900.0), resume_after_s=900.0, patience_s=300.0)
    assert told.job.state is State.SUCCEEDED
    times = sorted(asked.at for asked in told.world.emulator.requests)
    assert max(later - earlier for earlier, later in pairwise(times)) > 2.8 * 900
    assert len(told.events("account.refused")) == 3


@pytest.mark.fault(26)
@pytest.mark.slow
def test_a_job_can_be_cancelled_while_its_account_is_paused(template: Path) -> None:
    """A cancel request does not wait for a repaired key."""
    told = tell(template, fault("status", FaultKind.UNAUTHORIZED, None), cancel_after_s=600.0)
    assert told.job.state is State.CANCELLED
    assert told.job.finished_at is not None
    assert told.job.finished_at - told.job.created_at < 660.0


def test_a_persons_pause_stops_everything(template: Path) -> None:
    """From one watcher round after the pause nothing is requested until somebody resumes the account."""
    told = tell(template, pause_after_s=30.0, resume_after_s=1800.0, patience_s=300.0)
    assert told.job.state is State.SUCCEEDED
    times = sorted(asked.at for asked in told.world.emulator.requests)
    assert max(later - earlier for earlier, later in pairwise(times)) > 1700
    assert [line["by"] for line in told.events("account.paused")] == ["person"]


@pytest.mark.fault(22)
@pytest.mark.slow
def test_a_failure_of_tls_pauses_and_is_tried_again(template: Path) -> None:
    """No safe connection: nothing goes out in the clear, the account pauses, and resumes by itself when TLS is well."""

    def distrust_at_first(world: World) -> None:
        world.wire.distrust_before_s = 1000.0

    told = tell(template, distrust_at_first, patience_s=1800.0)
    assert told.job.state is State.SUCCEEDED
    pauses = told.events("account.paused")
    assert {(line["by"], line["level"]) for line in pauses} == {("tls", "warning")}
    assert "tried again every 5 minutes" in str(pauses[0]["reason"])
    assert 3 <= told.world.wire.distrusted <= 8
    assert told.job.failures == 0


@pytest.mark.fault(27)
@pytest.mark.parametrize("route", ["status", "url", "result", "create"])
def test_a_page_of_html_is_never_success(template: Path, route: str) -> None:
    """200 with a maintenance page, wherever it comes, is not taken for a status, a URL, a file or an acceptance."""
    account = "by-redirect" if route == "result" else "by-url"
    told = tell(template, fault(route, FaultKind.HTML, 2), account=account)
    assert told.job.state is State.SUCCEEDED
    assert told.job.submits == (3 if route == "create" else 1)


@pytest.mark.fault(28)
def test_an_unknown_word_is_loud_and_lives(template: Path) -> None:
    """A status word that no rule knows is logged as a warning, and the job goes on to be polled."""
    told = tell(template, fault("status", FaultKind.UNKNOWN_WORD, 2))
    assert told.job.state is State.SUCCEEDED
    assert told.events("job.unmapped")[0]["level"] == "warning"
    assert "ARCHIVING" in str(told.events("job.unmapped")[0]["reason"])


@pytest.mark.fault(29)
@pytest.mark.slow
def test_gone_is_submitted_afresh_once(template: Path) -> None:
    """A remote job that has vanished is submitted again once; when that one vanishes too the job fails."""
    once = tell(template, fault("create", FaultKind.GONE))
    assert (once.job.state, once.job.resubmits) == (State.SUCCEEDED, 1)
    twice = tell(template, fault("create", FaultKind.GONE, 2))
    assert (twice.job.state, twice.world.emulator.count("create")) == (State.FAILED, 2)
    assert "gone" in (twice.job.reason or "")


@pytest.mark.fault(30)
@pytest.mark.slow
def test_a_job_that_never_ends_expires(template: Path) -> None:
    """A remote job that never ends is given up when it has shown no sign of life for as long as its spec says."""
    told = tell(template, fault("create", FaultKind.NEVER_ENDS))
    assert told.job.state is State.EXPIRED
    assert told.job.finished_at is not None
    assert told.job.finished_at - told.job.created_at == pytest.approx(4 * 3600, rel=0.1)
    assert told.events("job.failed")[0]["level"] == "error"


@pytest.mark.fault(33)
def test_zero_rows_succeed(template: Path) -> None:
    """An empty export is a success with an empty file."""
    told = tell(template, export_type="HARD_BOUNCES")
    assert told.job.state is State.SUCCEEDED
    assert told.artifacts[0].size == 0


@pytest.mark.fault(37)
@pytest.mark.slow
@pytest.mark.parametrize("account", ["by-url", "by-redirect"])
def test_an_expired_link_is_asked_for_again(template: Path, account: str) -> None:
    """403 for an expired signature leads to a fresh URL, a bounded number of times."""
    told = tell(template, fault("file", FaultKind.LINK_EXPIRED, 2), account=account)
    # Links that expire are bounded by time, and are no downloads that failed.
    assert (told.job.state, told.job.fetches) == (State.SUCCEEDED, 1)
    assert told.outcomes.count("LinksExpired") == 2
    always = tell(template, fault("file", FaultKind.LINK_EXPIRED, None), account=account)
    assert always.job.state is State.FAILED


@pytest.mark.fault(38, 39, 40)
@pytest.mark.parametrize("kind", [FaultKind.TRUNCATE, FaultKind.STALL, FaultKind.CHANGED, FaultKind.IGNORE_RANGE])
def test_broken_downloads(template: Path, kind: FaultKind) -> None:
    """A body that breaks off is resumed or fetched anew; a file that changed meanwhile is never mixed with the old."""
    told = tell(template, fault("file", FaultKind.TRUNCATE), fault("file", kind), export_type="CAMPAIGNS")
    assert told.job.state is State.SUCCEEDED
    assert told.job.fetches >= 2


def test_cancel_ends_a_waiting_job(template: Path) -> None:
    """A cancel request made while no daemon runs is applied as soon as one starts."""
    told = tell(template, cancel_after_s=30.0)
    assert told.states == ["queued", "submitting", "polling", "cancelled"]


@pytest.mark.slow
def test_cancel_needs_no_provider(template: Path) -> None:
    """A cancel request is applied while the account is paused, within one watcher round."""
    told = tell(template, fault("status", FaultKind.THROTTLE, None, retry_after=RetryAfter.HUGE), cancel_after_s=100.0)
    assert told.job.state is State.CANCELLED
    assert told.job.finished_at is not None
    assert told.job.finished_at - told.job.created_at < 160.0


def test_a_remote_failure_is_final(template: Path) -> None:
    """A remote job that ended in ERROR fails ours, with the provider's word as the reason."""
    told = tell(template, fault("create", FaultKind.ERROR_STATUS))
    assert told.job.state is State.FAILED
    assert "ERROR" in (told.job.reason or "")
