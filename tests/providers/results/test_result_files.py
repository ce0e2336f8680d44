"""Where result files come from: the reply, lists, another request, or a URL of the spec."""

from typing import Any

import pytest

from tests.support.spec_samples import BASE, HEAD, NOW, POLL, POLL_URL, SUBMIT, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.domain.outcome import (
    Inline,
    LinksExpired,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
)
from tidewaiter.providers.errors import UnsendableError

HTML = b"<html><body>502 Bad Gateway</body></html>"
FOREIGN = "https://files.example.org/x?Signature=abc"

INLINE = (
    HEAD
    + SUBMIT
    + POLL
    + """
[operations.report.results]
inline = true
"""
)


def test_the_body_just_read_may_be_the_file() -> None:
    """Its label is the operation's name unless the spec has a better one, its type what the reply says."""
    operation = operation_of(INLINE)
    reply = reply_of(200, {"status": "done", "rows": []}, content_type="application/json;charset=UTF-8")
    assert operation.read_poll(job_with(), reply, NOW) == Inline(
        "report", "application/json;charset=UTF-8", "done", None
    )
    named = operation_of(
        INLINE.replace('title = "Report"', 'title = "Report"\nmedia_type = "text/csv"') + 'label = "r${job.id}"'
    )
    assert named.read_poll(job_with(), reply_of(200, {"status": "done"}), NOW) == Inline("r7", "text/csv", "done", None)
    assert operation.resolve(job_with()) is None


def test_only_a_rule_that_looked_is_certain() -> None:
    """One that knows a class of statuses alone cannot tell a file from a 202 that says "later"."""
    looked = operation_of(INLINE).read_poll(job_with(), reply_of(202, {"status": "done"}), NOW)
    assert isinstance(looked, Inline)
    assert looked.certain
    by_class = INLINE.replace(POLL, f'[operations.report.poll]\n{POLL_URL}rules = [{{ then = "ready" }}]\n')
    seen = operation_of(by_class).read_poll(job_with(), reply_of(202, {"status": "done"}), NOW)
    assert isinstance(seen, Inline)
    assert not seen.certain


def test_json_that_is_cut_short_is_no_file() -> None:
    """Whatever a rule has found in its text: a broken reply is asked for again, and never landed."""
    text = INLINE.replace('title = "Report"', 'title = "Report"\nmedia_type = "application/json"')
    rule = '[[operations.report.poll.rules]]\ntext = "finished"\nthen = "ready"\n'
    operation = operation_of(
        text.replace("[[operations.report.poll.rules]]", f"{rule}\n[[operations.report.poll.rules]]", 1)
    )
    cut = reply_of(200, b'{"finished": true, "rows": [1, ')
    assert isinstance(operation.read_poll(job_with(), cut, NOW), Retry)
    assert isinstance(operation.read_poll(job_with(), reply_of(200, {"finished": True}), NOW), Inline)


def test_a_body_over_the_limit_is_the_file_all_the_same() -> None:
    """Only its beginning is here; the landing streams the rest of the same reply."""
    spec = INLINE.replace(
        'word = "status"\nwords = { pending = "pending", done = "ready" }', 'status = 200\nthen = "ready"'
    )
    reply = WireReply(200, {}, b"a,b\n", truncated=True)
    assert operation_of(spec).read_poll(job_with(), reply, NOW) == Inline("report", None, None, None)


def test_headers_of_a_file() -> None:
    """They are templates, and go with every download; inline with poll and submit, where those lack them."""
    headers = 'headers = { Accept = "text/csv", X-Job = "${handle}", X-None = "${params.none}" }\n'
    submit = SUBMIT.replace('"Report"\n', '"Report"\nparams.none = { help = "x", required = false }\n')
    spec = HEAD + submit + POLL
    named = operation_of(spec + "[operations.report.results]\nurl = '/file'\n" + headers)
    assert named.file_headers(job_with()) == {"Accept": "text/csv", "X-Job": "42"}
    assert "Accept" not in named.poll(job_with()).headers
    inline = operation_of(INLINE + 'headers = { Accept = "text/csv" }\n')
    assert inline.poll(job_with()).headers["Accept"] == "text/csv"
    polled = INLINE.replace("report.poll]\n", 'report.poll]\nheaders = { accept = "x/y" }\n', 1)
    own = operation_of(polled + 'headers = { Accept = "text/csv" }\n')
    assert own.poll(job_with()).headers == {"accept": "x/y"}


def test_a_submit_may_be_answered_at_once() -> None:
    """The reply to the submit is the file; there is no remote job to ask after."""
    spec = HEAD + (
        '[operations.report]\ntitle = "Report"\n'
        '[operations.report.submit]\nmethod = "GET"\nurl = "/stats"\n'
        'rules = [{ json = "success", then = "ready" }, { json = "success == `false`", then = "refused" }]\n'
        "[operations.report.results]\ninline = true\n"
    )
    operation = operation_of(spec)

    def read(reply: WireReply) -> object:
        return operation.read_submit(job_with(None), reply, NOW)

    assert read(reply_of(200, {"success": True}, content_type="application/json")) == Inline(
        "report", "application/json", None, None
    )
    assert read(reply_of(200, {"success": False, "error": "no"})) == Refused("HTTP 200: no")
    assert isinstance(read(reply_of(200, HTML)), Unknown)
    with pytest.raises(UnsendableError, match="has no poll"):
        operation.poll(job_with())
    whole = operation_of(spec.replace('json = "success", then', "status = 200, then", 1))
    cut = WireReply(200, {}, b"[", truncated=True)
    posted = operation_of(spec.replace('method = "GET"', 'method = "POST"'))
    for one in (whole, operation, posted):
        assert one.read_submit(job_with(None), cut, NOW) == Inline("report", None, None, None)


LISTED = (
    HEAD
    + SUBMIT
    + POLL
    + """
[operations.report.results]
send_auth_if = "auth"

[[operations.report.results.files]]
each = "files"
url = "href"
label = "name"
count = "rows"
size = "bytes"
media_type = "kind"
sha256 = "sum"
md5 = "md5"

[[operations.report.results.files]]
each = "urls"
url = "@"

[[operations.report.results.files]]
each = "single"
"""
)


def _ready(body: dict[str, object], **more: Any) -> object:
    operation = operation_of(LISTED)
    return operation.read_poll(job_with(), reply_of(200, {"status": "done", **body}, f"{BASE}/reports/42", **more), NOW)


def test_lists_of_files_become_links() -> None:
    """All that the provider tells of each, in the spec's order and the lists', with relative URLs resolved."""
    digest = "AB" * 32
    files = [
        {"href": "/f/1?sig=%2f", "name": "one\x00/../é", "rows": "12", "bytes": 34, "kind": "text/csv", "sum": digest},
        {"href": "f2.csv", "md5": "not hex", "rows": -1, "bytes": "many"},
    ]
    body = {"files": files, "urls": ["https://o.example.com/a%20b.json?x"], "single": {"url": "//o.example.com/s"}}
    assert _ready(body) == Ready(
        (
            Link("https://api.example.com/f/1?sig=%2f", "one /../é", True, "text/csv", 34, 12, digest.lower()),
            Link(f"{BASE}/reports/f2.csv", "f2.csv", unread="md5: 'not hex' cannot be read as a digest of md5"),
            Link("https://o.example.com/a%20b.json?x", "a b.json"),
            Link("https://o.example.com/s", "s"),
        ),
        "done",
    )


@pytest.mark.parametrize(("text", "sent"), [(True, True), (False, False), (None, True), (0, True), ("", False)])
def test_the_provider_says_whether_files_want_credentials(text: object, sent: bool) -> None:
    """Where it does not say, they go along: to the provider's own origin, and never to another."""
    body = {"auth": text, "urls": ["https://o.example.com/a"]}
    assert _ready(body) == Ready((Link("https://o.example.com/a", "a", sent),), "done")


def test_no_files_is_a_success() -> None:
    """Empty lists and absent ones."""
    assert _ready({"files": []}) == Ready((), "done")
    assert _ready({}) == Ready((), "done")


@pytest.mark.parametrize(
    "item", [{}, {"href": None}, {"href": "file:///etc/passwd"}, {"href": 7.5, "x": []}, "x", None]
)
def test_a_file_without_a_usable_url_is_not_lost_in_silence(item: object) -> None:
    """The reply is of a shape that nobody described; a job that succeeds without one of its files would be worse."""
    assert isinstance(_ready({"files": [item], "urls": ["https://o.example.com/a"]}), Unmapped)


def test_a_list_that_cannot_be_read_is_asked_for_again() -> None:
    """Where a code alone says ready, the manifest may still arrive broken."""
    spec = LISTED.replace(
        'word = "status"\nwords = { pending = "pending", done = "ready" }', 'status = 200\nthen = "ready"'
    )
    assert isinstance(operation_of(spec).read_poll(job_with(), reply_of(200, b'{"files": ['), NOW), Retry)


RESOLVED = (
    HEAD
    + SUBMIT
    + POLL
    + """
[operations.report.results]
send_auth = false
resolve = { url = "/reports/${handle}/link", link = ["url", { header = "Location" }] }
"""
)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (reply_of(200, {"url": FOREIGN}), (Link(FOREIGN, "x", send_auth=False),)),
        (
            reply_of(201, {}, f"{BASE}/reports/42/link", location="f?a=1"),
            (Link(f"{BASE}/reports/42/f?a=1", "f", False),),
        ),
        (reply_of(200, {"url": "mailto:x"}), Retry),
        (reply_of(200, HTML), Retry),
        (reply_of(404), LinksExpired),
        (reply_of(410), LinksExpired),
        (reply_of(401), Unauthorized),
        (reply_of(403), Unauthorized),
        (reply_of(429), Throttled),
        (reply_of(503), Throttled),
        (reply_of(500), Retry),
        (reply_of(302, b"", location="/x"), Retry),
        (reply_of(400), Refused),
    ],
)
def test_every_reply_that_names_the_file(reply: WireReply, expected: Any) -> None:
    """A link, or an outcome that a job that is fetching can have: polling finds out whether the job is gone."""
    operation = operation_of(RESOLVED)
    request = operation.resolve(job_with())
    assert request is not None
    assert request.url == f"{BASE}/reports/42/link"
    got = operation.read_resolve(job_with(), reply, NOW)
    assert got == expected if isinstance(expected, tuple) else isinstance(got, expected)


def test_links_that_are_known_without_asking() -> None:
    """From the spec's fixed URL, else from the poll that said ready."""
    assert operation_of().links(job_with("a/b")) == (Link(f"{BASE}/reports/a%2Fb/file", "file"),)
    assert operation_of().resolve(job_with()) is None
    assert operation_of(LISTED).links(job_with()) == ()


def test_a_job_older_than_a_parameter_has_its_default() -> None:
    """An upgrade that gives an operation a parameter must not lose the remote jobs of those that were made before."""
    params = '[operations.report.params]\nkind = { help = "x", enum = ["a", "b"], default = "b" }\n'
    results = (
        POLL
        + """
[[operations.report.results]]
when = { params.kind = "a" }
url = "/a"
[[operations.report.results]]
when = { params.kind = "b" }
url = "/b"
"""
    )
    operation = operation_of(HEAD + SUBMIT + results + params)
    assert [link.url for link in operation.links(job_with())] == [f"{BASE}/b"]
    assert [link.url for link in operation.links(job_with(params={"kind": "a"}))] == [f"{BASE}/a"]
