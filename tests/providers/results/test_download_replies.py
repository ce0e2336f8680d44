"""The download plan: one right decision for each response head; parts that do not fit are never joined."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.results.reply_heads import LARGEST, Fields, head_of, part
from tests.support.effort import examples
from tidewaiter.domain.outcome import LinksExpired, NotYet, Refused, Retry
from tidewaiter.providers.results.download_replies import (
    AskAgain,
    Complete,
    Decision,
    DownloadRequest,
    FileBody,
    FileHead,
    after,
    decide,
    strong_etag,
)

ETAG = '"v1"'
REST = DownloadRequest(100, ETAG, 200)
REST_OF_UNKNOWN = DownloadRequest(100, ETAG)
WHOLE = DownloadRequest()
ANEW = DownloadRequest(restarted=True)
GOES_ON = FileBody(100, 100, 200, (), ETAG)


def decided(asked: DownloadRequest, head: FileHead, expected: str | None = None) -> Decision:
    """What is decided where neither a rule nor the status has anything to say."""
    return decide(asked, head, trouble=None, expected=expected, largest_bytes=LARGEST)


@pytest.mark.parametrize(
    ("asked", "head", "decision"),
    [
        (REST, part("bytes 100-199/200"), GOES_ON),
        (REST, part("Bytes 100-199/200", ("ETag", ETAG)), GOES_ON),
        (REST, part("BYTES  100-199/200"), GOES_ON),
        (REST, part(" bytes 100-199/* "), GOES_ON),
        (REST_OF_UNKNOWN, part("bytes 100-199/200"), GOES_ON),
        (REST_OF_UNKNOWN, part("bytes 100-199/*"), replace(GOES_ON, total=None)),
        (REST, part("bytes 100-149/200"), replace(GOES_ON, length=50)),
        (REST, head_of(206, [("Content-Range", "bytes 100-199/200")] * 2), GOES_ON),
        (REST, part("bytes 100-199/200", ("Content-Encoding", "utf-8")), GOES_ON),
        (REST, part("bytes 100-199/200", ("Content-Type", "text/html")), GOES_ON),
        (WHOLE, part("bytes 0-199/200", ("ETag", ETAG)), FileBody(0, 200, 200, (), ETAG)),
        (WHOLE, part("bytes 0-199/200", ("Content-Encoding", "gzip")), FileBody(0, 200, None, ("gzip",))),
        (ANEW, part("bytes 0-199/200"), FileBody(0, 200, 200)),
    ],
)
def test_a_part_that_is_used(asked: DownloadRequest, head: FileHead, decision: Decision) -> None:
    """It starts at our offset, with our validator or none, and the same total or none; or it is the whole file."""
    assert decided(asked, head) == decision


@pytest.mark.parametrize(
    "head",
    [
        part("bytes 0-199/200"),
        part("bytes 50-199/200"),
        part("bytes 101-199/200"),
        part("bytes 150-199/200"),
        part("bytes 100-199/300"),
        part("bytes 100-299/200"),
        part("bytes 199-100/200"),
        part("bytes 100-199"),
        part("bytes=100-199/200"),
        part("bytes 100 - 199 / 200"),
        part("items 100-199/200"),
        part("bytes */200"),
        part(""),
        part("bytes 100-199/200", ("Content-Range", "bytes 0-99/200")),
        part("bytes 100-199/200", ("ETag", '"v2"')),
        part("bytes 100-199/200", ("ETag", 'W/"v1"')),
        part("bytes 100-199/200", ("ETag", "v1")),
        part("bytes 100-199/200", ("ETag", ETAG), ("ETag", '"v2"')),
        part("bytes 100-199/200", ("Content-Encoding", "gzip")),
        part("bytes 100-199/200", ("Content-Encoding", "br")),
        part("bytes 100-199/200", ("Content-Type", "multipart/byteranges; boundary=x")),
        head_of(206, []),
        head_of(206, [("Content-Type", "Multipart/ByteRanges; boundary=x")]),
        head_of(416, []),
        head_of(416, [("Content-Range", "bytes */*")]),
        head_of(416, [("Content-Range", "bytes */99")]),
        head_of(416, [("Content-Range", "bytes */200")]),
        head_of(416, [("Content-Range", "bytes */100"), ("ETag", '"v2"')]),
        head_of(416, [("Content-Range", "bytes */100"), ("Content-Range", "bytes */101")]),
        head_of(412, []),
        head_of(412, [("Content-Range", "bytes */100")]),
        head_of(200, [("Content-Range", "bytes 100-199/200")]),
    ],
)
def test_what_does_not_go_on_is_asked_for_from_the_start(head: FileHead) -> None:
    """Nothing of it is used, and what is held is forgotten: the next request is for the whole file."""
    again = decided(REST, head)
    assert isinstance(again, AskAgain)
    assert again.asked == ANEW
    assert "Range" not in again.asked.headers


@pytest.mark.parametrize("fields", [[], [("Content-Range", "bytes */*")], [("Content-Range", "bytes */101")]])
def test_40_a_416_that_does_not_say_that_all_is_there(fields: list[tuple[str, str]]) -> None:
    """The total is not known, so the bytes that are held may be half of the file, or those of another one."""
    again = decided(REST_OF_UNKNOWN, head_of(416, fields))
    assert isinstance(again, AskAgain)
    assert again.asked == ANEW


@pytest.mark.parametrize(
    ("asked", "head"),
    [
        (REST_OF_UNKNOWN, head_of(416, [("Content-Range", "bytes */100")])),
        (REST_OF_UNKNOWN, head_of(416, [("Content-Range", "Bytes */100"), ("ETag", ETAG)])),
        (DownloadRequest(100, ETAG, 100), head_of(416, [("content-range", "bytes */100")])),
    ],
)
def test_nothing_is_missing(asked: DownloadRequest, head: FileHead) -> None:
    """A 416 that names as many bytes as are held says that these are all."""
    assert decided(asked, head) == Complete()


@pytest.mark.parametrize(
    "head",
    [
        part("bytes 0-99/200"),
        part("bytes 100-199/200"),
        part("bytes 0-99/*"),
        part("bytes 0-200/200"),
        head_of(206, []),
        head_of(206, [("Content-Type", "multipart/byteranges; boundary=x")]),
        part("bytes 0-199/200", ("Content-Type", "multipart/byteranges; boundary=x")),
    ],
)
def test_a_part_that_nobody_asked_for(head: FileHead) -> None:
    """It is never taken for the whole file."""
    assert isinstance(decided(WHOLE, head), Retry)
    assert isinstance(decided(ANEW, head), Retry)


@pytest.mark.fault(63)
@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Range", "bytes 0-99/200")],
        [("Content-Range", "bytes 100-199/200")],
        [("Content-Range", "bytes 0-99/*")],
        [("Content-Range", "bytes=0-99/200")],
        [("Content-Range", "bytes 0 - 99 / 200")],
        [("Content-Range", "bytes: 0-99/200")],
        [("Content-Range", "0-99")],
        [("Content-Range", "items 0-24/319")],
        [("Content-Range", "bytes 0-199/200"), ("Content-Range", "bytes 0-99/200")],
        [("Content-Type", "multipart/byteranges; boundary=x")],
    ],
)
def test_a_200_that_names_a_part(fields: Fields) -> None:
    """It is asked for once more without Range, and then refused."""
    for asked in (WHOLE, REST):
        again = decided(asked, head_of(200, fields))
        assert isinstance(again, AskAgain)
        assert again.asked == ANEW
    assert isinstance(decided(ANEW, head_of(200, fields)), Refused)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([], FileBody()),
        ([("Content-Length", "200"), ("ETag", ETAG)], FileBody(0, 200, 200, (), ETAG)),
        ([("Content-Length", "0")], FileBody(0, 0, 0)),
        ([("Content-Length", "-1")], FileBody()),
        ([("Content-Length", "2"), ("Content-Length", "3")], FileBody()),
        ([("ETag", 'W/"v1"')], FileBody()),
        ([("Content-Range", "bytes 0-199/200")], FileBody(0, 200, 200)),
        ([("Content-Range", "bytes 0-199/200"), ("Content-Length", "100")], FileBody(0, 200, 200)),
        ([("Content-Range", "bytes */200"), ("Content-Length", "100")], FileBody(0, 200, 200)),
        ([("Content-Range", "items 0-318/319")], FileBody()),
        ([("Content-Range", "none")], FileBody()),
        ([("Content-Encoding", "gzip"), ("Content-Length", "90"), ("ETag", ETAG)], FileBody(0, 90, None, ("gzip",))),
        ([("Content-Encoding", "deflate, X-GZIP")], FileBody(0, None, None, ("deflate", "gzip"))),
        ([("Content-Encoding", "deflate"), ("Content-Encoding", "gzip")], FileBody(0, None, None, ("deflate", "gzip"))),
        ([("Content-Encoding", "aws-chunked"), ("ETag", ETAG)], FileBody(validator=ETAG)),
    ],
)
@pytest.mark.parametrize("status", [200, 203, 299])
@pytest.mark.parametrize("asked", [WHOLE, REST, ANEW])
def test_a_whole_file(asked: DownloadRequest, status: int, fields: Fields, body: FileBody) -> None:
    """It takes the place of all that is held, whatever was asked for; what is coded cannot be gone on with later."""
    assert decided(asked, head_of(status, fields)) == body


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "compress", "x-nobody-knows"])
def test_a_coding_that_cannot_be_undone(coding: str) -> None:
    """It is asked for again without it, never landed."""
    again = decided(REST, head_of(200, [("Content-Encoding", coding)]))
    assert isinstance(again, AskAgain)
    assert again.asked.headers == {"Accept-Encoding": "identity;q=1, *;q=0"}
    decision = decided(again.asked, head_of(200, [("Content-Encoding", coding)]))
    assert isinstance(decision, Retry)
    assert coding.rpartition(" ")[2] in decision.reason


def test_html_is_not_the_file() -> None:
    """At the beginning of a file, whatever the status; amid a file any bytes may stand."""
    page = b"<!-- portal --><html><body>Sign in"
    assert isinstance(decided(WHOLE, head_of(200, [], page)), Retry)
    assert isinstance(decided(WHOLE, replace(part("bytes 0-33/34"), first=page)), Retry)
    assert isinstance(decided(WHOLE, head_of(200, [], page), "text/html"), FileBody)
    assert decided(REST, replace(part("bytes 100-199/200"), first=page)) == GOES_ON
    assert isinstance(decided(WHOLE, head_of(200, [("Content-Type", "text/html")])), FileBody)


@pytest.mark.parametrize(
    ("asked", "head"),
    [
        (WHOLE, head_of(200, [("Content-Length", "1000001")])),
        (WHOLE, part("bytes 0-1000000/1000001")),
        (REST_OF_UNKNOWN, part("bytes 100-199/1000001")),
    ],
)
def test_a_file_that_is_announced_as_too_large(asked: DownloadRequest, head: FileHead) -> None:
    """It is refused before any of it is read."""
    assert isinstance(decided(asked, head), Refused)


@pytest.mark.parametrize("status", [400, 405, 501])
def test_a_refusal_may_be_of_the_range_alone(status: int) -> None:
    """A server without ranges may serve the whole file; only then the refusal counts."""
    refusal = Refused("no")
    again = decide(REST, head_of(status, []), trouble=refusal, expected=None, largest_bytes=LARGEST)
    assert isinstance(again, AskAgain)
    assert again.asked == ANEW
    assert decide(again.asked, head_of(status, []), trouble=refusal, expected=None, largest_bytes=LARGEST) == refusal


@pytest.mark.parametrize("trouble", [NotYet("wait", 5.0), LinksExpired("old"), Retry("later")])
def test_rules_and_status_come_first(trouble: NotYet | LinksExpired | Retry) -> None:
    """Except where a range was refused: then the file is asked for from the start."""
    for status in (200, 206, 404, 503):
        decision = decide(REST, head_of(status, []), trouble=trouble, expected=None, largest_bytes=LARGEST)
        assert decision == trouble
    assert decide(WHOLE, head_of(416, []), trouble=trouble, expected=None, largest_bytes=LARGEST) == trouble
    assert isinstance(decide(REST, head_of(416, []), trouble=trouble, expected=None, largest_bytes=LARGEST), AskAgain)


@pytest.mark.parametrize(
    ("body", "received", "then"),
    [
        (FileBody(), 5, Complete()),
        (FileBody(0, 200, 200), 200, Complete()),
        (FileBody(0, 0, 0), 0, Complete()),
        (GOES_ON, 100, Complete()),
        (replace(GOES_ON, length=50), 50, AskAgain),
        (replace(GOES_ON, total=None), 100, AskAgain),
        (FileBody(0, 200, 200), 199, Retry),
        (FileBody(0, 200, 200), 201, Retry),
        (GOES_ON, 0, Retry),
    ],
)
def test_after_a_body(body: FileBody, received: int, then: object) -> None:
    """A part that ends early leads to the next; whether one of unknown total does is asked for."""
    result = after(REST, body, received)
    assert result == then if isinstance(then, Complete) else isinstance(result, then)  # type: ignore[arg-type]
    if isinstance(result, AskAgain):
        assert result.asked.headers["Range"] == f"bytes={100 + received}-"
        assert result.asked.headers["If-Range"] == ETAG


@settings(max_examples=examples(300))
@given(
    asked=st.builds(
        DownloadRequest,
        st.integers(0, 10**20),
        st.one_of(st.none(), st.text()),
        st.one_of(st.none(), st.integers(0, 10**20)),
        st.booleans(),
        st.booleans(),
    ),
    status=st.integers(100, 999),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["ETag", "Content-Range", "Content-Length", "Content-Encoding", "Content-Type"]),
            st.one_of(
                st.text(),
                st.from_regex(r"bytes [0-9]{0,20}-[0-9]{0,20}/([0-9]{0,20}|\*)", fullmatch=True),
                st.sampled_from(["gzip", "br", ETAG, "10", "text/xml", "multipart/byteranges"]),
            ),
        ),
        max_size=6,
    ),
    first=st.binary(max_size=40),
)
def test_it_is_total(asked: DownloadRequest, status: int, fields: Fields, first: bytes) -> None:
    """Nothing that a server sends raises."""
    head = head_of(status, fields, first)
    decision = decided(asked, head)
    if isinstance(decision, FileBody):
        assert decision.at in (0, asked.at)
        after(asked, decision, len(first))
    strong_etag(head.headers)
