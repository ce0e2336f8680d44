"""Traps: parts of a spec that are permitted, but cannot mean what their author wanted.

``tidewaiter providers lint`` reports them, each with what to write instead. A spec that has one is still used, because
it works as it is written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pydantic import BaseModel

from tidewaiter.providers.errors import SpecFault
from tidewaiter.providers.replies.reply_rules import expand
from tidewaiter.providers.spec.field_types import Expression, PickSpec
from tidewaiter.providers.spec.list_spec import PageSpec
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.spec.request_spec import RequestSpec, RuleSpec
from tidewaiter.providers.spec.results_spec import FilesSpec
from tidewaiter.providers.values.jmespath_expressions import compile_expression, negation_fault
from tidewaiter.providers.values.template import refers_to

_EXPRESSION: Final = get_args(Expression)[1]
_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})
_WITHOUT_BODY: Final = frozenset({*range(100, 200), 204, 304})
_INTERIM: Final = frozenset(range(100, 200))
_ONE_REFERENCE: Final = re.compile(r"\$\{[^{}]*\}")
_ALWAYS: Final = "`true`"
"""As ``last``: the list has no other page."""
_MOST_NAMES: Final = 20
_NEXT: Final = "page.next"
_COUNTERS: Final = ("page.number", "page.offset")

Found = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SpecPlace:
    """A table of a spec: its key, the table, and the method of the request that it is part of."""

    key: str
    table: BaseModel
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    """The parameters of its operation."""
    raw: object = None


def find_traps(file: str, spec: ProviderSpec, raw: Mapping[str, Any]) -> list[SpecFault]:
    """The traps of a spec without faults.

    Args:
        file: its name.
        spec: the spec.
        raw: its parsed TOML, with every ``like`` expanded, for the keys as they stand in the file.
    """
    found = set()
    for place in places_of(spec, raw):
        for check in (_expressions, _pages, _body, _rules):
            found |= {SpecFault(file, key, reason) for key, reason in check(place)}
        found |= {SpecFault(file, key, reason) for key, reason in _links(place, spec)}
    return sorted(found)


def places_of(spec: ProviderSpec, raw: Mapping[str, Any]) -> Iterator[SpecPlace]:
    """Every table of a spec but the examples, outer ones first."""
    whole = SpecPlace("", spec, raw=raw)
    for place in _inside(whole):
        if not place.key.startswith("examples"):
            yield place


def expressions_in(place: SpecPlace) -> Iterator[tuple[str, str]]:
    """The JMESPath expressions of a table, each with its key."""
    if isinstance(place.table, PickSpec) and isinstance(place.raw, str):
        yield place.key, place.raw
        return
    for name, one in type(place.table).model_fields.items():
        value, key = getattr(place.table, name), _below(place.key, one.alias or name)
        own = _EXPRESSION in one.metadata or _is_expression(one.annotation)
        if own and isinstance(value, str):
            yield key, value
        elif isinstance(value, Mapping) and _is_expression(next(iter(get_args(one.annotation)), None)):
            yield from ((_below(key, source), source) for source in value)


def _is_expression(annotation: object) -> bool:
    metadata = getattr(annotation, "__metadata__", ())
    return _EXPRESSION in metadata or any(
        _EXPRESSION in getattr(one, "__metadata__", ()) for one in get_args(annotation)
    )


def _inside(place: SpecPlace) -> Iterator[SpecPlace]:
    method = place.table.method if isinstance(place.table, RequestSpec) else place.method
    place = SpecPlace(place.key, place.table, method, place.params, place.raw)
    yield place
    raw = place.raw if isinstance(place.raw, Mapping) else {}
    for name, one in type(place.table).model_fields.items():
        alias = one.alias or name
        params = getattr(place.table, "params", place.params)
        yield from _tables(getattr(place.table, name), raw.get(alias), _below(place.key, alias), method, params)


def _tables(value: object, raw: object, key: str, method: str, params: Mapping[str, Any]) -> Iterator[SpecPlace]:
    match value:
        case BaseModel():
            yield from _inside(SpecPlace(key, value, method, params, raw))
        case tuple():
            for number, item in enumerate(value):
                several = isinstance(raw, Sequence) and not isinstance(raw, str)
                inner = raw[number] if isinstance(raw, Sequence) and several and number < len(raw) else raw
                yield from _tables(item, inner, f"{key}[{number}]" if several else key, method, params)
        case Mapping():
            for name, item in value.items():
                inner = raw.get(name) if isinstance(raw, Mapping) else None
                yield from _tables(item, inner, _below(key, str(name)), method, params)
        case _:
            pass


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


# --- the traps --------------------------------------------------------------------------------------------------------


def _expressions(place: SpecPlace) -> Found:
    for key, source in expressions_in(place):
        if (fault := negation_fault(source)) is not None:
            yield key, fault
        if "${" in source:
            reason = "holds ${...}, which JMESPath takes as plain text, because it sees the reply only; "
            yield key, f"{reason}to compare with values of the job, use match (in adopt) or when"


def _pages(place: SpecPlace) -> Found:
    pages = place.table
    if not isinstance(pages, PageSpec) or pages.next_url:
        return
    texts = (pages.url, pages.query, pages.headers, pages.body, pages.form)
    has_cursor = any(refers_to(text, (_NEXT,)) for text in texts)
    has_counter = any(refers_to(text, _COUNTERS) for text in texts)
    if pages.next and not has_cursor and not has_counter:
        reason = "is sent nowhere, so the second page would be the first one again; write ${page.next} into the query"
        yield _below(place.key, "next"), f"{reason}, or use next_url if the reply names the whole URL"
    elif has_cursor and not pages.next:
        yield place.key, "sends ${page.next}, but there is no next that says where the cursor is in the reply"
    elif not pages.next and not has_counter and (pages.last not in (None, _ALWAYS) or pages.size is not None):
        what = "last" if pages.last not in (None, _ALWAYS) else "size"
        reason = "says that there are more pages, but the request asks only for the first one; write ${page.number}"
        yield _below(place.key, what), f"{reason} or ${{page.offset}} into the query, or name the next page by next"


def _body(place: SpecPlace) -> Found:
    request = place.table
    body = request.body if isinstance(request, RequestSpec) else None
    if body is None or isinstance(body, dict | list):
        return
    if isinstance(body, str) and _ONE_REFERENCE.fullmatch(body):
        name = body[2:-1].removeprefix("params.")
        kind = getattr(place.params.get(name), "type", None)
        if body.startswith("${params.") and kind not in (None, "object", "array"):
            yield _below(place.key, "json"), f"is {body}, of type {kind}; a JSON body is a table or an array"
        return
    example = 'json = { name = "value" }'
    yield _below(place.key, "json"), f"is sent as one JSON value, {body!r}; write a table, such as {example}"


def _rules(place: SpecPlace) -> Found:
    """The rules of a table that can never hold."""
    rules: Iterable[object] = getattr(place.table, "rules", ())
    raw = place.raw.get("rules") if isinstance(place.raw, Mapping) else None
    decided: dict[tuple[object, ...], dict[int, int]] = {}
    for number, rule in enumerate(rules):
        if not isinstance(rule, RuleSpec):
            continue
        key = f"{place.key}.rules[{number}]" if isinstance(raw, list) else f"{place.key}.rules"
        codes = expand(rule.status)
        yield from _unmet(rule, codes, key, place.method)
        asked = (rule.expression, rule.header, rule.text)
        earlier = {**decided.get((None, None, None), {}), **decided.get(asked, {})}
        if codes and codes <= earlier.keys():
            first = min(earlier[code] for code in codes)
            reason = f"never decides, because rules[{first}] holds for each such reply; put this rule before it"
            yield key, f"{reason}, or give that one a condition"
        if rule.then is not None:
            seen = decided.setdefault(asked, {})
            seen.update({code: number for code in codes if code not in seen})


def _unmet(rule: RuleSpec, codes: frozenset[int], key: str, method: str) -> Found:
    if codes and codes <= _FOLLOWED and method in ("GET", "HEAD"):
        reason = "names a redirect, which a GET follows: the rules see the reply that it leads to"
        yield f"{key}.status", f"{reason}; write the rule for that reply, such as status = 200"
    elif codes and codes <= _INTERIM:
        yield f"{key}.status", "names interim replies, which no rule sees; name the status of the reply that follows"
    elif rule.expression is not None and (method == "HEAD" or codes <= _WITHOUT_BODY):
        what = "the reply to a HEAD" if method == "HEAD" else "a reply with this status"
        yield f"{key}.json", f"is never true, because {what} has no body; use header, or status alone"


def _links(place: SpecPlace, spec: ProviderSpec) -> Found:
    """Lists of files whose items in the examples are never such that ``url`` finds a link."""
    files = place.table
    asked: Any = getattr(files, "download", None)
    if not isinstance(files, FilesSpec) or (asked is not None and asked.url):
        return
    operation = place.key.split(".")[1]
    if files.each is None or any(one.lists for one in spec.operations[operation].results):
        return
    each, url = compile_expression(files.each), compile_expression(files.url)
    replies = [one.reply.body for one in spec.examples if one.operation == operation and one.reply is not None]
    found = [each(body) for body in replies]
    items = [item for one in found for item in (one if isinstance(one, list) else [one]) if item is not None]
    if not items or any(isinstance(url(item), str) for item in items):
        return
    key, example = _below(place.key, "each"), items[0]
    if isinstance(example, dict):
        names = ", ".join(sorted(example)[:_MOST_NAMES]) or "none"
        yield key, f"finds objects in which url = {files.url!r} finds no link; they have the keys {names}"
    elif isinstance(example, str):
        yield key, 'finds the link itself in the examples; write url = "@" beside it'
