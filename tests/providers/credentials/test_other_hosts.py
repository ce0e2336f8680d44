"""Replies of other hosts that a provider leads to say nothing about the account or the remote job."""

import pytest

from tests.support.spec_samples import HEAD, POLL, SUBMIT, job_with, operation_of
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.outcome import Outcome

OWN = "https://api.example.com"
OTHER = "https://files.example.net"
SPEC = (
    HEAD
    + SUBMIT
    + POLL
    + """
[operations.report.results.resolve]
url = "/files/${handle}"
link = "url"

[operations.report.cancel]
method = "GET"
url = "/jobs/${handle}/stop"

[operations.report.cleanup]
method = "GET"
url = "/jobs/${handle}/drop"
"""
)
RULED = SPEC.replace(
    "[operations.report.results.resolve]",
    """[operations.report.results]
rules = [{ status = 402, then = "throttled" }, { status = 407, then = "unauthorized" }]

[operations.report.results.resolve]""",
)


def read(step: str, reply: WireReply, spec: str = SPEC) -> Outcome:
    """What a step's reply means."""
    operation = operation_of(spec, {"server": OWN})
    outcome: Outcome = getattr(operation, f"read_{step}")(job_with("h-1"), reply, 0.0)
    return outcome


@pytest.mark.parametrize(
    ("step", "status"),
    [
        *[("poll", status) for status in (401, 403, 404, 410, 429, 503)],
        *[("cancel", status) for status in (401, 403, 429, 503)],
        *[("clean", status) for status in (401, 403, 429, 503)],
    ],
)
def test_another_host_neither_closes_the_account_nor_loses_the_remote_job(step: str, status: int) -> None:
    """The same step is tried again; the same reply of the provider itself would mean more."""
    reply = WireReply(status, {"retry-after": "7"}, b"no", f"{OTHER}/x")
    outcome = read(step, reply)
    assert isinstance(outcome, o.Retry)
    own = read(step, WireReply(status, {"retry-after": "7"}, b"no", f"{OWN}/x"))
    assert not isinstance(own, o.Retry)


@pytest.mark.parametrize("status", [401, 429, 503])
def test_another_host_does_not_close_the_account_when_a_link_is_asked_for(status: int) -> None:
    """The same, for the request that names the file."""
    assert isinstance(read("resolve", WireReply(status, {}, b"no", f"{OTHER}/x")), o.Retry)


@pytest.mark.parametrize("status", [402, 407])
def test_a_rule_that_closes_the_account_is_for_the_provider_itself(status: int) -> None:
    """Rules are written for the provider's replies; another host has statuses of its own."""
    assert isinstance(read("resolve", WireReply(status, {}, b"no", f"{OTHER}/x"), RULED), o.Retry)
    assert isinstance(read("resolve", WireReply(status, {}, b"no", f"{OWN}/x"), RULED), o.Throttled | o.Unauthorized)


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_a_submit_that_was_led_to_another_host(status: int) -> None:
    """Only a GET is led on, and it only asks: nothing was submitted."""
    reply = WireReply(status, {"retry-after": "7"}, b"no", f"{OTHER}/x")
    assert isinstance(read("submit", reply), o.Unsent)


def test_a_store_that_has_no_time_is_no_refusal() -> None:
    """S3 says with 400 that the request took too long."""
    body = b"<Error><Code>RequestTimeout</Code></Error>"
    assert isinstance(read("poll", WireReply(400, {}, body, f"{OTHER}/x")), o.Retry)


def test_the_host_of_a_handle_knows_its_remote_jobs() -> None:
    """Where the handle is a URL on another host, that host says whether the remote job is there; no other one does."""
    operation, job = operation_of(SPEC, {"server": OWN}), job_with(f"{OTHER}/jobs/1")
    assert isinstance(operation.read_poll(job, WireReply(404, {}, b"no", f"{OTHER}/jobs/1"), 0.0), o.Gone)
    assert isinstance(operation.read_poll(job, WireReply(404, {}, b"no", "https://cdn.example.org/x"), 0.0), o.Retry)
