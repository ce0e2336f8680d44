"""Templates and requests: types are kept, nothing is concatenated, missing values are left out."""

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spec_samples import BASE, job_with
from tidewaiter.domain.http_values import Json, WireRequest
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.requests.request_building import compile_request
from tidewaiter.providers.spec.step_specs import SubmitSpec
from tidewaiter.providers.values.template import Reference, TemplateError, parse_template

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
HOSTILE = 'a"b}, ${handle} \\ \n&=?#/../%2e ü'


def _built(
    spec: Mapping[str, object],
    params: Mapping[str, Json] | None = None,
    *,
    handle: str | None = "42",
    callback_url: str | None = None,
    settings: Mapping[str, Json] | None = None,
) -> WireRequest:
    table = SubmitSpec.model_validate({"url": "/x", **spec})
    build = compile_request(table, BASE, settings or {}, fresh=True)
    return build(job_with(handle, params), callback_url)


def _json(body: Json, params: Mapping[str, Json]) -> Json:
    sent: Json = json.loads(_built({"json": body}, params).body or b"null")
    return sent


def test_a_template_is_read_into_its_parts() -> None:
    """Texts and references alternate; empty texts are gone."""
    assert parse_template("a/${params.x}${handle}") == ("a/", Reference("params", "x"), Reference("handle"))
    assert parse_template("/$export") == ("/$export",)
    assert parse_template("/${params.x:path}") == ("/", Reference("params", "x", as_path=True))
    assert [str(part) for part in parse_template("${handle:path}${params.x:path}")] == [
        "${handle:path}",
        "${params.x:path}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "${",
        "a ${params.x",
        "${param.x}",
        "${params.}",
        "${job}",
        "${}",
        "${ handle }",
        "${handle:all}",
        "${handle:}",
    ],
)
def test_what_is_no_reference_is_said(text: str) -> None:
    """Unclosed and unknown references are errors, never sent as they are."""
    with pytest.raises(TemplateError):
        parse_template(text)


@pytest.mark.parametrize("value", ["7", 7, 0, True, False, ""])
def test_a_whole_reference_keeps_its_type(value: Json) -> None:
    """A number stays a number in JSON, a boolean a boolean; within other text both are written."""
    sent = _json({"whole": "${params.x}", "part": "<${params.x}>", "fixed": [1, 2.5, True]}, {"x": value})
    written = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    assert sent == {"whole": value, "part": f"<{written}>", "fixed": [1, 2.5, True]}


def test_what_is_missing_leaves_its_key_out() -> None:
    """In JSON, query, form and headers; an item of a list goes too, and what is around it stays."""
    tree: Json = {"a": "${params.no}", "b": {"c": "${params.no}", "d": ["x", "${params.no}", "<${params.no}>"]}}
    assert _json(tree, {}) == {"b": {"d": ["x"]}}
    request = _built(
        {
            "query": {"q": "${params.no}", "r": 1},
            "form": {"f": "${params.no}", "g": True},
            "headers": {"X": "${params.no}"},
        }
    )
    assert request.url == f"{BASE}/x?r=1"
    assert request.body == b"g=true"
    assert dict(request.headers) == {"content-type": "application/x-www-form-urlencoded"}
    assert _built({"query": {"q": "${params.no}"}}).url == f"{BASE}/x"


def test_an_object_that_is_left_out_as_a_whole() -> None:
    """If the value of its key ``?`` is missing; the key is never sent, and at the top it is an ordinary one."""
    one: Json = {"?": "${params.a}", "name": "a", "value": "${params.a}"}
    tree: Json = {"?": "top", "items": [one, {"?": "${account.b}", "name": "b"}, {"?": "x", "name": "c"}], "one": one}
    named: Json = {"name": "a", "value": False}
    assert _json(tree, {"a": False}) == {"?": "top", "items": [named, {"name": "c"}], "one": named}
    with_setting = _built({"json": tree}, settings={"b": 1}).body
    assert json.loads(with_setting or b"") == {"?": "top", "items": [{"name": "b"}, {"name": "c"}]}


def test_every_reference_there_is() -> None:
    """Parameters, settings, the job's number, the intent, the callback; and the handle, once there is one."""
    tree: Json = [
        "${params.p}",
        "${account.a}",
        "${job.id}",
        "${intent.key}",
        "${callback_url}",
        "${handle}",
    ]
    job = {"callback_url": "https://us.example.com/c?x=1"}
    table = SubmitSpec.model_validate({"url": "/x", "json": tree})
    request = compile_request(table, BASE, {"a": 5})(job_with("h", {"p": "v"}), job["callback_url"])
    assert json.loads(request.body or b"") == ["v", 5, 7, "key-1", "https://us.example.com/c?x=1", "h"]


def test_hostile_values_stay_values() -> None:
    """Quotes, braces, references and line breaks in a value change nothing of the structure around them."""
    assert _json({"a": "${params.x}", "b": "<${params.x}>"}, {"x": HOSTILE}) == {"a": HOSTILE, "b": f"<{HOSTILE}>"}
    request = _built({"headers": {"X-Name": "v ${params.x}"}, "query": {"q": "${params.x}"}}, {"x": HOSTILE})
    assert "\n" not in request.headers["X-Name"]
    assert parse_qsl(urlsplit(request.url).query) == [("q", HOSTILE)]


def test_in_a_url_values_are_percent_encoded() -> None:
    """A value can neither leave its segment nor begin a query, and the handle is no exception."""
    request = _built({"url": "/a/${params.x}/${handle}/b?q=${params.x}"}, {"x": "1/2?3#4 5"}, handle="h/%&")
    assert request.url == f"{BASE}/a/1%2F2%3F3%234%205/h%2F%25%26/b?q=1%2F2%3F3%234%205"


@pytest.mark.parametrize("value", [".", "..", "..."])
def test_dots_are_no_segment(value: str) -> None:
    """`..` would name another resource, and percent-encoding does not help against that."""
    with pytest.raises(UnsendableError, match="cannot be a part of a URL"):
        _built({"url": "/groups/${params.x}/export"}, {"x": value})


def test_a_path_keeps_its_slashes() -> None:
    """``:path`` makes several segments: each is percent-encoded, none is empty or dots; a first slash is left out."""
    request = _built({"url": "/a/${params.x:path}/${handle:path}"}, {"x": "b c/d?/e"}, handle="jobs/7")
    assert request.url == f"{BASE}/a/b%20c/d%3F/e/jobs/7"
    assert _built({"url": "/a/${params.x:path}"}, {"x": "/b/c"}).url == f"{BASE}/a/b/c"
    for value in ("b/../c", "b//c", "//b", "/", "b/", "b/./c", ""):
        with pytest.raises(UnsendableError, match="cannot be a part of a URL"):
            _built({"url": "/a/${params.x:path}"}, {"x": value})


def test_an_object_among_the_parameters_becomes_a_query() -> None:
    """Its members are keys, a list repeats its key, null is left out, and what the table has itself stays."""
    given: Json = {"page": 2, "all": True, "tag": ["a b", "c", None], "none": None, "limit": 999}
    table = {"query": {"limit": 10, "*": "${params.more}"}}
    assert _built(table, {"more": given}).url == f"{BASE}/x?limit=10&page=2&all=true&tag=a%20b&tag=c"
    assert _built(table).url == f"{BASE}/x?limit=10"
    assert _built({"form": {"*": "${params.more}"}}, {"more": {"a": "&="}}).body == b"a=%26%3D"
    assert _built({"query": {"*": 1}}).url == f"{BASE}/x?%2A=1"


@pytest.mark.parametrize("value", [{"b": 1}, [[1]], [{"b": 1}]])
def test_what_a_query_cannot_hold(value: Json) -> None:
    """An object or a list within the object is refused, rather than left out unseen."""
    with pytest.raises(UnsendableError, match="a is neither a single value nor a list of them"):
        _built({"query": {"*": "${params.more}"}}, {"more": {"a": value}})


def test_a_url_cannot_do_without_its_values() -> None:
    """Rather no request than one for another resource."""
    with pytest.raises(UnsendableError, match="needs a value that the job does not have"):
        _built({"url": "/a/${handle}"}, handle=None)
    with pytest.raises(UnsendableError, match="the job's handle is missing"):
        _built({"url": "${handle}"}, handle=None)
    with pytest.raises(UnsendableError, match="is no URL") as caught:
        _built({"url": "${handle}"}, handle="ftp://u:canary@host/x?sig=canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("handle", "url"),
    [
        ("https://other.example.com/j%2f1?sig=a%2Bb&&", "https://other.example.com/j%2f1?sig=a%2Bb&&"),
        ("/jobs/1?x=%7E", "https://api.example.com/jobs/1?x=%7E"),
        ("jobs/1", "https://api.example.com/v1/jobs/1"),
    ],
)
def test_a_handle_that_is_a_url_is_kept(handle: str, url: str) -> None:
    """Absolute: byte for byte. Relative: resolved against the base URL."""
    assert _built({"url": "${handle}"}, handle=handle).url == url
    assert _built({"url": "${handle}/results"}, handle=handle).url == f"{url}/results"


def test_a_query_joins_one_that_is_there() -> None:
    """Of the URL's own template, or of the handle."""
    assert _built({"url": "/x?a=1", "query": {"b": 2}}).url == f"{BASE}/x?a=1&b=2"
    asked = _built({"url": "${handle}", "query": {"b": "ä &"}}, handle="https://o.example.com/j?a=1")
    assert asked.url == "https://o.example.com/j?a=1&b=%C3%A4%20%26"


def test_a_form_is_encoded_and_a_content_type_can_be_chosen() -> None:
    """Keys and values alike; what the spec says of the content type wins, in any case."""
    request = _built({"form": {"a b": "${params.x}"}}, {"x": "1&2=ü"})
    assert request.body == b"a%20b=1%262%3D%C3%BC"
    own = _built({"json": {}, "headers": {"Content-Type": "application/vnd.x+json"}})
    assert dict(own.headers) == {"Content-Type": "application/vnd.x+json"}
    assert own.body == b"{}"
    assert own.fresh


@settings(deadline=None)
@given(TEXT, TEXT)
def test_any_text_arrives_in_json_and_query_as_it_was(one: str, other: str) -> None:
    """Substitution is lossless, and structure never depends on values."""
    params = {"one": one, "other": other}
    assert _json({"k": "${params.one}|${params.other}"}, params) == {"k": f"{one}|{other}"}
    url = _built({"query": {"k": "${params.one}", "l": "${params.other}"}}, params).url
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == [("k", one), ("l", other)]


@settings(deadline=None)
@given(TEXT.filter(lambda text: text.strip(".") != ""))
def test_any_text_stays_in_its_segment(text: str) -> None:
    """The path has as many segments as its template, and the middle one is the value."""
    url = _built({"url": "/a/${params.x}/b"}, {"x": text}).url
    segments = url.removeprefix(BASE).split("/")
    assert [unquote(segment) for segment in segments] == ["", "a", text, "b"]
    assert url.isascii()
    assert urlsplit(url).query == urlsplit(url).fragment == ""
