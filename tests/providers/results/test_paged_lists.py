"""Paged lists: the request for each page, its items, and the end of the list."""

from typing import Any

import pytest

from tests.providers.paged_spec import PAGES, reader_of
from tests.support.spec_samples import BASE, HEAD, NOW, POLL, SUBMIT, job_with, operation_of, provider_of, reply_of
from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.outcome import LinksExpired, NotYet, Refused, Retry, Throttled, Unauthorized
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition

CURSOR = PAGES.replace("size = 2\n", 'next = "data.next"\nlast_values = ["null"]\n').replace(
    's = "${page.size}"', 'c = "${page.next}"'
)

BY_URL = CURSOR.replace('next = "data.next"\nlast_values = ["null"]', 'next_url = "data.next"').replace(
    ', c = "${page.next}"', ""
)


def read(text: str, page: PagePosition, body: object, status: int = 200, **headers: str) -> object:
    """What a page comes to."""
    reply = reply_of(status, body, f"{BASE}/list", **headers)
    return reader_of(text).read(job_with(None), page, reply, NOW)


def items(*values: object, **more: object) -> dict[str, Any]:
    """A page's document."""
    return {"data": {"items": list(values), **more}}


def test_the_request_of_a_page() -> None:
    """Numbers begin at 1, offsets at 0; the first page has no cursor."""
    reader = reader_of(PAGES)
    assert reader.request(job_with(None), PagePosition()).url == f"{BASE}/list?n=1&o=0&s=2"
    assert reader.request(job_with(None), PagePosition(3, 5)).url == f"{BASE}/list?n=3&o=5&s=2"
    cursor = reader_of(CURSOR)
    assert cursor.request(job_with(None), PagePosition()).url == f"{BASE}/list?n=1&o=0"
    assert cursor.request(job_with(None), PagePosition(2, 1, "a/ b")).url == f"{BASE}/list?n=2&o=1&c=a%2F%20b"


def test_the_request_after_a_url() -> None:
    """It goes where the page before said, with the method, headers and body of the first."""
    text = PAGES.replace("size = 2\n", 'next_url = "data.next"\nmethod = "POST"\njson = { q = 1 }\n')
    reader = reader_of(text.replace(', s = "${page.size}"', ""))
    first = reader.request(job_with(None), PagePosition())
    second = reader.request(job_with(None), PagePosition(2, 2, "https://x.example.com/more?c=%2f"))
    assert first.url == f"{BASE}/list?n=1&o=0"
    assert second.url == "https://x.example.com/more?c=%2f"
    assert (second.method, second.body) == ("POST", b'{"q":1}')


@pytest.mark.parametrize(
    ("page", "body", "after"),
    [
        (PagePosition(), items(1, 2), PagePosition(2, 2)),
        (PagePosition(2, 2), items(3), None),
        (PagePosition(2, 2), items(), None),
        (PagePosition(), items(1, 2, 3), PagePosition(2, 3)),
    ],
)
def test_a_counted_list_ends_with_a_page_that_is_not_full(
    page: PagePosition, body: object, after: PagePosition | None
) -> None:
    """The offset is what has come, also where the provider sends more than it was asked for."""
    got = read(PAGES, page, body)
    assert isinstance(got, ListedItems)
    assert got.after == after


def test_without_a_size_a_counted_list_ends_with_an_empty_page() -> None:
    """A page of any length may be followed by another one."""
    text = PAGES.replace("size = 2\n", "").replace(', s = "${page.size}"', "")
    assert read(text, PagePosition(), items(1)) == ListedItems((1,), PagePosition(2, 1))
    assert read(text, PagePosition(2, 1), items()) == ListedItems((), None)


def test_the_last_page_may_be_told() -> None:
    """The expression decides, not how full the page is; an empty page ends the list all the same."""
    text = PAGES.replace("size = 2\n", 'size = 2\nlast = "data.at >= data.of"\n')
    assert read(text, PagePosition(), items(1, at=1, of=2)) == ListedItems((1,), PagePosition(2, 1))
    assert read(text, PagePosition(2, 1), items(2, 3, at=2, of=2)) == ListedItems((2, 3), None)
    assert read(text, PagePosition(2, 1), items(at=1, of=2)) == ListedItems((), None)


def test_a_list_with_cursors_ends_without_one() -> None:
    """Missing, empty, or one of the values that mean it; a number is a cursor too."""
    assert read(CURSOR, PagePosition(), items(1, next=7)) == ListedItems((1,), PagePosition(2, 1, "7"))
    for end in (None, "", " null "):
        assert read(CURSOR, PagePosition(), items(1, next=end)) == ListedItems((1,), None)
    assert read(CURSOR, PagePosition(), items(next="x")) == ListedItems((), PagePosition(2, 0, "x"))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Refused("HTTP 400: no")),
        (401, Unauthorized("HTTP 401: no")),
        (403, Unauthorized("HTTP 403: no")),
        (404, Refused("HTTP 404: no")),
        (429, Throttled("HTTP 429: no", 5.0)),
        (500, Retry("HTTP 500: no", 5.0)),
        (503, Throttled("HTTP 503: no", 5.0)),
    ],
)
def test_what_replies_mean_by_themselves(status: int, outcome: object) -> None:
    """The same as for a file from the API; without a remote job a 404 is no expired link."""
    assert read(PAGES, PagePosition(), {"error": "no"}, status, retry_after="5") == outcome


def test_the_pages_of_a_remote_job_may_be_gone() -> None:
    """Then it is polled again."""
    text = HEAD + SUBMIT + POLL + PAGES.split('title = "Report"\n')[1].replace('"/list"', '"/reports/${handle}/rows"')
    reader = operation_of(text).pages(job_with("7"))
    assert reader is not None
    assert reader.request(job_with("7"), PagePosition()).url == f"{BASE}/reports/7/rows?n=1&o=0&s=2"
    assert reader.read(job_with("7"), PagePosition(), reply_of(410, {}), NOW) == LinksExpired("HTTP 410: {}")


def test_another_host_speaks_for_itself() -> None:
    """A page that the API has on another host can neither throttle nor refuse the account."""
    reader = reader_of(PAGES)
    for status, kind in ((429, Retry), (401, Retry), (403, LinksExpired)):
        reply = reply_of(status, {}, "https://files.example.org/2")
        assert isinstance(reader.read(job_with(None), PagePosition(), reply, NOW), kind)


def test_what_is_no_page() -> None:
    """No list is no empty list: it is asked for again, and told."""
    assert read(PAGES, PagePosition(), b"<html>") == Retry("HTTP 200, and a body that is not JSON: <html>")
    assert read(PAGES, PagePosition(), {"data": {}}) == Retry(
        'the reply holds no list of items: HTTP 200: {"data": {}}'
    )
    cut = WireReply(200, {}, b'{"data"', f"{BASE}/list", truncated=True)
    assert reader_of(PAGES).read(job_with(None), PagePosition(4), cut, NOW) == Refused(
        "page 4 of the list is too long to be read: request smaller pages, or raise "
        "largest_reply_bytes in the account's bounds"
    )


def test_rules_come_first() -> None:
    """An API that says 404 for a page beyond the last one, and errors with 200."""
    text = PAGES + 'rules = [{ status = 404, then = "empty" }, { json = "error", then = "refused" }]\n'
    assert read(text, PagePosition(2, 2), {}, 404) == ListedItems((), None)
    assert read(text, PagePosition(), {"error": "no", **items(1)}) == Refused("HTTP 200: no")


def test_csv_tells_its_pages_by_headers() -> None:
    """Its body is not looked into, but for a page of HTML in its place."""
    text = PAGES.split("size = 2", maxsplit=1)[0] + 'join = "csv"\nnext = { header = "Next" }\n'
    reader = reader_of(text.replace(', s = "${page.size}"', ""))
    assert (reader.csv, reader.label, reader.media_type) == (True, "report", "text/csv")
    assert reader.read_without_page(job_with(None), reply_of(200, b"a,b\n"), NOW) is None
    assert isinstance(reader.read_without_page(job_with(None), reply_of(200, b"\n <!DOCTYPE html>"), NOW), Retry)
    assert reader.after(job_with(None), PagePosition(), reply_of(200, b"", next="x"), 7) == PagePosition(2, 7, "x")
    assert reader.after(job_with(None), PagePosition(), reply_of(200, b""), 7) is None


EXAMPLES = """
[[examples]]
name = "a page"
operation = "report"
step = "page"
page = { number = 2, offset = 2 }
request = { url = "https://api.example.com/v1/list?n=2&o=2&s=2" }
reply = { status = 200, json = { data = { items = [1, 2] } } }
outcome = { is = "Page", items = 2, last = false }
"""


def test_examples_of_pages() -> None:
    """A page is compared by its number of items and by what comes after it."""
    (result,) = run_examples(provider_of(HEAD + PAGES + EXAMPLES))
    assert result.ok, str(result)
    (result,) = run_examples(provider_of(HEAD + PAGES + EXAMPLES.replace("items = 2, last", "items = 3, last")))
    assert "outcome.items" in str(result)
    cursor = EXAMPLES.replace("?n=2&o=2&s=2", "?n=2&o=2&c=x").replace("offset = 2 }", 'offset = 2, next = "x" }')
    cursor = cursor.replace("items = [1, 2]", 'items = [1, 2], next = "y"').replace("last = false", 'next = "y"')
    (result,) = run_examples(provider_of(HEAD + CURSOR + cursor))
    assert result.ok, str(result)


def test_examples_cover_the_rules_of_pages() -> None:
    """Each needs one that goes through it."""
    text = PAGES + 'rules = [{ status = 404, then = "empty" }]\n'
    assert uncovered_rules(provider_of(HEAD + text + EXAMPLES)) == ["operations.report.results.pages.rules[0]"]
    more = (
        EXAMPLES
        + EXAMPLES.split("page = {", maxsplit=1)[0]
        + 'reply = { status = 404 }\noutcome = { is = "Page", last = true }\n'
    )
    assert uncovered_rules(provider_of(HEAD + text + more)) == []


def test_an_example_of_csv() -> None:
    """Its records are counted, the header is none."""
    text = PAGES.split("query", maxsplit=1)[0] + 'join = "csv"\nnext = { header = "Next" }\n'
    example = """
[[examples]]
name = "a page"
operation = "report"
step = "page"
reply = { status = 200, headers = { Next = "x" }, text = "id,name\\n1,a\\n2,b" }
outcome = { is = "Page", items = 2, next = "x" }
"""
    (result,) = run_examples(provider_of(HEAD + text + example))
    assert result.ok, str(result)


@pytest.mark.parametrize("end", [None, False, "", "  ", [], {}, 0, 0.0, "false", " NULL"])
def test_what_is_no_cursor(end: object) -> None:
    """Seen: `"next": false` was asked for as a cursor. The text "0" may be one, the number is the first page."""
    assert read(CURSOR, PagePosition(), items(1, next=end)) == ListedItems((1,), None)
    assert read(BY_URL, PagePosition(), items(1, next=end)) == ListedItems((1,), None)
    assert read(CURSOR, PagePosition(), items(1, next="0")) == ListedItems((1,), PagePosition(2, 1, "0"))


@pytest.mark.parametrize("named", [True, ["a"], {"href": "/x"}])
def test_a_cursor_that_nobody_can_ask_for_is_no_end(named: object) -> None:
    """A list that is cut short without a word would be worse."""
    assert read(CURSOR, PagePosition(2), items(1, next=named)) == Refused(
        "page 2 of the list names the next one by what is neither text nor a number"
    )


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (7, "what is no text, and so no URL"),
        ("ftp://x.example/2", "a URL that cannot be used: its scheme is 'ftp', not http or https"),
        ("https://x.example/" + "a" * 70_000, "a URL that cannot be used: it is longer than 65536 characters"),
    ],
)
def test_a_next_url_that_nobody_can_ask_for_is_no_end(named: object, why: str) -> None:
    """Seen: the list ended there, and the job succeeded."""
    assert read(BY_URL, PagePosition(), items(1, next=named)) == Refused(
        f"page 1 of the list names the next one by {why}"
    )


def test_null_is_no_items_and_nothing_is_no_list() -> None:
    """Null stands for an empty list where the list should be; what has no such place is no page."""
    assert read(PAGES, PagePosition(), {"data": {"items": None}}) == ListedItems((), None)
    assert read(CURSOR, PagePosition(), {"data": {"items": None, "next": "x"}}) == ListedItems(
        (), PagePosition(2, 0, "x")
    )
    bodies: tuple[object, ...] = ({"data": None}, {"data": {}}, {"error": "no"}, None, [])
    for body in bodies:
        assert isinstance(read(PAGES, PagePosition(), body), Retry)


def test_a_list_whose_request_is_the_same_for_every_page_has_one() -> None:
    """Nothing tells of another page, and nothing could ask for it."""
    one = PAGES.replace('query = { n = "${page.number}", o = "${page.offset}", s = "${page.size}" }\nsize = 2\n', "")
    assert read(one, PagePosition(), items(1, 2, 3)) == ListedItems((1, 2, 3), None)
    sized = PAGES.replace(
        '{ n = "${page.number}", o = "${page.offset}", s = "${page.size}" }', '{ s = "${page.size}" }'
    )
    assert read(sized, PagePosition(), items(1, 2)) == ListedItems((1, 2), None)


def test_without_the_member_that_counts_the_pages_a_short_page_is_the_last() -> None:
    """``last`` finds nothing in the reply, so it is as if there were none."""
    text = PAGES.replace("size = 2\n", 'size = 2\nlast = "data.at >= data.of"\n')
    assert read(text, PagePosition(), items(1)) == ListedItems((1,), None)
    assert read(text, PagePosition(), items(1, 2)) == ListedItems((1, 2), PagePosition(2, 2))


def test_a_page_may_be_not_yet() -> None:
    """A rule says so."""
    text = PAGES + 'rules = [{ status = 400, json = "code == \'JobNotFinished\'", then = "pending" }]\n'
    late = read(text, PagePosition(), {"code": "JobNotFinished", "error": "wait"}, 400, retry_after="3")
    assert late == NotYet("HTTP 400: wait", 3.0)
