"""Lists that lead to files: their requests, what their replies mean, and faults of such a spec."""

import pytest

from tests.support.spec_samples import BASE, HEAD, NOW, POLL, SUBMIT, faults_of, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Json, Link, WireReply
from tidewaiter.domain.outcome import LinksExpired, NotYet, Pending, Refused, Retry, Throttled
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition
from tidewaiter.providers.steps.file_listing import FileListing, listing_of

LISTS = """
[operations.report.results]
send_auth_if = "auth"
rules = [{ status = 409, then = "pending" }, { json = "code == 'BUSY'", then = "throttled" }]

[[operations.report.results.lists]]
url = "/reports/${handle}/groups"
items = "groups"
next = "next"
query = { cursor = "${page.next}" }
values = { group = "id", flag = "flag" }
rules = [{ json = "code == 'NONE'", then = "empty" }, { status = 409, then = "refused" }]

[[operations.report.results.lists]]
url = "${item.group}/parts"
query = { flag = "${item.flag}" }
next_url = "more"

[operations.report.results.files]
each = "parts"
url = "href"
"""


def _listing(results: str = LISTS) -> FileListing:
    listing = listing_of(operation_of(HEAD + SUBMIT + POLL + results).parts, job_with("42"))
    assert listing is not None
    return listing


def test_requests_are_made_of_items() -> None:
    """The address may be a value of the item; what is missing is left out of the query."""
    listing, job = _listing(), job_with("42")
    assert listing.depth == 2
    assert listing.request(job, 0, PagePosition()).url == f"{BASE}/reports/42/groups"
    assert listing.request(job, 0, PagePosition(2, 1, "c/d")).url == f"{BASE}/reports/42/groups?cursor=c%2Fd"
    below = listing.below(job, 0, {"id": "/v2/g/1", "flag": True})
    assert listing.request(below, 1, PagePosition()).url == "https://api.example.com/v2/g/1/parts?flag=true"
    below = listing.below(job, 0, {"id": "https://other.example.org/g"})
    assert listing.request(below, 1, PagePosition()).url == "https://other.example.org/g/parts"
    assert listing.fault(below, 1) is None


@pytest.mark.parametrize(
    "item", [{}, {"id": None}, {"id": ["x"]}, {"id": {"a": 1}}, {"id": "x" * 3000}, "text", 7, None]
)
def test_an_item_without_its_value(item: Json) -> None:
    """The list below cannot be requested, and nothing is skipped."""
    listing = _listing()
    fault = listing.fault(listing.below(job_with("42"), 0, item), 1)
    assert fault == Retry("an item of list 1 of 2 lacks group, which the address of the next list needs")


def test_an_item_with_a_value_that_cannot_be_sent() -> None:
    """A URL of another kind, from a server that lies."""
    listing = _listing()
    fault = listing.fault(listing.below(job_with("42"), 0, {"id": "file:///etc/passwd"}), 1)
    assert isinstance(fault, Retry)
    assert fault.reason.startswith("the request for the next list cannot be built from an item of list 1 of 2: ")


def test_a_reply_without_items_is_one_item() -> None:
    """Its files are read like those of a reply that says ready, and relative links begin at it."""
    listing, job = _listing(), job_with("42")
    reply = reply_of(
        200,
        {"parts": [{"href": "a.csv"}, {"href": "https://f.example.com/b"}], "more": "p2", "auth": False},
        "https://api.example.com/v2/g/1/parts",
    )
    listed = listing.read(job, 1, PagePosition(), reply, NOW)
    assert isinstance(listed, ListedItems)
    assert listed.after == PagePosition(2, 1, "https://api.example.com/v2/g/1/p2")
    links = listing.links(job, listed, 10)
    assert isinstance(links, tuple)
    assert [(link.url, link.send_auth) for link in links] == [
        ("https://api.example.com/v2/g/1/a.csv", False), ("https://f.example.com/b", False)
    ]  # fmt: skip
    other = listing.read(job, 1, PagePosition(), reply_of(200, {"message": "no such group"}), NOW)
    assert isinstance(other, ListedItems)
    assert listing.links(job, other, 10) == Retry("the reply holds no list of files: each finds nothing in it")
    refused = listing.links(job, listed, 1)
    assert isinstance(refused, Refused)
    assert "bounds.most_files" in refused.reason


@pytest.mark.parametrize(
    ("level", "reply", "outcome"),
    [
        (0, reply_of(409, {}), Refused),
        (1, reply_of(409, {}), NotYet),
        (0, reply_of(200, {"code": "BUSY"}), Throttled),
        (1, reply_of(200, {"code": "BUSY"}), Throttled),
        (0, reply_of(200, {"code": "NONE"}), ListedItems),
        (0, reply_of(200, {"groups": "g"}), Retry),
        (0, reply_of(200, {"other": []}), Retry),
        (0, reply_of(200, b"<html>Sign in</html>"), Retry),
        (1, reply_of(200, b'{"parts": ['), Retry),
        (1, reply_of(200, b""), Retry),
        (0, reply_of(202, b"", retry_after="9"), NotYet),
        (0, WireReply(401, {}, b"", "https://other.example.net/x"), Retry),
        (0, reply_of(404, {}), LinksExpired),
        (0, reply_of(200, {"groups": [{}], "next": ["x"]}), Refused),
        (0, WireReply(200, {}, b"[" + b"1," * 3_000_000 + b"1]"), Refused),
    ],
)
def test_every_reply_to_a_list(level: int, reply: WireReply, outcome: type) -> None:
    """Rules of the list come first, then those of the results, then the common meanings."""
    assert isinstance(_listing().read(job_with("42"), level, PagePosition(), reply, NOW), outcome)


ONE = '[[operations.report.results.lists]]\nurl = "/a"\nitems = "a"\nvalues = { id = "id" }\n'
TWO = '[[operations.report.results.lists]]\nurl = "/b/${item.id}"\nitems = "b"\nvalues = { part = "id" }\n'
FILES = '[operations.report.results.files]\nurl = "href"\n'


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        (ONE + TWO, "results: lists lead to files: write files, which reads the items of the last list"),
        (
            '[operations.report.results]\nfiles = { url = "href" }\n',
            "results: files needs each, the place of the list in the reply that says ready",
        ),
        (
            ONE + TWO.replace("part =", "id =") + FILES,
            "results: values of several lists have the name id: give each a name of its own",
        ),
        (
            ONE + TWO + FILES + 'values = { id = "x" }\ndownload = { headers = { X = "${item.id}" } }\n',
            "results: values of several lists have the name id: give each a name of its own",
        ),
        (
            ONE.replace("/a", "/a/${item.id}") + TWO + FILES,
            "results.lists[0].url: refers to ${item.id}, but values picks no such value from the items above "
            "(there are: none)",
        ),
        (
            ONE + TWO.replace("item.id", "item.part") + FILES,
            "results.lists[1].url: refers to ${item.part}, but values picks no such value from the items above "
            "(there are: id)",
        ),
        (
            ONE + TWO.replace("/${item.id}", "") + FILES,
            "results.lists[1]: is the same request for every item of the list above: refer to ${item.NAME}, a value "
            "of the item",
        ),
        (
            ONE + FILES + '[operations.report.results.files.download]\nurl = "/f/${item.part}"\n',
            "results.files: the address of a file stands in url and in download.url: remove one of them",
        ),
        (
            ONE + '[operations.report.results]\nurl = "/x"\n',
            "results: lists lead to files: write files, which reads the items of the last list",
        ),
        (
            ONE + 'by_params = { number = "nr" }\n' + FILES,
            "results.lists[0].by_params.number: 'nr' is no parameter of type integer",
        ),
        (
            ONE + TWO + 'first = "poll"\n' + FILES,
            "results: only the first of the lists can have first: the others are requested for each item",
        ),
    ],
)
def test_faults_name_file_key_and_remedy(results: str, fault: str) -> None:
    """Each mistake is found."""
    head = HEAD + SUBMIT + POLL
    if results.endswith('[operations.report.results]\nurl = "/x"\n'):
        results = '[operations.report.results]\nurl = "/x"\n' + ONE
    assert f"demo.toml: operations.report.{fault}" in faults_of(head + results)


EARLY = '[operations.report.results]\nwhile_running = "parts"\n'


def test_files_of_a_running_remote_job() -> None:
    """Their links are in the reply, or in lists; too many are refused, and an expression that is false means none."""
    files = '[operations.report.results.files]\neach = "parts"\nurl = "href"\n'
    pending: dict[str, Json] = {"status": "pending", "parts": [{"href": "/f"}]}

    def read(results: str, body: Json) -> object:
        return operation_of(HEAD + SUBMIT + POLL + results).read_poll(job_with("42"), reply_of(200, body), NOW)

    assert read(EARLY + files, pending) == Pending("pending", links=(Link("https://api.example.com/f", "f"),))
    assert read(EARLY + files, pending | {"parts": []}) == Pending("pending")
    assert read(EARLY + files, pending | {"parts": [{"href": 7}]}) == Pending("pending")
    assert isinstance(read(EARLY + files, pending | {"parts": [{"href": "/f"}] * 10_001}), Refused)
    assert read(files, pending) == Pending("pending")
    assert read(EARLY + ONE + FILES, pending) == Pending("pending", lists=True)


def test_faults_of_while_running() -> None:
    """It needs a list, and a remote job."""
    head = HEAD + SUBMIT + POLL
    assert faults_of(head + EARLY + 'url = "/x"\n') == [
        "demo.toml: operations.report.results: while_running is for a list of files, and there is none"
    ]
    assert faults_of(HEAD + '[operations.report]\ntitle = "Report"\n' + EARLY + ONE + FILES) == [
        "demo.toml: operations.report: while_running is for a remote job that is polled, and without submit there is "
        "none"
    ]
    only_new = (
        "demo.toml: operations.report.results: only_new is for files in the replies to polls: it needs while_running, "
        "and no lists"
    )
    alone = EARLY.replace(EARLY.splitlines()[-1], "only_new = true")
    assert faults_of(head + alone + FILES + 'each = "x"\n') == [only_new]
    assert faults_of(head + EARLY + "only_new = true\n" + ONE + FILES) == [only_new]
    (fault,) = faults_of(head + EARLY.replace('"parts"', '"parts["') + FILES + 'each = "x"\n')
    assert fault.startswith("demo.toml: operations.report.results.while_running: ")


def test_lists_need_no_submit() -> None:
    """Standing reports have no remote job; files alone need the reply that says ready."""
    head = HEAD + '[operations.report]\ntitle = "Report"\n'
    assert faults_of(head + ONE + TWO + FILES) == []
    assert faults_of(head + ONE + 'first = "poll"\n' + FILES) == [
        "demo.toml: operations.report: lists.first is the reply to a poll, and without submit there is none"
    ]
    assert faults_of(head + FILES + 'each = "x"\n') == [
        "demo.toml: operations.report: without submit, results need url, download, lists, pages or resolve"
    ]
