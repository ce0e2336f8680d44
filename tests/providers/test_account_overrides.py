"""The catalogue's own timeouts, and what accounts may set instead."""

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.spec_samples import NOW, WHOLE, faults_of, job_with, operation_of, provider_of, reply_of
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.providers.errors import SettingsError
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.provider_registry import Registry
from tidewaiter.providers.spec.account_overrides import ScheduleOverride

CATALOGUE = Registry.load()
RECIPES = Path(__file__).parent / "recipes"
POLLED = [
    (name, operation)
    for name in CATALOGUE.names()
    for operation, spec in CATALOGUE.get(name).spec.operations.items()
    if spec.poll
]


@pytest.mark.parametrize(("name", "operation"), POLLED)
def test_every_operation_that_is_polled_has_a_stall_limit(name: str, operation: str) -> None:
    """No remote job that never moves is polled until its deadline; the limit comes with a reason in the file."""
    provider: Provider = CATALOGUE.get(name)
    spec = provider.spec.operations[operation]
    stall_s = spec.schedule.stall_s
    assert stall_s is not None
    called_s = spec.callback.cap_s if spec.callback else 0.0
    assert 2 * max(spec.schedule.cap_s, called_s) < stall_s < spec.schedule.deadline_s
    lines = CATALOGUE.source(name).splitlines()
    (number, *_) = [number for number, line in enumerate(lines) if "stall_s" in line]
    assert lines[number - 1].startswith("#")


SCHEDULE = """
[operations.report.schedule]
interval_s = 20
cap_s = 60
stall_s = 600
links_expire_s = 100
retry_after_floor_s = 2
retry_after_cap_s = 50
most_unknown = 3
"""


def test_a_spec_and_an_account_set_the_limits() -> None:
    """What the account leaves out is the spec's."""
    spec = provider_of(WHOLE + SCHEDULE)
    own = spec.bind("shop", {}).operations["report"].policy
    assert (own.stall_s, own.links_expire_s, own.most_unknown) == (600.0, 100.0, 3)
    assert (own.retry_after_floor_s, own.retry_after_cap_s) == (2.0, 50.0)
    override = ScheduleOverride(
        stall_s=900.0, links_expire_s=200.0, retry_after_floor_s=5.0, retry_after_cap_s=10.0, most_unknown=1
    )
    policy = spec.bind("shop", {}, schedule=override).operations["report"].policy
    assert (policy.stall_s, policy.links_expire_s, policy.most_unknown) == (900.0, 200.0, 1)
    assert (policy.retry_after_floor_s, policy.retry_after_cap_s) == (5.0, 10.0)
    raised = spec.bind("shop", {}, schedule=ScheduleOverride(retry_after_floor_s=70.0)).operations["report"].policy
    assert (raised.retry_after_floor_s, raised.retry_after_cap_s) == (70.0, 70.0)


def test_an_account_that_polls_rarely_does_not_stall_between_two_polls() -> None:
    """The spec's limit grows with the account's interval; the account's own is refused where it is too small."""
    spec = provider_of(WHOLE + SCHEDULE)
    rare = spec.bind("shop", {}, schedule=ScheduleOverride(interval_s=3600.0)).operations["report"].policy
    assert rare.stall_s == 7200.0
    assert spec.bind("shop", {}, schedule=ScheduleOverride(cap_s=30.0)).operations["report"].policy.stall_s == 600.0
    assert provider_of().bind("shop", {}).operations["report"].policy.stall_s == math.inf
    with pytest.raises(SettingsError, match=r"schedule.stall_s: 60 is not more than 60, the longest interval"):
        spec.bind("shop", {}, schedule=ScheduleOverride(stall_s=60.0))


def test_an_account_sets_how_often_a_job_is_submitted_again() -> None:
    """And after how long; a wait that is longer than the spec's cap needs no cap of its own."""
    spec = provider_of((RECIPES / "submit-again.toml").read_text())
    own = spec.bind("shop", {}).operations["query"].policy
    assert (own.most_agains, own.again) == (3, Backoff(600.0, 2.0, 3600.0, jitter=0.0))
    override = ScheduleOverride(again_times=0, again_wait_s=7200.0, again_factor=1.0)
    policy = spec.bind("shop", {}, schedule=override).operations["query"].policy
    assert (policy.most_agains, policy.again) == (0, Backoff(7200.0, 1.0, 7200.0, jitter=0.0))
    shorter = spec.bind("shop", {}, schedule=ScheduleOverride(again_cap_s=60.0)).operations["query"].policy
    assert shorter.again == Backoff(60.0, 2.0, 60.0, jitter=0.0)
    with pytest.raises(ValidationError, match="again_cap_s must not be below again_wait_s"):
        ScheduleOverride(again_wait_s=60.0, again_cap_s=30.0)


def test_an_account_sets_the_age_of_reused_remote_jobs() -> None:
    """Or none at all."""
    spec = provider_of((RECIPES / "reuse.toml").read_text())
    queued = job_with(None).but(operation="report", params={"table": "visits"})
    ages = {}
    for within_s in (None, 60.0, 0.0):
        bound = spec.bind("shop", {}, schedule=ScheduleOverride(reuse_within_s=within_s)).operations["report"]
        search = bound.reuse(queued, NOW)
        ages[within_s] = None if search is None else search.reuse.within_s
    with pytest.raises(ValidationError, match="reuse_within_s"):
        ScheduleOverride(reuse_within_s=1e9)
    assert ages == {None: 14_400.0, 60.0: 60.0, 0.0: None}


def test_bad_limits_are_faults() -> None:
    """Each with its key."""
    (fault,) = faults_of(WHOLE + SCHEDULE.replace("cap_s = 50", "cap_s = 1"))
    assert "operations.report.schedule" in fault
    assert "retry_after_cap_s is less than retry_after_floor_s" in fault
    (fault,) = faults_of(WHOLE + SCHEDULE.replace("most_unknown = 3", "most_unknown = 0"))
    assert "operations.report.schedule.most_unknown" in fault
    (fault,) = faults_of(WHOLE.replace("[operations.report.poll]", "[operations.report.poll]\nretry_after = {}"))
    assert "operations.report.poll.retry_after" in fault


@pytest.mark.parametrize(
    ("text", "headers", "wait"),
    [
        ("{ exact = true }", {"retry-after": "5"}, (5.0, True)),
        ("{ exact = true }", {}, (None, False)),
        ('"again_s"', {"retry-after": "5"}, (7.0, False)),
        ('{ json = "again_s", exact = true }', {"retry-after": "5"}, (7.0, True)),
        ('{ json = "missing", exact = true }', {"retry-after": "5"}, (5.0, False)),
        ('[{ json = "missing" }, { json = "again_s", exact = true }]', {}, (7.0, True)),
        ('["missing", { exact = true }]', {"retry-after": "5"}, (5.0, True)),
        ('{ header = "X-Again" }', {"x-again": "6.5"}, (7.0, False)),
    ],
)
def test_what_is_exact(text: str, headers: dict[str, str], wait: tuple[float | None, bool]) -> None:
    """Each value that the spec names, and the header Retry-After, by themselves."""
    rest = f"retry_after = {text}\n"
    operation = operation_of(WHOLE.replace("[operations.report.poll]\n", f"[operations.report.poll]\n{rest}"))
    reply = reply_of(
        200, {"status": "pending", "again_s": 7}, **{name.replace("-", "_"): v for name, v in headers.items()}
    )
    seen = operation.read_poll(job_with("9"), reply, NOW)
    assert (getattr(seen, "retry_after_s", 0), getattr(seen, "exact", 0)) == wait


def test_the_submits_reply_is_as_exact_as_the_polls() -> None:
    """The first poll of such an API comes exactly when it says."""
    text = WHOLE.replace("[operations.report.poll]", "[operations.report.poll]\nretry_after = { exact = true }")
    accepted = operation_of(text).read_submit(job_with(None), reply_of(202, {"id": 9}, retry_after="5"), NOW)
    assert (getattr(accepted, "retry_after_s", 0), getattr(accepted, "exact", 0)) == (5.0, True)
