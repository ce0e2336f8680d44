"""The overview: what needs a person, why a job waits, and the state of a lane."""

from dataclasses import replace

import pytest

from tidewaiter.database.account_store import Pause, PauseCause
from tidewaiter.database.dashboard_store import MOST_DUE, DashboardSnapshot
from tidewaiter.database.failure_store import UnhandledFailures
from tidewaiter.database.notification_store import EndpointBacklog as Undelivered
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.domain.job import Job, State
from tidewaiter.services.failure_groups import failure_groups
from tidewaiter.services.wait_reasons import LaneCondition, LaneReport, wait_reason
from tidewaiter.web.health_routes import Phase
from tidewaiter.web.ui.dashboard import LaneView
from tidewaiter.web.ui.overview_page import Urgency, attention_items

NOW = 1_750_000_000.0
LANE = LaneView(1, "shop", 0, "report", "tide-1", LaneCondition.OPEN, None, None, Limits(60), 3, 5, 2, 4.0)
EMPTY = DashboardSnapshot(NOW, {}, [], [], {}, {}, [], [], [], [])
JOB = Job(7, 1, "shop", "profiles", {}, State.POLLING, 3, NOW + 42.0, NOW - 60.0, NOW + 9999.0)


def _whats(
    snapshot: DashboardSnapshot, *lanes: LaneView, phase: Phase = Phase.SERVING, storage: str | None = None
) -> list[str]:
    return [matter.what.replace("\u00a0", " ") for matter in attention_items(snapshot, lanes, phase, storage)]


def test_nobody_serves() -> None:
    """Without a live daemon nothing moves, which is no news to a standby."""
    assert _whats(EMPTY) == ["No daemon serves this database"]
    assert _whats(EMPTY, phase=Phase.STANDBY) == []


def test_every_kind_of_trouble_is_shown_the_worst_first() -> None:
    """Parked, failed, refused, dead notifications and a full storage are urgent; temporary troubles come after them."""
    failed = replace(JOB, id=9, state=State.FAILED, reason="no such segment")
    expired = replace(JOB, id=8, account="late", state=State.EXPIRED, reason="its deadline passed")
    snapshot = replace(
        EMPTY,
        counts={State.PARKED: 1},
        parked=[replace(JOB, state=State.PARKED, reason="lost")],
        failures=[failed, expired],
        unhandled=[
            UnhandledFailures("late", "profiles", 1, expired),
            UnhandledFailures("shop", "profiles", 2, failed),
        ],
        pauses={"shop": Pause("shop", PauseCause.CREDENTIALS, "HTTP 401", NOW, 5.0, None)},
        undelivered={"hook": Undelivered(0, None, 3)},
    )
    broken = replace(LANE, account="social", condition=LaneCondition.BROKEN, reason="HTTP 502")
    late = replace(LANE, account="late", late_s=300.0)
    found = attention_items(snapshot, [broken, late, LANE], Phase.STANDBY, "no space left")
    assert [matter.level for matter in found] == [Urgency.URGENT] * 6 + [Urgency.WATCH] * 2
    text = " | ".join(matter.what.replace("\u00a0", " ") for matter in found)
    for words in (
        "3 notifications to hook", "Downloads wait for the storage", "1 job parked",
        "2 jobs of shop / profiles failed or expired", "1 job of late / profiles failed or expired",
        "Account shop is paused", "social: the provider is failing", "late is 5 minutes",
    ):  # fmt: skip
        assert words in text
    addresses = [matter.address for matter in found if "parked" in matter.what]
    assert addresses == ["/jobs/7"], "a single one is led to itself"
    addresses = [matter.address for matter in found if "expired" in matter.what]
    assert addresses == ["/jobs?unhandled=true&account=shop&operation=profiles", "/jobs/8"]


def test_many_groups_of_failures_are_one_line_at_the_end() -> None:
    """The newest groups have a line each, and the others one together."""
    groups = [UnhandledFailures(f"a{n}", "profiles", n, replace(JOB, id=n, state=State.FAILED)) for n in range(1, 12)]
    whats = _whats(replace(EMPTY, unhandled=groups), phase=Phase.STANDBY)
    assert len(whats) == 9
    assert whats[0] == "11 jobs of a11 / profiles failed or expired"
    assert whats[-1] == "6 jobs with other causes failed or expired"


def test_a_request_that_cannot_be_made_is_no_matter_of_the_account() -> None:
    """Its parameters are the cause, so a later pause of the account is not shown as such, nor what ends it."""
    reason = "the submit cannot be built from the provider's spec as it is now: filter is no single value"
    pauses = {"shop": Pause("shop", PauseCause.CREDENTIALS, "HTTP 401", NOW, 0.0, None)}
    unbuilt = UnhandledFailures("shop", "profiles", 1, replace(JOB, state=State.FAILED, reason=reason))
    (group,) = failure_groups([unbuilt], pauses, [])
    assert group.trouble is None
    assert "nothing was sent. Submit them with other parameters" in group.advice
    other = replace(unbuilt, newest=replace(JOB, state=State.FAILED, reason="no"))
    assert "Account shop is paused" in str(failure_groups([other], pauses, [])[0].trouble)


def test_a_pause_that_a_person_wanted_is_no_alarm() -> None:
    """It was meant so; and an account that is configured no more is not told of."""
    pause = Pause("shop", PauseCause.PERSON, "maintenance", NOW, 5.0, None)
    snapshot = replace(EMPTY, pauses={"shop": pause, "gone": replace(pause, account="gone")})
    (matter,) = attention_items(snapshot, [LANE], Phase.STANDBY, None)
    assert (matter.level, matter.address) == (Urgency.WATCH, "/accounts/shop")


@pytest.mark.parametrize(
    ("job", "lane", "words", "until"),
    [
        (JOB, LANE, "Next poll", NOW + 42.0),
        (replace(JOB, due_at=NOW - 1.0), LANE, "The poll is due.", None),
        (replace(JOB, due_at=NOW - 60.0), LANE, "other jobs of the account come first", None),
        (JOB, replace(LANE, condition=LaneCondition.PAUSED, reason="HTTP 401"), "paused: HTTP 401", None),
        (JOB, replace(LANE, condition=LaneCondition.THROTTLED, until=NOW + 9.0), "limits requests", NOW + 9.0),
        (
            JOB,
            replace(LANE, condition=LaneCondition.BROKEN, reason="HTTP 502"),
            "until a test request succeeds: HTTP 502",
            None,
        ),
        (JOB, replace(LANE, condition=LaneCondition.UNKNOWN), "not in the configuration", None),
        (JOB, replace(LANE, condition=LaneCondition.UNSERVED), "No daemon serves the lane", None),
        (
            replace(JOB, state=State.PARKED, due_at=None),
            LANE,
            "outcome of the submit is unknown. Adopt the remote job, submit again, or cancel.",
            None,
        ),
        (replace(JOB, state=State.PARKED, ready_at=NOW), LANE, "download links cannot be used", None),
        (replace(JOB, due_at=None), None, "cause is unknown", None),
        (
            replace(JOB, state=State.QUEUED, agains=1),
            None,
            "The provider failed it for a passing reason. Next submit",
            NOW + 42.0,
        ),
    ],
)
def test_a_job_shows_why_it_waits(job: Job, lane: LaneView | None, words: str, until: float | None) -> None:
    """What holds its account up goes before its own time."""
    hold = None if lane is None else LaneReport(lane.condition, lane.reason, lane.until)
    wait = wait_reason(job, hold, NOW)
    assert wait is not None
    assert words in wait.sentence
    assert wait.until == until


def test_what_has_ended_waits_for_nothing() -> None:
    """And a daemon that stands by says that of the lane that nobody serves."""
    unserved = LaneReport(LaneCondition.UNSERVED)
    assert wait_reason(replace(JOB, state=State.SUCCEEDED, due_at=None), unserved, NOW) is None
    wait = wait_reason(JOB, unserved, NOW, phase=Phase.STANDBY.value)
    assert wait is not None
    assert "standby" in wait.sentence


def test_what_a_person_has_to_do_is_said() -> None:
    """A pause and a missing account have a remedy; a pause holds back the cancellation of a remote job, too."""
    paused, unknown = LaneReport(LaneCondition.PAUSED, "HTTP 401"), LaneReport(LaneCondition.UNKNOWN)
    for hold, words in ((paused, "accounts resume shop"), (unknown, "[accounts.shop]")):
        wait = wait_reason(JOB, hold, NOW)
        assert wait is not None
        assert words in str(wait.remedy)
    wait = wait_reason(replace(JOB, state=State.CANCELLING), paused, NOW)
    assert wait is not None
    assert wait.blocked
    assert "accounts resume shop" in str(wait.remedy)


def test_due_jobs_are_counted_as_far_as_somebody_wants_to_know() -> None:
    """Beyond that it is enough that there are more."""
    assert LANE.due_text == "2"
    assert replace(LANE, due=MOST_DUE + 1).due_text == "over 10,000"
