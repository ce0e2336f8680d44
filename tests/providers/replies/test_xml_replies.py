"""Replies in XML: the tree that they become, and everything that is refused."""

import pytest

from tests.support.spec_samples import (
    NOW,
    SUBMIT,
    changed,
    faults_of,
    job_with,
    operation_of,
    provider_of,
    reply_of,
)
from tidewaiter.domain.backoff_and_limits import Bounds
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.outcome import Accepted, Pending, Ready, Refused, Retry, Unknown
from tidewaiter.providers.replies.xml_replies import XmlError, XmlForm, XmlLimitError, read_xml
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition

LISTS = XmlForm({"results": ("result",)})
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
UTF8 = '<?xml version="1.0" encoding="UTF-8"?>'
HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"
error = "error.message"
reply = { format = "xml", lists = ["results.result"] }
"""
WHOLE = (
    HEAD
    + SUBMIT.replace('"id"', '"job.id"')
    + """
[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "job.phase", words = { QUEUED = "pending", DONE = "ready" } }]

[operations.report.results]
files = { each = "job.results.result[]", url = '"@href"' }
"""
)


def tree(text: str | bytes, **headers: str) -> Json:
    """The tree of a document; ``_`` in the name of a header stands for ``-``."""
    body = text if isinstance(text, bytes) else text.encode()
    return read_xml(body, {name.replace("_", "-"): value for name, value in headers.items()}, LISTS, 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a>x</a>", {"a": "x"}),
        ("<a/>", {"a": ""}),
        ("<a>\n  x\n </a>", {"a": "x"}),
        ("<a>&lt;&amp;&gt;&quot;&apos;&#65;</a>", {"a": "<&>\"'A"}),
        ("<a><![CDATA[<b>]]>c</a>", {"a": "<b>c"}),
        ("<a><!-- no --><?pi no?><b>1</b></a>", {"a": {"b": "1"}}),
        ('<a b="1">x</a>', {"a": {"@b": "1", "#text": "x"}}),
        ("<a>x<b>1</b>y</a>", {"a": {"b": "1", "#text": "xy"}}),
        ("<a><b>1</b><c/><b>2</b></a>", {"a": {"b": ["1", "2"], "c": ""}}),
        ('<n:a xmlns:n="urn:n"><n:b n:c="1"/></n:a>', {"a": {"b": {"@c": "1"}}}),
        ('<a xmlns="urn:n"><b/></a>', {"a": {"b": ""}}),
        (f'<a {XSI}><b xsi:nil="true"/><b xsi:nil="1"/></a>', {"a": {"b": [None, None]}}),
        (f'<a {XSI} xsi:nil="false">1</a>', {"a": {"@nil": "false", "#text": "1"}}),
        ("<a><results/></a>", {"a": {"results": {"result": []}}}),
        ("<results><result>1</result></results>", {"results": {"result": ["1"]}}),
        ("<results><result>1</result><result/></results>", {"results": {"result": ["1", ""]}}),
        ("<other><result>1</result></other>", {"other": {"result": "1"}}),
    ],
)  # fmt: skip
def test_the_tree_of_a_document(text: str, expected: Json) -> None:
    """What the recipe promises."""
    assert tree(text) == expected


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("<a>é</a>".encode(), {}),
        (f"{UTF8}<a>é</a>".encode(), {"content_type": "text/xml; charset=iso-8859-1"}),
        ("<a>é</a>".encode("utf-8-sig"), {}),
        ("<a>é</a>".encode("utf-16"), {}),
        ("<a>é</a>".encode("latin-1"), {"content_type": 'text/xml; charset="ISO-8859-1"'}),
        ('<?xml version="1.0" encoding="windows-1252"?><a>é</a>'.encode("cp1252"), {}),
    ],
)
def test_the_encoding_is_that_of_the_document_then_that_of_its_type(body: bytes, headers: dict[str, str]) -> None:
    """A server often names one encoding for all that it sends."""
    assert tree(body, **headers) == {"a": "é"}


FORM = 'reply = { format = "xml", lists = ["results.result"] }'
BOMB = '<!DOCTYPE a [<!ENTITY b "xxxxxxxxxx"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'
OTHER_DTD = '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>'
PARAMETER_ENTITY = '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;]><a/>'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (BOMB, "it has a document type (DOCTYPE), which is not read"),
        (EXTERNAL, "it has a document type (DOCTYPE), which is not read"),
        (OTHER_DTD, "it has a document type (DOCTYPE), which is not read"),
        (PARAMETER_ENTITY, "it has a document type (DOCTYPE), which is not read"),
        ("<!DOCTYPE html><html/>", "it has a document type (DOCTYPE), which is not read"),
        ("<a>&nbsp;</a>", "undefined entity, in line 1"),
        ("<a><b>\n</a>", "mismatched tag, in line 2"),
        ("<a><b>", "no element found, in line 1"),
        ("<a", "unclosed token, in line 1"),
        ("", "no element found, in line 1"),
        ("<a/><b/>", "junk after document element, in line 1"),
        ('{"a": 1}', "not well-formed (invalid token), in line 1"),
        ('<a x="1" x="2"/>', "duplicate attribute, in line 1"),
        ("<a>\0</a>", "not well-formed (invalid token), in line 1"),
        ("<a>&#0;</a>", "reference to invalid character number, in line 1"),
        ("<a>&#xD800;</a>", "reference to invalid character number, in line 1"),
        (b"<a>\xe9</a>", "not well-formed (invalid token), in line 1"),
        ('<?xml version="1.0" encoding="nonsense"?><a/>', "its encoding is not known: unknown encoding: nonsense"),
        (
            '<?xml version="1.0" encoding="gbk"?><a/>',
            "its encoding cannot be read: multi-byte encodings are not supported",
        ),
    ],
)  # fmt: skip
def test_what_is_no_xml_that_is_read(body: str | bytes, why: str) -> None:
    """Nothing is expanded and no other address is asked; the clause says what is wrong, and never quotes the body."""
    with pytest.raises(XmlError) as caught:
        tree(body)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("<a>" * 101 + "</a>" * 101, "its XML is nested more than 100 deep"),
        ("<a>" + "<b/>" * 1000 + "</a>", "its XML holds more than 1000 elements and attributes"),
        ("<a " + " ".join(f'a{n}="1"' for n in range(1000)) + "/>", "its XML holds more than 1000 elements and attrib"),
    ],
)
def test_the_limits_of_a_tree(body: str, why: str) -> None:
    """Depth, and the number of elements and attributes."""
    with pytest.raises(XmlLimitError) as caught:
        tree(body)
    assert str(caught.value).startswith(why)
    tree("<a>" * 100 + "</a>" * 100)


def test_many_names_of_one_long_namespace_cost_no_more_than_their_text() -> None:
    """A parser that expands prefixes would copy the namespace once for each attribute: here gigabytes."""
    body = f'<a xmlns:n="{"u" * 4_000_000}" ' + " ".join(f'n:a{n}="1"' for n in range(900)) + "/>"
    assert tree(body)


def test_the_steps_of_a_spec_read_xml() -> None:
    """Submit, poll and links; an unreadable poll is repeated, and an unreadable submit is in doubt."""
    operation, job = operation_of(WHOLE), job_with()
    assert operation.read_submit(job, reply_of(201, b"<job><id>7</id></job>"), NOW) == Accepted("7")
    queued = operation.read_poll(job, reply_of(200, b"<job><phase>QUEUED</phase></job>"), NOW)
    assert isinstance(queued, Pending)
    done = b'<job><phase>DONE</phase><results><result href="/f"/></results></job>'
    ready = operation.read_poll(job, reply_of(200, done), NOW)
    assert isinstance(ready, Ready)
    assert [link.url for link in ready.links] == ["https://api.example.com/f"]
    cut = operation.read_poll(job, reply_of(200, done[:-3]), NOW)
    assert cut == Retry(f"HTTP 200, and a body that is not XML (unclosed token, in line 1): {done[:-3].decode()}")
    assert isinstance(cut, Retry)
    assert cut.unreadable
    bomb = operation.read_poll(job, reply_of(200, BOMB.encode()), NOW)
    assert isinstance(bomb, Retry)
    assert "a body that is not XML (it has a document type (DOCTYPE), which is not read)" in bomb.reason
    deep = operation.read_poll(job, reply_of(200, b"<a>" * 101 + b"</a>" * 101), NOW)
    assert deep == Refused("HTTP 200, and its XML is nested more than 100 deep")
    assert isinstance(operation.read_submit(job, reply_of(201, BOMB.encode()), NOW), Unknown)
    refused = operation.read_submit(job, reply_of(400, b"<error><message>no</message></error>"), NOW)
    assert refused == Refused("HTTP 400: no")
    empty = operation.read_poll(job, reply_of(200, b""), NOW)
    assert empty == Retry("HTTP 200, and an empty body instead of XML")


def test_the_bounds_of_the_account_hold() -> None:
    """As for JSON."""
    text = "<job>" + "<r/>" * 100 + "</job>"
    bounds = Bounds(most_values=50)
    operation = provider_of(WHOLE).bind("shop", {}, bounds=bounds).operations["report"]
    read = operation.read_poll(job_with(), reply_of(200, text.encode()), NOW)
    assert isinstance(read, Refused)
    assert "raise most_values in the account's bounds" in read.reason


def test_a_step_may_differ_from_the_rest() -> None:
    """The nearest ``reply`` counts: of the step, of the operation, of the provider."""
    mixed = changed('handle = "job.id"', 'handle = "id"\nreply = "json"', WHOLE)
    operation = operation_of(mixed)
    assert operation.read_submit(job_with(), reply_of(201, {"id": 7}), NOW) == Accepted("7")
    assert isinstance(operation.read_poll(job_with(), reply_of(200, b"<job><phase>DONE</phase></job>"), NOW), Ready)
    of_operation = changed('title = "Report"', 'title = "Report"\nreply = "json"', WHOLE)
    assert operation_of(of_operation).read_submit(job_with(), reply_of(201, {"job": {"id": 8}}), NOW) == Accepted("8")


SESSION = """
[auth]
type = "session"
renew = [{ status = 200, json = "Error.Code == 'Expired'" }]
login = { url = "/login", token = "login.token" }
"""


def test_a_spent_token_is_recognized_in_xml() -> None:
    """`renew` reads the body as the steps do; the reason is the provider's."""
    session = provider_of(WHOLE + SESSION).bind("shop", {}).auth.session
    assert session is not None
    for code, spent in (("Expired", True), ("Busy", False)):
        body = f"<Error><Code>{code}</Code></Error>".encode()
        assert session.rejects_token(reply_of(200, body, "https://api.example.com/reports/1")) is spent


PAGED = (
    HEAD
    + """
[operations.report]
title = "Report"
[operations.report.results.pages]
url = "/rows"
items = "rows.row"
reply = { format = "xml", lists = ["rows.row"] }
"""
)


def test_a_page_without_items_is_an_empty_page() -> None:
    """Only the list makes it an array."""
    pages = operation_of(PAGED).pages(job_with())
    assert pages is not None
    for body, items in ((b"<rows/>", ()), (b"<rows><row>1</row></rows>", ("1",))):
        assert pages.read(job_with(), PagePosition(), reply_of(200, body), NOW) == ListedItems(items, None)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (FORM, 'reply = "yaml"', "demo.toml: reply: must be 'json' or 'xml'"),
        (FORM, "reply = 1", "demo.toml: reply: must be a table"),
        (
            FORM, 'reply = { lists = ["a.b"] }',
            'demo.toml: reply: lists are for XML, and this is JSON, whose arrays need no list: add format = "xml"',
        ),
        (
            FORM, 'reply = { format = "xml", lists = ["results.result", "uws:result"] }',
            "demo.toml: reply.lists[1]: 'uws:result' must be the names of an element and of one in it, without prefixes"
            ': "results.result"',
        ),
        (
            FORM, 'reply = "xml"',
            "demo.toml: operations.report.results.files.each: reads an element of XML that is an array only if it "
            'comes twice: add "results.result" to reply.lists, as '
            'in reply = { format = "xml", lists = ["results.result"] }',
        ),
        ('handle = "job.id"', 'handle = "job.id"\nreply = { form = "xml" }',
         "demo.toml: operations.report.submit.reply.form: unknown key (there are: format, lists)"),
    ],
)  # fmt: skip
def test_faults_name_the_key(old: str, new: str, fault: str) -> None:
    """A wrong table of replies is a fault of the spec."""
    assert faults_of(changed(old, new, WHOLE)) == [fault]


def test_a_missing_list_of_pages_is_a_fault() -> None:
    """A page with one item would be no list."""
    (fault,) = faults_of(changed(', lists = ["rows.row"]', "", PAGED))
    assert fault.startswith("demo.toml: operations.report.results.pages.items: reads an element of XML that is an")
