"""Symplify as its documentation and recorded traffic have it, quirks included."""

import json

import pytest

from tests.providers.newsletter import SETTINGS
from tests.support.spec_samples import NOW, built_in, job_with, reply_of
from tidewaiter.domain.http_values import Json, Link, WireReply
from tidewaiter.domain.outcome import (
    Accepted,
    Gone,
    LinksExpired,
    Pending,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
)
from tidewaiter.providers.bound_operation import BoundOperation

REST = "https://eu-proxy-1.symplifymail.com/rest/5004"
SIGNED = (
    "https://carma-filetransfer.s3-eu-west-1.example.com/result/5004/3232465_result.json"
    "?Expires=1403187484&AWSAccessKeyId=MADEUP&Signature=FWZp8noVyxcOflH27k2W7MuNcmM%3D"
)
# The documentation's reply, blanks included.
DOCUMENTED = {
    "id": 101111,
    "type": " STAT_EXPORT",
    "customerId": 0,
    "startTime": 1394636797030,
    "endTime": 1394636799710,
    "affected": 500,
    "processed": 500,
    "total": 501,
    "status": " FINISHED",
}


def _operation(**settings: Json) -> BoundOperation:
    return built_in("symplify", {**SETTINGS, **settings}, "statistics")


def test_the_submit_that_the_documentation_shows() -> None:
    """Method, URL, headers and body; no credentials, for the transport adds them, and to their origin only."""
    operation = _operation()
    params = operation.check_params({"export_type": "OPENED", "period": "LAST_2_WEEKS"})
    request = operation.submit(job_with(None, params))
    assert (request.method, request.url, request.fresh) == ("POST", f"{REST}/batches/exports/statistics", True)
    assert dict(request.headers) == {"content-type": "application/json", "Accept": "application/json"}
    assert json.loads(request.body or b"") == {"exportType": "OPENED", "period": "LAST_2_WEEKS"}
    assert "t-canary" not in repr(request)


@pytest.mark.parametrize("body", [{"batchId": "101111"}, {"batchId": 101111}, {"BatchId ": 101111}])
def test_the_batch_may_be_text_or_number(body: object) -> None:
    """Its documentation shows it as text in one reply and as a number in another."""
    assert _operation().read_submit(job_with(None), reply_of(200, body), NOW) == Accepted("101111")


def test_a_submit_whose_outcome_is_in_doubt() -> None:
    """Unknown, and the policy says that repeating does no harm."""
    operation = _operation()
    assert operation.policy.repeatable
    for reply in (reply_of(200, {"batch": 1}), reply_of(500, {"error": "x"}), reply_of(200, b"<html></html>")):
        assert isinstance(operation.read_submit(job_with(None), reply, NOW), Unknown)


def test_a_submit_that_is_refused() -> None:
    """With the provider's own words, also where they come in a 200."""
    operation, words = _operation(), {"error": "Unknown exportType"}
    assert operation.read_submit(job_with(None), reply_of(400, words), NOW) == Refused("HTTP 400: Unknown exportType")
    assert operation.read_submit(job_with(None), reply_of(200, words), NOW) == Refused("HTTP 200: Unknown exportType")
    both = {**words, "batchId": 5}
    assert operation.read_submit(job_with(None), reply_of(200, both), NOW) == Accepted("5")


def test_the_status_request() -> None:
    """By the number of the batch, asking for JSON."""
    request = _operation().poll(job_with("101111"))
    assert (request.method, request.url) == ("GET", f"{REST}/batches/101111")
    assert dict(request.headers) == {"Accept": "application/json"}


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"status": " PENDING", "processed": 0}, Pending("PENDING", "0/501")),
        ({"status": "IN_PROGRESS "}, Pending("IN_PROGRESS", "500/501")),
        ({"status": "in_progress"}, Pending("in_progress", "500/501")),
        ({}, Ready((), "FINISHED")),
        ({"status": "ERROR", "error": "disk"}, Refused("the provider says ERROR: disk")),
        ({"status": "ERROR"}, Refused("the provider says ERROR")),
        ({"Status": "FINISHED", "status": "FINISHED"}, Ready((), "FINISHED")),
    ],
)
def test_every_status(change: dict[str, object], outcome: object) -> None:
    """Only the status decides: 500 of 501 may be all that there ever is."""
    assert _operation().read_poll(job_with(), reply_of(200, {**DOCUMENTED, **change}), NOW) == outcome


def test_replies_that_are_no_status() -> None:
    """An unknown word is loud, a broken reply is asked for again, trouble is passing, a missing batch is gone."""
    operation = _operation()

    def read(reply: WireReply) -> object:
        return operation.read_poll(job_with(), reply, NOW)

    unmapped = read(reply_of(200, {"status": "PENDING|IN_PROGRESS|FINISHED"}))
    assert isinstance(unmapped, Unmapped)
    assert "'PENDING|IN_PROGRESS|FINISHED'" in unmapped.excerpt
    assert isinstance(read(reply_of(200, b'{"status": "FIN')), Retry)
    assert isinstance(read(reply_of(200, b"<html>login</html>")), Retry)
    assert read(reply_of(429, {"error": "Too many requests"})) == Throttled("HTTP 429: Too many requests")
    assert isinstance(read(reply_of(401, {"error": "who"})), Unauthorized)
    assert isinstance(read(reply_of(404)), Gone)


def test_the_url_of_the_file() -> None:
    """Asked for as plain text, taken byte for byte, fetched without our credentials."""
    operation = _operation()
    job = job_with("101111", operation.check_params({"export_type": "OPENS", "period": "LAST_DAY"}))
    request = operation.resolve(job)
    assert request is not None
    assert request.url == f"{REST}/batches/101111/result/url"
    assert dict(request.headers) == {"Accept": "text/plain"}
    for body in (SIGNED, f" {SIGNED}\r\n", f'"{SIGNED}"\n'):
        links = operation.read_resolve(job, reply_of(200, body.encode(), request.url), NOW)
        assert links == (Link(SIGNED, "OPENS_LAST_DAY", send_auth=False),)


@pytest.mark.parametrize(
    "body", [b"", b"<html>https://x.example.com/</html>", b"not ready", SIGNED.encode() * 2 + b" x"]
)
def test_what_is_no_url_is_asked_for_again(body: bytes) -> None:
    """The whole reply must be the URL; a page that holds one is not."""
    assert isinstance(_operation().read_resolve(job_with(), reply_of(200, body), NOW), Retry)


def test_the_redirect_to_the_file() -> None:
    """The other form: our own origin, with credentials, and a redirect that the transport follows without them."""
    operation = _operation(result="redirect")
    job = job_with("101111", operation.check_params({"export_type": "SENT", "period": "TODAY"}))
    assert operation.resolve(job) is None
    (link,) = operation.links(job)
    assert link == Link(f"{REST}/batches/101111/result", "SENT_TODAY", send_auth=True)
    expired = reply_of(403, b"<Error><Message>Request has expired</Message></Error>", SIGNED)
    assert isinstance(operation.read_file(job, link, expired, NOW), LinksExpired)
    assert isinstance(operation.read_file(job, link, reply_of(403), NOW), Unauthorized)
    assert operation.read_file(job, link, reply_of(200, b"", SIGNED), NOW) is None


def test_an_expired_signature_asks_for_a_fresh_url() -> None:
    """S3 says so in XML, with a 403, and the reason that reaches the history has no signature in it."""
    body = f"<Error><Code>AccessDenied</Code><Message>Request has expired</Message><U>{SIGNED}</U></Error>".encode()
    told = _operation().read_file(job_with(), Link(SIGNED, send_auth=False), reply_of(403, body, SIGNED), NOW)
    assert isinstance(told, LinksExpired)
    assert "Request has expired" in told.reason
    assert "FWZp8noVyxc" not in told.reason


def test_it_is_asked_less_than_once_a_minute() -> None:
    """Some installations answer 429 to more, and jitter only ever takes away from an interval."""
    policy = _operation().policy
    assert policy.first_delay_s == 10
    assert policy.poll.base_s * (1 - policy.poll.jitter) >= 60


def test_nothing_can_be_cancelled_or_deleted() -> None:
    """The API documents no request for either."""
    operation = _operation()
    assert not operation.policy.cancels
    assert not operation.policy.cleans
    assert operation.cancel(job_with()) is None
    assert operation.clean(job_with()) is None
