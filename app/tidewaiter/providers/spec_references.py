"""Checks of references and conditions in a spec: each must refer to something that the spec defines.

The checks use the parsed TOML, not the models, so that they find faults in valid parts of a spec while other parts are
invalid.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeAlias

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.errors import SpecFault
from tidewaiter.providers.extract import as_text
from tidewaiter.providers.request_building import SPREAD
from tidewaiter.providers.spec.field_types import PARAMS
from tidewaiter.providers.template import Reference, TemplateError, names_callback, parse_template

Tree: TypeAlias = Mapping[str, Any]

_AUTH_TEXTS = ("username", "password", "token", "value", "token_url", "client_id", "client_secret")
_ASSERTION_TEXTS = ("key", "algorithm")
_REQUEST_TEXTS = ("query", "headers", "json", "form", "multipart", "label", "match")
_LEADING = re.compile(r"\$\{account\.([^{}]*)\}")
_WITHOUT_HANDLE = ("submit", "adopt")
_STEPS = ("submit", "adopt", "poll", "results", "cancel", "cleanup")
_REQUIRED_STEPS = ("submit", "poll", "results")


def check_references(file: str, raw: Tree) -> list[SpecFault]:
    """The faults of all templates, of every ``when``, and of the operations of examples."""
    settings = _tables(raw.get("account"))
    every = [*_base_url(raw, settings), *_whens(settings, "account"), *_auth(raw, settings), *_probe(raw, settings)]
    operations = _tables(raw.get("operations"))
    for name, operation in operations.items():
        every += _operation(operation, f"operations.{name}", settings)
    every += _examples(raw, operations)
    return [SpecFault(file, key, reason) for key, reason in every]


Found: TypeAlias = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a template: what it may refer to, and the ``when`` of its variant."""

    key: str
    settings: Mapping[str, Tree]
    params: Mapping[str, Tree] | None = None
    when: Tree | None = None
    secrets: bool = False
    handle: bool = False
    callback: bool = False
    page: bool = False
    sized: bool = False
    required: bool = False
    nested: bool = False
    """Whether a template that is one reference may refer to an object or array."""


def _base_url(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    given = raw.get("base_url")
    texts = given if isinstance(given, list) else [given]
    for place, text in enumerate(texts):
        is_last = place == len(texts) - 1
        yield from _template(text, _Place("base_url", settings, required=is_last))


def _auth(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    variants = list(_variants(raw.get("auth"), "auth"))
    for key, auth in variants:
        yield from _when(_table(auth.get("when")), f"{key}.when", settings, None)
        for name in _AUTH_TEXTS:
            when = _table(auth.get("when"))
            place = _Place(f"{key}.{name}", settings, when=when, secrets=True, required=True)
            yield from _template(auth.get(name), place)
        yield from _login(auth, key, settings)
    yield from _exhaustive([auth for _, auth in variants], "auth", settings, {})


def _login(auth: Tree, key: str, settings: Mapping[str, Tree]) -> Found:
    """The texts of a login. They may contain secrets, because it is sent to its own URL only."""
    when, login, assertion = _table(auth.get("when")), _table(auth.get("login")), _table(auth.get("assertion"))
    for name in _ASSERTION_TEXTS:
        place = _Place(f"{key}.assertion.{name}", settings, when=when, secrets=True, required=True)
        yield from _template(assertion.get(name), place)
    at = f"{key}.login"
    yield from _template(login.get("url"), _Place(f"{at}.url", settings, when=when, secrets=True, required=True))
    yield from _template(login.get("text"), _Place(f"{at}.text", settings, when=when, secrets=True, required=True))
    trees = [(f"{at}.{name}", login.get(name)) for name in _REQUEST_TEXTS]
    trees += [(f"{key}.{name}", auth.get(name)) for name in ("scope", "form")]
    trees += [(f"{key}.assertion.{name}", assertion.get(name)) for name in ("key_id", "audience")]
    for where, tree in trees:
        for inner, text in _texts(tree, where):
            yield from _template(text, _Place(inner, settings, when=when, secrets=True))
    addresses = ((f"{key}.token_url", auth.get("token_url")), (f"{at}.url", login.get("url")))
    for where, template in addresses:
        if isinstance(template, str) and (found := _LEADING.match(template)) is not None:
            spec = settings.get(found[1])
            if spec is not None and spec.get("type") != "url":
                yield where, f"begins with ${{account.{found[1]}}}, which must be a setting of type url"
    yield from _private_key(assertion.get("key"), f"{key}.assertion.key", settings)


def _private_key(text: object, key: str, settings: Mapping[str, Tree]) -> Found:
    found = _LEADING.fullmatch(text) if isinstance(text, str) else None
    known = found is not None and settings.get(found[1], {"type": "private_key"}).get("type") == "private_key"
    if isinstance(text, str) and not known:
        yield key, "must be ${account.NAME}, a setting of type private_key, and nothing else"


def _probe(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    probe = _table(raw.get("probe"))
    for name in ("url", "text"):
        yield from _template(probe.get(name), _Place(f"probe.{name}", settings, required=True))
    for name in _REQUEST_TEXTS:
        for inner, text in _texts(probe.get(name), f"probe.{name}"):
            yield from _template(text, _Place(inner, settings))


def _operation(operation: Tree, key: str, settings: Mapping[str, Tree]) -> Found:
    params = _tables(operation.get("params"))
    yield from _whens(params, f"{key}.params")
    yield from _as_written(params, f"{key}.params", settings)
    yield from _page_params(operation, key, params)
    yield from _callback(operation, key)
    for step in _STEPS:
        variants = list(_variants(operation.get(step), f"{key}.{step}"))
        for at, variant in variants:
            yield from _when(_table(variant.get("when")), f"{at}.when", settings, params)
            named = step not in _WITHOUT_HANDLE and bool(operation.get("submit"))
            yield from _requests(variant, at, step, _Place("", settings, params, handle=named))
        if step in _REQUIRED_STEPS:
            yield from _exhaustive([one for _, one in variants], f"{key}.{step}", settings, params)


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
    place = replace(place, when=_table(variant.get("when")), callback=step == "submit", page=step == "adopt")
    yield from _request(variant, key, place)
    yield from _request(_table(variant.get("resolve")), f"{key}.resolve", place)
    yield from _request(_table(variant.get("pages")), f"{key}.pages", replace(place, page=True))


def _request(table: Tree, key: str, place: _Place) -> Found:
    place = replace(place, sized="size" in table)
    yield from _template(table.get("url"), replace(place, key=f"{key}.url", callback=False, required=True))
    yield from _template(table.get("text"), replace(place, key=f"{key}.text", required=True))
    for name in _REQUEST_TEXTS:
        for inner, text in _texts(table.get(name), f"{key}.{name}"):
            nested = name == "json" or inner in (f"{key}.query.{SPREAD}", f"{key}.form.{SPREAD}")
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
    if reference.scope == "account":
        return _named(reference, place.settings, place.when or {}, place, "setting")
    if place.params is None:
        return f"refers to {reference}, but there is no job here, only the account"
    match reference.scope:
        case "params":
            return _named(reference, place.params, _table((place.when or {}).get(PARAMS)), place, "parameter")
        case "handle":
            reason = "refers to ${handle}, but here there is none, because no submit has named one"
            return None if place.handle else reason
        case "callback_url":
            return _callback_reason(place)
        case "job.id" | "intent.key":
            return None
        case "null":
            return None if place.nested else "refers to ${null}, which may stand only alone in its text, in json"
        case "page.next" | "page.number" | "page.offset" | "page.size":
            return _page_reason(reference, place)


def _callback_reason(place: _Place) -> str | None:
    if not place.callback:
        return "refers to ${callback_url}, which only the query, headers and body of a submit may"
    missing = "refers to ${callback_url}, which is missing without callbacks; here it must not be"
    return missing if place.required else None


def _page_reason(reference: Reference, place: _Place) -> str | None:
    if not place.page:
        return f"refers to {reference}, but here is no list with pages"
    if reference.scope == "page.size" and not place.sized:
        return f"refers to {reference}, but there is no size"
    if reference.scope == "page.next" and place.required:
        return f"refers to {reference}, which may be missing; here it must not be"
    return None


def _named(reference: Reference, known: Mapping[str, Tree], when: Tree, place: _Place, what: str) -> str | None:
    spec = known.get(reference.name)
    if spec is None:
        return f"refers to {reference}, but there is no such {what} (there are: {', '.join(known) or 'none'})"
    if spec.get("secret") is True and not place.secrets:
        return f"refers to {reference}, a secret, which only auth may, because it is kept from other origins"
    if spec.get("type") in ("object", "array") and not place.nested:
        alone = "which may stand only alone in its text, in json, or as * of query and form"
        return f"refers to {reference}, an {spec['type']}, {alone}"
    implied = all(when.get(name) == value for name, value in _table(spec.get("when")).items())
    if place.required and not (_always_there(spec) and implied):
        return f"refers to {reference}, which may be missing; here it must not be"
    return None


def _whens(values: Mapping[str, Tree], key: str, *, nested: bool = False) -> Found:
    """The conditions of settings, parameters or fields: they name siblings."""
    for name, value in values.items():
        if name == PARAMS and not nested:
            yield f"{key}.{name}", "is no possible name, because it has a meaning in when"
        if when := _table(value.get("when")):
            siblings = {other: spec for other, spec in values.items() if other not in (name, PARAMS)}
            yield from _when(when, f"{key}.{name}.when", siblings, None)
        yield from _nested_whens(value, f"{key}.{name}")


def _as_written(params: Mapping[str, Tree], key: str, settings: Mapping[str, Tree]) -> Found:
    """The ``as_written`` conditions of parameters and fields: they name settings."""
    for name, one in params.items():
        yield from _when(_table(one.get("as_written")), f"{key}.{name}.as_written", settings, None)
        yield from _as_written(_tables(one.get("fields")), f"{key}.{name}.fields", settings)
        yield from _as_written(_tables(_table(one.get("items")).get("fields")), f"{key}.{name}.items.fields", settings)


def _page_params(operation: Tree, key: str, params: Mapping[str, Tree]) -> Found:
    """The parameters by which a job selects a part of a list."""
    pages = [
        (f"{at}.pages", _table(one.get("pages"))) for at, one in _variants(operation.get("results"), f"{key}.results")
    ]
    for at, table in (*pages, *_variants(operation.get("adopt"), f"{key}.adopt")):
        for what, name in _table(table.get("by_params")).items():
            if not isinstance(name, str) or params.get(name, {}).get("type") != "integer":
                yield f"{at}.by_params.{what}", f"{name!r} is no parameter of type integer"


def _nested_whens(value: Tree, key: str) -> Found:
    """The conditions inside objects and arrays, whose fields name siblings."""
    if fields := _tables(value.get("fields")):
        yield from _whens(fields, f"{key}.fields", nested=True)
    if items := _table(value.get("items")):
        yield from _nested_whens(items, f"{key}.items")


def _when(when: Tree, key: str, settings: Mapping[str, Tree], params: Mapping[str, Tree] | None) -> Found:
    for name, value in when.items():
        if name == PARAMS and params is not None:
            for inner, expected in _table(value).items():
                yield from _condition(inner, expected, f"{key}.{PARAMS}.{inner}", params)
        else:
            yield from _condition(name, value, f"{key}.{name}", settings)


def _condition(name: str, expected: object, key: str, known: Mapping[str, Tree]) -> Found:
    if name not in known:
        yield key, f"there is nothing of that name to look at (there are: {', '.join(known) or 'none'})"
        return
    permitted = _permitted(known[name])
    if not permitted:
        yield key, "only what has an enum, or is a boolean, can decide"
    elif expected not in permitted:
        values = ", ".join(as_text(one) or "" for one in permitted)
        yield key, f"{expected!r} is not among the permitted values ({values})"
    elif not _always_there(known[name]):
        yield key, "only what is required, or has a default, can decide"


def _exhaustive(variants: list[Tree], key: str, settings: Mapping[str, Tree], params: Mapping[str, Tree]) -> Found:
    """Whether there is a variant for every account and every job, and no variant is unused."""
    whens = [_flat(_table(variant.get("when"))) for variant in variants]
    if not whens:
        return
    if {} in whens[:-1]:
        yield key, f"what stands after number {whens.index({})} is never used, because that one has no when"
        return
    decisive = sorted({where for when in whens for where in when})
    domains = {at: _permitted((params if at[0] == PARAMS else settings).get(at[1], {})) for at in decisive}
    if any(value not in domains[at] for when in whens for at, value in when.items()):
        return  # each such value is reported separately
    for values in product(*domains.values()):
        case = dict(zip(domains, values, strict=True))
        if not any(all(case[where] == value for where, value in when.items()) for when in whens):
            named = " and ".join(f"{name} is {as_text(value)}" for (_, name), value in case.items())
            yield key, f"there is none for the case that {named}"


def _flat(when: Tree) -> dict[tuple[str, str], object]:
    own = {("", name): value for name, value in when.items() if name != PARAMS}
    return own | {(PARAMS, name): value for name, value in _table(when.get(PARAMS)).items()}


def _examples(raw: Tree, operations: Mapping[str, Tree]) -> Found:
    for key, example in _variants(raw.get("examples"), "examples"):
        name = example.get("operation")
        if isinstance(name, str) and name not in operations:
            yield f"{key}.operation", f"there is no operation {name!r} (there are: {', '.join(operations) or 'none'})"


def _always_there(spec: Tree) -> bool:
    return spec.get("required") is not False or "default" in spec


def _permitted(spec: Tree) -> list[Json]:
    if spec.get("type") == "boolean":
        return [True, False]
    enum = spec.get("enum")
    return list(enum) if isinstance(enum, list) else []


def _texts(tree: object, key: str) -> Found:
    """Every text in a tree, with its key."""
    if isinstance(tree, str):
        yield key, tree
    elif isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _texts(value, f"{key}.{name}")
    elif isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from _texts(item, f"{key}[{number}]")


def _table(value: object) -> Tree:
    return value if isinstance(value, Mapping) else {}


def _tables(value: object) -> dict[str, Tree]:
    return {name: one for name, one in _table(value).items() if isinstance(one, Mapping)}


def _variants(value: object, key: str) -> Iterator[tuple[str, Tree]]:
    if isinstance(value, list):
        yield from ((f"{key}[{number}]", one) for number, one in enumerate(value) if isinstance(one, Mapping))
    elif isinstance(value, Mapping):
        yield key, value
