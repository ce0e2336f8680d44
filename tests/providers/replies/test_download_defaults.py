"""The default meaning of each status and effect when a file is downloaded, and when a remote job is ended."""

import pytest

from tests.support.spec_samples import BASE, NOW, WHOLE, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.domain.outcome import (
    Cancelled,
    Cleaned,
    LinksExpired,
    NotYet,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
)

ENDS = """
[operations.report.cancel]
url = "/c/${handle}"
done = [409]
[operations.report.cleanup]
url = "/d/${handle}"
"""
EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
FOREIGN = "https://files.example.org/x?Signature=abc"


@pytest.mark.parametrize(
    ("link", "reply", "outcome"),
    [
        (Link(FOREIGN), reply_of(200), None),
        (Link(FOREIGN), reply_of(206), None),
        *[(Link(FOREIGN), reply_of(status), None) for status in (203, 299)],
        *[(Link(FOREIGN), reply_of(202, b"", retry_after="5"), NotYet)],
        *[(Link(FOREIGN), reply_of(status, b"body"), Retry) for status in (201, 204, 205, 207, 208, 226)],
        (Link(FOREIGN), reply_of(403, EXPIRED), LinksExpired),
        (Link(FOREIGN), reply_of(403), LinksExpired),
        (Link(FOREIGN), reply_of(404), LinksExpired),
        (Link(FOREIGN), reply_of(410), LinksExpired),
        (Link(FOREIGN), reply_of(400, b"<Error><Code>ExpiredToken</Code></Error>"), LinksExpired),
        (Link(FOREIGN), reply_of(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"), LinksExpired),
        (Link(FOREIGN), reply_of(400), Refused),
        (Link(FOREIGN), reply_of(401), Refused),
        (Link(FOREIGN), reply_of(408), Retry),
        (Link(FOREIGN), reply_of(412), Retry),
        (Link(FOREIGN), reply_of(416), Retry),
        (Link(FOREIGN), reply_of(429), Retry),
        (Link(FOREIGN), reply_of(500), Retry),
        (Link(FOREIGN), reply_of(503), Retry),
        (Link(FOREIGN), reply_of(304), Retry),
        (Link(f"{BASE}/f"), reply_of(200), None),
        (Link(f"{BASE}/f"), reply_of(401), Unauthorized),
        (Link(f"{BASE}/f"), reply_of(403), Unauthorized),
        (Link(f"{BASE}/f"), reply_of(404), LinksExpired),
        (Link(f"{BASE}/f"), reply_of(410), LinksExpired),
        (Link(f"{BASE}/f"), reply_of(429), Throttled),
        (Link(f"{BASE}/f"), reply_of(503), Throttled),
        (Link(f"{BASE}/f"), reply_of(500), Retry),
        (Link(f"{BASE}/f"), reply_of(416), Retry),
        (Link(f"{BASE}/f"), reply_of(400), Refused),
        (Link(f"{BASE}/f", send_auth=False), reply_of(403), LinksExpired),
        (Link(f"{BASE}/f", send_auth=False), reply_of(401), Refused),
        (Link(f"{BASE}/f", send_auth=False), reply_of(503), Throttled),
        (Link(f"{BASE}/f"), reply_of(403, EXPIRED), LinksExpired),
        (Link(f"{BASE}/f"), reply_of(403, b"", FOREIGN), LinksExpired),
        (Link(f"{BASE}/f"), reply_of(503, b"", FOREIGN), Retry),
        (Link(f"{BASE}/f"), reply_of(429, b"", FOREIGN), Retry),
        (Link("https://API.example.com:443/f"), reply_of(429), Throttled),
        (Link("http://api.example.com/f"), reply_of(429), Retry),
    ],
)
def test_every_reply_to_a_download(link: Link, reply: WireReply, outcome: type | None) -> None:
    """A file host never pauses the account, wherever a redirect led; a link that is not served is asked for afresh."""
    result = operation_of().read_file(job_with(), link, reply, NOW)
    assert result is None if outcome is None else isinstance(result, outcome)


def test_a_spec_can_know_its_file_host_better() -> None:
    """Rules of the results come first; a retry keeps the host's Retry-After."""
    rules = """
rules = [
    { status = 400, text = "token too old", then = "expired" },
    { status = 409, then = "retry" },
    { header = { name = "Content-Type", regex = "text/html" }, then = "refused" },
]
"""
    operation = operation_of(WHOLE + rules)
    link = Link(FOREIGN)
    assert isinstance(operation.read_file(job_with(), link, reply_of(400, b"token too old"), NOW), LinksExpired)
    assert isinstance(operation.read_file(job_with(), link, reply_of(400, b"no"), NOW), Refused)
    assert operation.read_file(job_with(), link, reply_of(409, b"", retry_after="3"), NOW) == Retry("HTTP 409", 3.0)
    assert isinstance(operation.read_file(job_with(), link, reply_of(200, b"", content_type="text/html"), NOW), Refused)


@pytest.mark.parametrize(
    ("status", "cancelled", "cleaned"),
    [
        (200, Cancelled, Cleaned),
        (202, Cancelled, Cleaned),
        (204, Cancelled, Cleaned),
        (404, Cancelled, Cleaned),
        (410, Cancelled, Cleaned),
        (409, Cancelled, Refused),
        (400, Refused, Refused),
        (401, Unauthorized, Unauthorized),
        (403, Unauthorized, Unauthorized),
        (408, Retry, Retry),
        (429, Throttled, Throttled),
        (500, Retry, Retry),
        (503, Throttled, Throttled),
        (302, Retry, Retry),
    ],
)
def test_every_reply_to_an_end(status: int, cancelled: type, cleaned: type) -> None:
    """What is no longer there is done; the spec may add codes, for each of the two."""
    operation = operation_of(WHOLE + ENDS)
    assert isinstance(operation.read_cancel(job_with(), reply_of(status), NOW), cancelled)
    assert isinstance(operation.read_clean(job_with(), reply_of(status), NOW), cleaned)


def test_there_is_nothing_to_end_without_a_request_or_a_remote_job() -> None:
    """The worker is told by None."""
    whole, plain = operation_of(WHOLE + ENDS), operation_of()
    cancel, clean = whole.cancel(job_with("a/b")), whole.clean(job_with("a/b"))
    assert cancel is not None
    assert clean is not None
    assert (cancel.method, cancel.url) == ("DELETE", f"{BASE}/c/a%2Fb")
    assert (clean.method, clean.url) == ("DELETE", f"{BASE}/d/a%2Fb")
    assert whole.cancel(job_with(None)) is None
    assert whole.clean(job_with(None)) is None
    assert plain.cancel(job_with()) is None
    assert plain.clean(job_with()) is None
