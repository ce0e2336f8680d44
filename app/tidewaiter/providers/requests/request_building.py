"""Requests: the tables of a spec compiled into functions that build HTTP requests."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeAlias

from tidewaiter.domain.http_values import Json, WireRequest
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.multipart import FileSource, Multipart, Part
from tidewaiter.domain.url import shown_handle
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.spec.body_spec import MultipartSpec, UploadSpec
from tidewaiter.providers.spec.request_spec import RequestSpec
from tidewaiter.providers.values.addresses import resolve_url
from tidewaiter.providers.values.template import (
    NULL,
    Fixed,
    always,
    compile_text,
    compile_tree,
    compile_value,
    query_part,
    references_in,
    url_part,
)
from tidewaiter.providers.values.texts import as_text

Build: TypeAlias = Callable[[Job, str | None], WireRequest]
"""Builds a request for a job and its callback URL; raises ``UnsendableError`` if the job lacks a value."""
BuildUrl: TypeAlias = Callable[[Job, str | None], str]
BuildHeaders: TypeAlias = Callable[[Job, str | None], Mapping[str, str]]

HANDLE = "${handle}"
ORIGINS: Final = "origins."
"""Before the name of an origin in the settings, where no setting can have such a name: its URL."""
SPREAD = "*"
"""The key of a query or form whose value is an object; each member of the object becomes a field."""

NO_JOB: Final = Job(0, 0, "", "", {}, State.QUEUED, 0, None, 0.0, 0.0)
"""The job for requests that belong to no job: a login or a probe. Their templates refer to settings only."""

_NAMED_URL: Final = re.compile(r"\$\{(?:handle|(?:kept|item)\.[a-z][a-z0-9_]*)\}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_JSON = {"content-type": "application/json"}
_TEXT = {"content-type": "text/plain; charset=utf-8"}
_FORM = {"content-type": "application/x-www-form-urlencoded"}


def compile_request(spec: RequestSpec, base_url: str, settings: Mapping[str, Json], *, fresh: bool = False) -> Build:
    """The function that builds a request.

    Args:
        spec: the request's table.
        base_url: the base of URLs that begin with ``/``, unless the spec names another one.
        settings: the account's values, and the other bases; see ``ORIGINS``.
        fresh: whether the request needs a new connection.
    """
    method = spec.method
    auth = True if spec.auth is None else spec.auth
    base_url = base_url if spec.base is None else str(settings[f"{ORIGINS}{spec.base}"])
    url = compile_url(spec.url, base_url, settings, spec.query)
    body = _compile_body(spec, settings)
    kind = _kind_of(spec)
    given = {name.lower() for name in spec.headers}
    headers = compile_headers(
        {**{name: value for name, value in kind.items() if name not in given}, **spec.headers}, settings
    )

    def build(job: Job, callback_url: str | None) -> WireRequest:
        content = body(job, callback_url)
        parts = content if isinstance(content, Multipart) else None
        whole = None if isinstance(content, Multipart) else content
        request = WireRequest(method, url(job, callback_url), headers(job, callback_url), whole, fresh, auth=auth)
        return request if parts is None else _with_parts(request, parts)

    return build


def _kind_of(spec: RequestSpec) -> Mapping[str, str]:
    """The Content-Type of a request, unless its headers have one."""
    if spec.text is not None:
        return _TEXT
    return _JSON if spec.body is not None else _FORM if spec.form is not None else {}


def _with_parts(request: WireRequest, multipart: Multipart) -> WireRequest:
    """A request with several parts; its body, too, if no file has to be read for it."""
    if multipart.sources:
        return replace(request, multipart=multipart)
    content_type, body = multipart.encoded({})
    return replace(request, headers={**request.headers, "Content-Type": content_type}, body=body, multipart=multipart)


def compile_url(
    template: str, base_url: str, settings: Mapping[str, Json], query: Mapping[str, Json] = MappingProxyType({})
) -> BuildUrl:
    """The function that builds a URL: from the base URL, or from the URL of a reply that begins the template."""
    if (named := _NAMED_URL.match(template)) is not None:
        without_query = _from_named_url(named[0], template, base_url, settings)
    else:
        without_query = _from_base(template, base_url, settings)
    if not query:
        return without_query
    pairs = _compile_pairs(query, settings)

    def with_query(job: Job, callback_url: str | None) -> str:
        url = without_query(job, callback_url)
        more = "&".join(pairs(job, callback_url))
        if not more:
            return url
        return f"{url}{'&' if '?' in url else '?'}{more}"

    return with_query


def _from_base(template: str, base_url: str, settings: Mapping[str, Json]) -> BuildUrl:
    render = always(compile_text(template, settings, url_part, before=base_url))

    def build(job: Job, callback_url: str | None) -> str:
        url = render(job, callback_url)
        if not isinstance(url, str):
            raise UnsendableError(f"the URL {template} needs a value that the job does not have")
        return url

    return build


def kept_url(template: str) -> str | None:
    """The name of the kept value that begins a URL's template; ``None`` if none does."""
    found = _NAMED_URL.match(template)
    return found[0][len("${kept.") : -1] if found is not None and found[0].startswith("${kept.") else None


def _from_named_url(name: str, template: str, base_url: str, settings: Mapping[str, Json]) -> BuildUrl:
    """A URL that begins with one that a reply has named: the handle, a kept value, or a value of an item."""
    value, rest = always(compile_value(name, settings)), _from_base(template.removeprefix(name), "", settings)
    base = f"{base_url}/"
    what = "the job's handle" if name == HANDLE else f"the value of {name}"

    def build(job: Job, callback_url: str | None) -> str:
        named = value(job, callback_url)
        url = resolve_url(base, named) if isinstance(named, str) else None
        if url is None:
            shown = shown_handle(named) if isinstance(named, str) else named
            raise UnsendableError(f"{what} {'is missing' if named is None else f'{shown!r} is no URL'}")
        return url + rest(job, callback_url)

    return build


def url_names(template: str) -> frozenset[str]:
    """The names of the parameters in a URL's template."""
    return frozenset(one.name for one in references_in(template) if one.scope == "params")


def path_names(template: str) -> frozenset[str]:
    """The names of the parameters that are several segments of the path."""
    return frozenset(one.name for one in references_in(template) if one.scope == "params" and one.as_path)


def compile_headers(table: Mapping[str, str], settings: Mapping[str, Json]) -> BuildHeaders:
    """The function that builds headers; one whose template has no value is left out."""
    node = compile_tree(table, settings)
    if isinstance(node, Fixed):
        fixed = MappingProxyType(dict(_headers_of(node.value)))
        return lambda _job, _callback_url: fixed
    return lambda job, callback_url: dict(_headers_of(node(job, callback_url)))


def _headers_of(tree: Json) -> Iterable[tuple[str, str]]:
    for name, value in _members(tree):
        # A line break would start another header.
        yield name, _CONTROLS.sub(" ", value)


def _compile_body(
    spec: RequestSpec, settings: Mapping[str, Json]
) -> Callable[[Job, str | None], bytes | Multipart | None]:
    if spec.text is not None:
        return _compile_text_body(spec.text, settings)
    if spec.multipart is not None:
        return _compile_parts(spec.multipart, settings)
    if spec.form is not None:
        pairs = _compile_pairs(spec.form, settings)
        return lambda job, callback_url: "&".join(pairs(job, callback_url)).encode("ascii")
    if spec.body is None:
        return lambda _job, _callback_url: None
    node = compile_tree(spec.body, settings)
    if isinstance(node, Fixed):
        fixed = _json_bytes(node.value)
        return lambda _job, _callback_url: fixed
    return lambda job, callback_url: _json_bytes(node(job, callback_url))


def _compile_text_body(template: str, settings: Mapping[str, Json]) -> Callable[[Job, str | None], bytes]:
    render = always(compile_text(template, settings))

    def text(job: Job, callback_url: str | None) -> bytes:
        value = render(job, callback_url)
        if value is None:
            raise UnsendableError("the body needs a value that the job does not have")
        return str(value).encode()

    return text


def _compile_parts(spec: MultipartSpec, settings: Mapping[str, Json]) -> Callable[[Job, str | None], Multipart]:
    fields = always(compile_tree(spec.fields, settings))
    files = [
        (one, _compile_optional(_content_of(one), settings), _compile_optional(one.file_name, settings))
        for one in spec.files
    ]

    def parts(job: Job, callback_url: str | None) -> Iterable[Part]:
        for name, value in _members(fields(job, callback_url)):
            yield Part(name, value.encode())
        for one, content, file_name in files:
            text = content(job, callback_url)
            if text is not None:
                called = file_name(job, callback_url)
                if one.text is not None:
                    yield Part(one.name, text.encode(), called or one.name, one.content_type or _TEXT["content-type"])
                else:
                    source = FileSource("folder" if one.from_file is not None else "job", text)
                    yield Part(one.name, source, called, one.content_type)

    return lambda job, callback_url: Multipart(tuple(parts(job, callback_url)), job.intent_key or f"job {job.id}")


def _content_of(spec: UploadSpec) -> str | None:
    """The template of a file's content, or of its place."""
    return spec.text or spec.from_file or spec.from_job


def _compile_optional(template: str | None, settings: Mapping[str, Json]) -> Callable[[Job, str | None], str | None]:
    render = always(Fixed(None) if template is None else compile_text(template, settings))

    def text(job: Job, callback_url: str | None) -> str | None:
        value = render(job, callback_url)
        return None if value is None else str(value)

    return text


def _json_bytes(tree: Json) -> bytes:
    return json.dumps(tree, separators=(",", ":"), allow_nan=False, default=_null).encode("ascii")


def _null(value: object) -> None:
    """What JSON has for the one value of a template that is no JSON: null."""
    if value is not NULL:
        raise TypeError(f"{value!r} is not JSON")


def _compile_pairs(
    table: Mapping[str, Json], settings: Mapping[str, Json]
) -> Callable[[Job, str | None], Iterable[str]]:
    render = always(compile_tree(table, settings))
    return lambda job, callback_url: [
        f"{query_part(key)}={query_part(value)}" for key, value in _pairs(render(job, callback_url))
    ]


def _pairs(tree: Json) -> Iterable[tuple[str, str]]:
    """The pairs of a query or a form; keys of a spread object that the table has itself are left out."""
    if not isinstance(tree, Mapping):
        return
    spread = tree.get(SPREAD)
    if not isinstance(spread, Mapping):
        yield from _members(tree)
        return
    yield from _members({name: value for name, value in tree.items() if name != SPREAD})
    for name, value in spread.items():
        if name not in tree:
            yield from _spread(name, value)


def _spread(name: str, value: Json) -> Iterable[tuple[str, str]]:
    if (fault := spread_fault(value)) is not None:
        raise UnsendableError(f"{name} {fault}")
    for one in value if isinstance(value, list) else [value]:
        if (text := as_text(one)) is not None:
            yield name, text


def spread_fault(value: Json) -> str | None:
    """Why the member of a spread object cannot become fields of a query or form; ``None`` if it can."""
    if all(one is None or as_text(one) is not None for one in (value if isinstance(value, list) else [value])):
        return None
    return "is neither a single value nor a list of them, which is what a query or a form holds"


def spread_names(spec: RequestSpec) -> frozenset[str]:
    """The parameters that are objects whose members become fields of the query or form."""
    texts = (table[SPREAD] for table in (spec.query, spec.form) if table and isinstance(table.get(SPREAD), str))
    return frozenset(one.name for text in texts for one in references_in(str(text)) if one.scope == "params")


def _members(tree: Json) -> Iterable[tuple[str, str]]:
    """The members of a rendered table that can be written as text."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if (text := as_text(value)) is not None:
                yield name, text
