"""Header fields that a reply names for the request of a file: what is taken, and what is a fault."""

import pytest

from tests.support.spec_samples import HEAD, NOW, POLL, SUBMIT, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Json, Link
from tidewaiter.domain.outcome import Ready, Unmapped

TOKEN = "a-long-secret-of-the-host"
SPEC = (
    HEAD
    + SUBMIT
    + POLL
    + '[operations.report.results]\nheaders = { X-Spec = "ours" }\n'
    + '[operations.report.results.files]\neach = "files"\nheaders = "with"\n'
)


def _read(named: Json) -> object:
    file = {"url": "https://files.example.net/a", "with": named}
    return operation_of(SPEC).read_poll(job_with(), reply_of(200, {"status": "done", "files": [file]}), NOW)


def test_what_the_link_has() -> None:
    """Texts and numbers, stored with the link; what a download sets itself is left out: a signature names Host, too."""
    named: Json = {
        "X-Token": TOKEN,
        "x-version": 3,
        "Host": "evil",
        "Range": "bytes=1-",
        "Cookie": "a=b",
        "X-None": None,
    }
    read = _read(named)
    assert isinstance(read, Ready)
    (link,) = read.links
    assert link.named_headers == (("X-Token", TOKEN), ("x-version", "3"))
    assert Link.from_json(link.to_json()) == link
    assert TOKEN not in repr(link)
    assert TOKEN not in repr(link.request({}))
    plain = _read(None)
    assert isinstance(plain, Ready)
    assert plain.links[0].named_headers == ()


@pytest.mark.parametrize(
    ("named", "fault"),
    [
        ({"X-Token": f"{TOKEN}\r\nX-Other: 1"}, "a header field that cannot be sent"),
        ({"X-Token: 1\r\nX": TOKEN}, "a header field that cannot be sent"),
        ({"X-Token": [TOKEN]}, "a header field that cannot be sent"),
        ({"X-Token": TOKEN, "x-token": TOKEN}, "a header field that is named twice"),
        ([{"name": "X-Token", "value": TOKEN}], "header fields that are no object"),
        ({f"X-{number}": TOKEN for number in range(33)}, "more than 32 header fields"),
        ({"X-Token": "x" * 9000}, "more than 8192 characters"),
    ],
)
def test_what_cannot_be_sent(named: Json, fault: str) -> None:
    """A fault of the reply, in a sentence without the values."""
    read = _read(named)
    assert isinstance(read, Unmapped)
    assert f"a file is listed with {fault}" in read.excerpt
    assert "x" * 40 not in read.excerpt
    assert TOKEN not in read.excerpt
