"""Checks of references and conditions in a spec: each must refer to something that the spec defines.

The checks use the parsed TOML, not the models, so that they find faults in valid parts of a spec while other parts are
invalid.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tidewaiter.providers.checks.auth_references import (
    auth_conditions,
    auth_templates,
    login_value_faults,
    setting_faults,
)
from tidewaiter.providers.checks.item_references import downloads_of, item_reason, lists_of, same_lists
from tidewaiter.providers.checks.origin_references import origin_faults, url_settings
from tidewaiter.providers.checks.reuse_checks import reuse_faults
from tidewaiter.providers.checks.spec_kept import NOTHING, KeptBefore, adopt_faults, kept_before, name_faults
from tidewaiter.providers.checks.spec_trees import Tree
from tidewaiter.providers.checks.spec_trees import table_of as _table
from tidewaiter.providers.checks.spec_trees import tables_of as _tables
from tidewaiter.providers.checks.spec_trees import texts_in as _texts
from tidewaiter.providers.checks.spec_trees import variants_of as _variants
from tidewaiter.providers.checks.when_conditions import (
    Found,
    always_there,
    condition_faults,
    variant_faults,
    when_faults,
)
from tidewaiter.providers.errors import SpecFault
from tidewaiter.providers.requests.request_building import SPREAD
from tidewaiter.providers.spec.field_types import PARAMS
from tidewaiter.providers.values.template import Reference, TemplateError, names_callback, parse_template

_WITH_SECRETS = re.compile(r"\.(before|submit|start)(\[\d+\])?\.(headers|json|form|text|multipart)\b")

_REQUEST_TEXTS = ("query", "headers", "json", "form", "multipart", "label", "match")
_WITHOUT_HANDLE = ("before", "submit", "adopt", "reuse")
_WITHOUT_INTENT = ("before", "reuse")
_SEARCHES = ("adopt", "reuse")
_STAGES = ("before", "start")
_STEPS = ("before", "submit", "adopt", "reuse", "start", "poll", "results", "cancel", "cleanup")
_REQUIRED_STEPS = ("submit", "poll", "results")


def check_references(file: str, raw: Tree) -> list[SpecFault]:
    """The faults of all templates, of every ``when``, and of the operations and stages of examples."""
    settings = _tables(raw.get("account"))
    every = [
        *_base_url(raw, settings),
        *when_faults(settings, "account"),
        *_auth(raw, settings),
        *_probe(raw, settings),
    ]
    every += [*_origins(raw, settings), *origin_faults(raw), *login_value_faults(raw)]
    operations = _tables(raw.get("operations"))
    for name, operation in operations.items():
        every += _operation(operation, f"operations.{name}", settings)
    every += _examples(raw, operations)
    return [SpecFault(file, key, reason) for key, reason in every]


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a template: what it may refer to, and the ``when`` of its variant."""

    key: str
    settings: Mapping[str, Tree]
    params: Mapping[str, Tree] | None = None
    when: Tree | None = None
    secrets: bool = False
    signs: bool = False
    """Whether there is a key whose fingerprint a template may refer to."""
    handle: bool = False
    callback: bool = False
    page: bool = False
    since: bool = False
    sized: bool = False
    required: bool = False
    items: frozenset[str] | None = None
    """The names of the values of items; ``None`` where there is no list."""
    kept: KeptBefore = NOTHING
    intent: bool = True
    nested: bool = False
    """Whether a template that is one reference may refer to an object or array."""


def _base_url(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    given = raw.get("base_url")
    texts = given if isinstance(given, list) else [given]
    for place, text in enumerate(texts):
        is_last = place == len(texts) - 1
        yield from _template(text, _Place("base_url", settings, required=is_last))


def _origins(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    for name, origin in _tables(raw.get("origins")).items():
        yield from _template(origin.get("url"), _Place(f"origins.{name}.url", settings, required=True))
    yield from url_settings(raw, settings)


def _auth(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    yield from _credentials(raw.get("auth"), "auth", settings)
    for name, auth in _tables(raw.get("auths")).items():
        yield from _credentials(auth, f"auths.{name}", settings)


def _credentials(auth: object, at: str, settings: Mapping[str, Tree]) -> Found:
    for key, when in auth_conditions(auth, at):
        yield from condition_faults(when, key, settings, None)
    for text in auth_templates(auth, at):
        place = _Place(text.key, settings, when=text.when, secrets=True, required=text.required, signs=text.signs)
        yield from _template(text.text, place)
    yield from setting_faults(auth, at, settings)
    if at == "auth":
        yield from variant_faults([one for _, one in _variants(auth, at)], at, settings, {})


def _probe(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    probe = _table(raw.get("probe"))
    for name in ("url", "text"):
        yield from _template(probe.get(name), _Place(f"probe.{name}", settings, required=True))
    for name in _REQUEST_TEXTS:
        for inner, text in _texts(probe.get(name), f"probe.{name}"):
            yield from _template(text, _Place(inner, settings))


def _operation(operation: Tree, key: str, settings: Mapping[str, Tree]) -> Found:
    params = _tables(operation.get("params"))
    yield from when_faults(params, f"{key}.params")
    yield from _as_written(params, f"{key}.params", settings)
    yield from _page_params(operation, key, params)
    yield from _callback(operation, key)
    yield from reuse_faults(operation, key)
    yield from adopt_faults(operation, key)
    yield from name_faults(operation, key)
    for step in _STEPS:
        variants = list(_variants(operation.get(step), f"{key}.{step}"))
        named = step not in _WITHOUT_HANDLE and bool(operation.get("submit"))
        for number, (at, variant) in enumerate(variants):
            when = _table(variant.get("when"))
            kept = kept_before(operation, step, number)
            yield from condition_faults(when, f"{at}.when", settings, params, kept=kept, handle=named)
            place = _Place("", settings, params, when=when, handle=named, kept=kept.where(when))
            yield from _requests(variant, at, step, place)
        if step in _REQUIRED_STEPS:
            yield from variant_faults([one for _, one in variants], f"{key}.{step}", settings, params)


def _callback(operation: Tree, key: str) -> Found:
    """The schedule for callbacks and a submit with a callback URL need each other."""
    senders = [
        f"{at}.{name}"
        for at, submit in _variants(operation.get("submit"), f"{key}.submit")
        for name in _REQUEST_TEXTS
        if names_callback(submit.get(name))
    ]
    if "callback" in operation and not senders:
        yield f"{key}.callback", "is never used, because no submit sends ${callback_url}"
    elif senders and "callback" not in operation:
        yield senders[0], f"sends ${{callback_url}}, so there must be a table [{key}.callback] with the slower schedule"


def _requests(variant: Tree, key: str, step: str, place: _Place) -> Found:
    """The templates of a variant and of the requests within it; ``place`` limits what they may refer to."""
    place = replace(place, callback=step == "submit", page=step in _SEARCHES, since=step == "reuse")
    place = replace(place, intent=step not in _WITHOUT_INTENT)
    yield from _request(variant, key, place)
    made = replace(place, key=f"{key}.handle_from", callback=False, required=True, kept=place.kept.with_own(variant))
    yield from _template(variant.get("handle_from"), made)
    yield from _request(_table(variant.get("resolve")), f"{key}.resolve", place)
    yield from _request(_table(variant.get("pages")), f"{key}.pages", replace(place, page=True))
    yield from _request(_table(variant.get("download")), f"{key}.download", place)
    for at, table, items in (*lists_of(variant, key), *downloads_of(variant, key)):
        yield from _request(table, at, replace(place, items=items, page=not at.endswith(".download")))
    yield from same_lists(variant, key)


def _request(table: Tree, key: str, place: _Place) -> Found:
    place = replace(place, sized="size" in table)
    yield from _template(table.get("url"), replace(place, key=f"{key}.url", callback=False, required=True))
    yield from _template(table.get("text"), replace(place, key=f"{key}.text", required=True))
    for name in _REQUEST_TEXTS:
        for inner, text in _texts(table.get(name), f"{key}.{name}"):
            nested = (
                name == "json"
                or (place.since and name == "match")
                or inner in (f"{key}.query.{SPREAD}", f"{key}.form.{SPREAD}")
            )
            yield from _template(text, replace(place, key=inner, nested=nested))


def _template(text: object, place: _Place) -> Found:
    if not isinstance(text, str):
        return
    try:
        parts = parse_template(text)
    except TemplateError as error:
        yield place.key, str(error)
        return
    alone = place if len(parts) == 1 else replace(place, nested=False)
    for part in parts:
        for one in part.each() if isinstance(part, Reference) else ():
            if one.as_path and not place.key.endswith(".url"):
                yield place.key, f"refers to {one}, which only a url may"
            # A reference with an alternative may be missing in any place.
            if reason := _reason_against(one, alone if one.otherwise is None else replace(alone, required=False)):
                yield place.key, reason


def _reason_against(reference: Reference, place: _Place) -> str | None:
    """Why a reference is not permitted in a place; ``None`` if it is."""
    if reference.scope == "key.sha256" or reference.scope == "login":  # noqa: PLR1714  # narrows the type
        return _reason_of_auth(reference, place)
    if reference.scope == "account":
        return _named(reference, place.settings, place.when or {}, place, "setting")
    if place.params is None:
        return f"refers to {reference}, but there is no job here, only the account"
    match reference.scope:
        case "params":
            return _named(reference, place.params, _table((place.when or {}).get(PARAMS)), place, "parameter")
        case "kept":
            return place.kept.reason_against(reference.name, required=place.required)
        case "handle" | "callback_url" | "job.id" | "intent.key":
            return _reason_of_submit(reference, place)
        case "item" | "null":
            return _reason_of_value(reference, place)
        case "page.next" | "page.number" | "page.offset" | "page.size" | "page.since":
            return _page_reason(reference, place)


def _reason_of_value(reference: Reference, place: _Place) -> str | None:
    if reference.scope == "item":
        return item_reason(reference, place.items)
    return None if place.nested else "refers to ${null}, which may stand only alone in its text, in json"


def _reason_of_submit(reference: Reference, place: _Place) -> str | None:
    if reference.scope == "handle" and not place.handle:
        return "refers to ${handle}, but here there is none, because no submit has named one"
    if reference.scope == "callback_url" and not place.callback:
        return "refers to ${callback_url}, which only the query, headers and body of a submit may"
    if reference.scope == "callback_url" and place.required:
        return "refers to ${callback_url}, which is missing without callbacks; here it must not be"
    if reference.scope == "intent.key" and not place.intent:
        return f"refers to {reference}, but before the submit there is none: use ${{job.id}}"
    return None


def _reason_of_auth(reference: Reference, place: _Place) -> str | None:
    if reference.scope == "key.sha256":
        return None if place.signs else "refers to ${key.sha256}, which only claims may"
    return "refers to a value of the login, which was not sent yet" if place.secrets else None


def _page_reason(reference: Reference, place: _Place) -> str | None:
    if not place.page:
        return f"refers to {reference}, but here is no list with pages"
    if reference.scope == "page.size" and not place.sized:
        return f"refers to {reference}, but there is no size"
    if reference.scope == "page.since" and not place.since:
        return f"refers to {reference}, which only reuse has"
    if reference.scope == "page.next" and place.required:
        return f"refers to {reference}, which may be missing; here it must not be"
    return None


def _named(reference: Reference, known: Mapping[str, Tree], when: Tree, place: _Place, what: str) -> str | None:
    spec = known.get(reference.name)
    if spec is None:
        return f"refers to {reference}, but there is no such {what} (there are: {', '.join(known) or 'none'})"
    if spec.get("secret") is True and what == "parameter":
        if not _WITH_SECRETS.search(place.key):
            return f"refers to {reference}, a secret, which only headers and bodies of before, submit and start may"
    elif spec.get("secret") is True and not place.secrets:
        return f"refers to {reference}, a secret, which only auth may, because it is kept from other origins"
    if spec.get("type") in ("object", "array") and not place.nested:
        alone = "which may stand only alone in its text, in json, or as * of query and form"
        return f"refers to {reference}, an {spec['type']}, {alone}"
    implied = all(when.get(name) == value for name, value in _table(spec.get("when")).items())
    if place.required and not (always_there(spec) and implied):
        return f"refers to {reference}, which may be missing; here it must not be"
    return None


def _as_written(params: Mapping[str, Tree], key: str, settings: Mapping[str, Tree]) -> Found:
    """The ``as_written`` conditions of parameters and fields: they name settings."""
    for name, one in params.items():
        yield from condition_faults(_table(one.get("as_written")), f"{key}.{name}.as_written", settings, None)
        yield from _as_written(_tables(one.get("fields")), f"{key}.{name}.fields", settings)
        yield from _as_written(_tables(_table(one.get("items")).get("fields")), f"{key}.{name}.items.fields", settings)


def _page_params(operation: Tree, key: str, params: Mapping[str, Tree]) -> Found:
    """The parameters by which a job selects a part of a list."""
    pages = []
    for at, one in _variants(operation.get("results"), f"{key}.results"):
        pages += [(f"{at}.pages", _table(one.get("pages"))), *_variants(one.get("lists"), f"{at}.lists")]
    searches = [one for step in _SEARCHES for one in _variants(operation.get(step), f"{key}.{step}")]
    for at, table in (*pages, *searches):
        for what, name in _table(table.get("by_params")).items():
            if not isinstance(name, str) or params.get(name, {}).get("type") != "integer":
                yield f"{at}.by_params.{what}", f"{name!r} is no parameter of type integer"


def _examples(raw: Tree, operations: Mapping[str, Tree]) -> Found:
    for key, example in _variants(raw.get("examples"), "examples"):
        name = example.get("operation")
        if not isinstance(name, str):
            continue
        if name not in operations:
            yield f"{key}.operation", f"there is no operation {name!r} (there are: {', '.join(operations) or 'none'})"
            continue
        step, stage = example.get("step"), example.get("stage")
        if step in _STAGES and isinstance(stage, str):
            there = [one.get("name") for _, one in _variants(operations[name].get(step), step)]
            if stage not in there:
                names = ", ".join(str(one) for one in there) or "none"
                yield f"{key}.stage", f"operation {name!r} has no {step} of the name {stage!r} (there are: {names})"
