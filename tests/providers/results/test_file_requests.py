"""The request for a file of a list: method, address, query, headers and body, with values of the file's item."""

import json

import pytest

from tests.support.spec_samples import BASE, HEAD, NOW, POLL, SUBMIT, faults_of, job_with, operation_of, reply_of
from tidewaiter.database.sealing import Seal, links_of, new_key
from tidewaiter.domain.file_identity import identities
from tidewaiter.domain.http_values import Json, Link, SealedLinks
from tidewaiter.domain.outcome import Ready, Unmapped

PARTS = """
[operations.report.results]
headers = { Accept = "text/csv" }

[operations.report.results.files]
each = "parts"
label = "name"
values = { number = "no", token = "meta.token" }

[operations.report.results.files.download]
method = "POST"
url = "/reports/${handle}/parts/${item.number}"
query = { part = "${item.number}" }
headers = { X-Part = "${item.number}" }
json = { number = "${item.number}", token = "${item.token}" }
"""
AT_LINK = """
[operations.report.results.files]
each = "parts"
url = "href"
values = { key = "key" }
download = { query = { key = "${item.key}" }, headers = { Accept = "application/octet-stream" } }
"""


def _ready(results: str, parts: Json) -> object:
    operation = operation_of(HEAD + SUBMIT + POLL + results)
    return operation.read_poll(job_with("42"), reply_of(200, {"status": "done", "parts": parts}), NOW)


def test_a_file_has_a_request_made_of_its_item() -> None:
    """Numbers stay numbers in JSON and are encoded in the address; a key without a value is left out."""
    ready = _ready(PARTS, [{"no": 1, "name": "a", "meta": {"token": "x/y"}}, {"no": 2, "name": "b"}])
    assert isinstance(ready, Ready)
    first, second = (link.request({"Accept-Encoding": "identity"}) for link in ready.links)
    assert (first.method, first.url) == ("POST", f"{BASE}/reports/42/parts/1?part=1")
    assert json.loads(first.body or b"") == {"number": 1, "token": "x/y"}
    assert json.loads(second.body or b"") == {"number": 2}
    assert dict(first.headers) == {
        "content-type": "application/json", "X-Part": "1", "Accept-Encoding": "identity"
    }  # fmt: skip
    assert [link.label for link in ready.links] == ["a", "b"]


def test_the_link_of_an_item_gets_a_query() -> None:
    """The link itself stays as it came."""
    parts = [{"href": "/f?a=%2F", "key": "k 1"}, {"href": "https://files.example.com/g", "key": "k2"}]
    ready = _ready(AT_LINK, parts)
    assert isinstance(ready, Ready)
    assert [link.url for link in ready.links] == [
        "https://api.example.com/f?a=%2F&key=k%201", "https://files.example.com/g?key=k2"
    ]  # fmt: skip
    assert {link.headers for link in ready.links} == {(("Accept", "application/octet-stream"),)}


@pytest.mark.parametrize(
    ("results", "part", "fault"),
    [
        (PARTS, {"name": "a"}, "a file is listed without number, which its address needs"),
        (PARTS, {"no": {"x": 1}}, "a file is listed without number, which its address needs"),
        (PARTS, {"no": ""}, "a file is listed without number, which its address needs"),
        (PARTS, {"no": "9" * 4000}, "a file is listed without number, which its address needs"),
        (PARTS, {"no": ".."}, "a file is listed whose request cannot be built: '..' cannot be a part of a URL"),
        (PARTS, "text", "a file is listed without number, which its address needs"),
        (AT_LINK, {"key": "k"}, "a file is listed with a URL that cannot be used, it is no text"),
        (
            AT_LINK.replace("download = {", 'download = { method = "POST",'),
            {"href": "https://evil.example.org/f"},
            "a file is listed at another origin than the provider's, which gets no POST",
        ),
        (
            PARTS.replace("/reports/${handle}/parts/${item.number}", "${item.number}"),
            {"no": "ftp://x"},
            "a file is listed whose request cannot be built: the value of ${item.number} 'ftp://x' is no URL",
        ),
    ],
)
def test_an_item_without_its_file_is_not_skipped(results: str, part: Json, fault: str) -> None:
    """One such item, and nothing of the list is taken: it may be a change of the API."""
    ready = _ready(results, [part])
    assert isinstance(ready, Unmapped)
    assert ready.excerpt.startswith(fault)


def test_one_file_has_a_request() -> None:
    """Without a list the spec gives the address."""
    results = """
[operations.report.results]
label = "all"
download = { method = "POST", url = "/reports/${handle}/download", form = { format = "csv" } }
"""
    (link,) = operation_of(HEAD + SUBMIT + POLL + results).links(job_with("42"))
    request = link.request({})
    assert (request.method, request.url, request.body) == ("POST", f"{BASE}/reports/42/download", b"format=csv")
    assert link.label == "all"


def test_links_with_a_request_are_stored() -> None:
    """Encrypted like every link; links of earlier versions are read as plain GETs, and are written as before."""
    link = Link(
        "https://x.example.com/f", "f", method="POST", headers=(("A", "b"),), body="é".encode().decode("latin-1")
    )
    seal = Seal([new_key()])
    assert seal.links(SealedLinks(seal.stored((link,)))) == (link,)
    assert seal.links(SealedLinks(Seal().stored((link,)))) == (link,)
    assert link.request({}).body == "é".encode()
    assert links_of('[{"url": "https://x.example.com/f", "send_auth": true}]') == (Link("https://x.example.com/f"),)
    assert Link("https://x.example.com/f", gzip=True).to_json() == {
        "url": "https://x.example.com/f", "send_auth": True, "gzip": True
    }  # fmt: skip


def test_the_request_is_part_of_the_identity() -> None:
    """Two files at one address differ by their bodies; those with a plain GET keep the identity of earlier versions."""
    url = "https://api.example.com/download"
    names = identities(
        [
            Link(url),
            Link(url, method="POST", body="1"),
            Link(url, method="POST", body="2"),
            Link(url, headers=(("A", "b"),)),
        ]
    )
    assert len(set(names)) == 4
    # As version 0.1 wrote it: without it every file would land again after the upgrade.
    assert names[0] == "0d572b873e5c1c9b5c8e52acbbdfa3bb67b98af30bf7c71dc76c7abdfed1b275"


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        (
            PARTS.replace("/parts/${item.number}", "/parts/${item.no}"),
            "results.files.download.url: refers to ${item.no}, but values picks no such value from the items above "
            "(there are: number, token)",
        ),
        (
            '[operations.report.results]\nurl = "/f/${item.no}"\n',
            "results.url: refers to ${item.no}, but here is no item of a list",
        ),
        (
            '[operations.report.results]\nfiles = { each = "parts", values = { a = "b" } }\n',
            "results.files: values are for download, and there is none: remove them, or write the request",
        ),
        (
            '[operations.report.results]\nfiles = { each = "p", url = "href", download = { url = "/x" } }\n',
            "results.files: the address of a file stands in url and in download.url: remove one of them",
        ),
        (
            '[operations.report.results]\nfiles = { each = "p", download = { headers = { Range = "bytes=0-" } } }\n',
            "results.files: headers may not have Range, which a download sets itself: remove it",
        ),
        (
            '[operations.report.results]\ndownload = { method = "POST" }\n',
            "results: download needs a url, because there is no list with the link of the file",
        ),
        (
            '[operations.report.results]\nfiles = { each = "p" }\ndownload = { url = "/x" }\n',
            "results: download is for one file; the request for a file of a list stands in files.download",
        ),
        (
            '[operations.report.results]\ndownload = { method = "PUT", url = "/x" }\n',
            "results.download.method: must be 'GET' or 'POST'",
        ),
        (
            '[operations.report.results]\ndownload = { url = "/x", json = { a = 1 } }\n',
            "results.download: a GET request has no body",
        ),
        (
            '[operations.report.results]\nfiles = { each = "p", values = { No = "n" }, download = { url = "/x" } }\n',
            "results.files.values.No: does not match the pattern ^[a-z][a-z0-9_]*$",
        ),
        (
            '[operations.report.results]\nurl = "files/x"\n',
            "results.url: must begin with /, with ${handle} or ${kept.NAME}, or in a list with ${item.NAME}",
        ),
    ],
)
def test_faults_name_file_key_and_remedy(results: str, fault: str) -> None:
    """One line each."""
    assert faults_of(HEAD + SUBMIT + POLL + results) == [f"demo.toml: operations.report.{fault}"]
