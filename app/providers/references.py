"""What a spec says of itself: references and conditions that must lead somewhere.

These checks look at the parsed TOML rather than at the models, so that they have their say about the sound parts of a
spec while other parts are still broken.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

from app.domain.jsonvalue import Json
from app.providers.extract import as_text
from app.providers.faults import Fault
from app.providers.operation import PARAMS
from app.providers.template import Reference, TemplateError, parse_template

Tree: TypeAlias = Mapping[str, Any]

_AUTH_TEXTS = ("username", "password", "token", "value")
_REQUEST_TEXTS = ("query", "headers", "json", "form")
_STEPS = ("submit", "poll", "results", "cancel", "cleanup")
_OBLIGATORY = ("submit", "poll", "results")


def check_references(file: str, raw: Tree) -> list[Fault]:
    """The faults of all templates, of every ``when``, and of what examples refer to."""
    settings = _tables(raw.get("account"))
    every = [*_base_url(raw, settings), *_whens(settings, "account"), *_auth(raw, settings)]
    operations = _tables(raw.get("operations"))
    for name, operation in operations.items():
        every += _operation(operation, f"operations.{name}", settings)
    every += _examples(raw, operations)
    return [Fault(file, key, reason) for key, reason in every]


Found: TypeAlias = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a template stands: what it may refer to, and what the variant around it takes for granted."""

    key: str
    settings: Mapping[str, Tree]
    params: Mapping[str, Tree] | None = None
    when: Tree | None = None
    secrets: bool = False
    handle: bool = False
    callback: bool = False
    indispensable: bool = False


def _base_url(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    yield from _template(raw.get("base_url"), _Place("base_url", settings, indispensable=True))


def _auth(raw: Tree, settings: Mapping[str, Tree]) -> Found:
    variants = list(_variants(raw.get("auth"), "auth"))
    for key, auth in variants:
        yield from _when(_table(auth.get("when")), f"{key}.when", settings, None)
        for name in _AUTH_TEXTS:
            when = _table(auth.get("when"))
            place = _Place(f"{key}.{name}", settings, when=when, secrets=True, indispensable=True)
            yield from _template(auth.get(name), place)
    yield from _exhaustive([auth for _, auth in variants], "auth", settings, {})


def _operation(operation: Tree, key: str, settings: Mapping[str, Tree]) -> Found:
    params = _tables(operation.get("params"))
    yield from _whens(params, f"{key}.params")
    for step in _STEPS:
        variants = list(_variants(operation.get(step), f"{key}.{step}"))
        for at, variant in variants:
            yield from _when(_table(variant.get("when")), f"{at}.when", settings, params)
            yield from _request(variant, at, step, settings, params)
        if step in _OBLIGATORY:
            yield from _exhaustive([one for _, one in variants], f"{key}.{step}", settings, params)


def _request(variant: Tree, key: str, step: str, settings: Mapping[str, Tree], params: Mapping[str, Tree]) -> Found:
    submits = step == "submit"
    when = _table(variant.get("when"))
    for at, table in ((key, variant), (f"{key}.resolve", _table(variant.get("resolve")))):
        in_url = _Place(f"{at}.url", settings, params, when, handle=not submits, indispensable=True)
        yield from _template(table.get("url"), in_url)
        for name in (*_REQUEST_TEXTS, "label"):
            for inner, text in _texts(table.get(name), f"{at}.{name}"):
                place = _Place(inner, settings, params, when, handle=not submits, callback=submits)
                yield from _template(text, place)


def _template(text: object, place: _Place) -> Found:
    if not isinstance(text, str):
        return
    try:
        parts = parse_template(text)
    except TemplateError as error:
        yield place.key, str(error)
        return
    for part in parts:
        if isinstance(part, Reference) and (reason := _reason_against(part, place)):
            yield place.key, reason


def _reason_against(reference: Reference, place: _Place) -> str | None:
    """Why a reference may not stand where it does; ``None`` where it may."""
    match reference.scope:
        case "account":
            return _named(reference, place.settings, place.when or {}, place, "setting")
        case _ if place.params is None:
            return f"refers to {reference}, but there is no job here, only the account"
        case "params":
            return _named(reference, place.params, _table((place.when or {}).get(PARAMS)), place, "parameter")
        case "handle" if not place.handle:
            return "refers to ${handle}, but before the submit there is none"
        case "callback_url" if not place.callback:
            return "refers to ${callback_url}, which only the query, headers and body of a submit may"
    return None


def _named(reference: Reference, known: Mapping[str, Tree], when: Tree, place: _Place, what: str) -> str | None:
    spec = known.get(reference.name)
    if spec is None:
        return f"refers to {reference}, but there is no such {what} (there are: {', '.join(known) or 'none'})"
    if spec.get("secret") is True and not place.secrets:
        return f"refers to {reference}, a secret, which only auth may, because it is kept from other origins"
    implied = all(when.get(name) == value for name, value in _table(spec.get("when")).items())
    if place.indispensable and not (_always_there(spec) and implied):
        return f"refers to {reference}, which may be missing; here it must not be"
    return None


def _whens(values: Mapping[str, Tree], key: str) -> Found:
    """The conditions under which settings or parameters are asked for: they name siblings."""
    for name, value in values.items():
        if name == PARAMS:
            yield f"{key}.{name}", "is no possible name, because it has a meaning in when"
        siblings = {other: spec for other, spec in values.items() if other != name}
        yield from _when(_table(value.get("when")), f"{key}.{name}.when", siblings, None)


def _when(when: Tree, key: str, settings: Mapping[str, Tree], params: Mapping[str, Tree] | None) -> Found:
    for name, value in when.items():
        if name == PARAMS and params is not None:
            for inner, wanted in _table(value).items():
                yield from _condition(inner, wanted, f"{key}.{PARAMS}.{inner}", params)
        else:
            yield from _condition(name, value, f"{key}.{name}", settings)


def _condition(name: str, wanted: object, key: str, known: Mapping[str, Tree]) -> Found:
    if name not in known:
        yield key, f"there is nothing of that name to look at (there are: {', '.join(known) or 'none'})"
        return
    permitted = _permitted(known[name])
    if not permitted:
        yield key, "only what has an enum, or is a boolean, can decide"
    elif wanted not in permitted:
        yield (
            key,
            f"{wanted!r} is not among the permitted values ({', '.join(as_text(one) or '' for one in permitted)})",
        )
    elif not _always_there(known[name]):
        yield key, "only what is required, or has a default, can decide"


def _exhaustive(variants: list[Tree], key: str, settings: Mapping[str, Tree], params: Mapping[str, Tree]) -> Found:
    """Whether there is a variant for every account and every job, and a use for every variant."""
    whens = [_flat(_table(variant.get("when"))) for variant in variants]
    if not whens:
        return
    if {} in whens[:-1]:
        yield key, f"what stands after number {whens.index({})} is never used, because that one has no when"
        return
    decisive = sorted({where for when in whens for where in when})
    domains = {at: _permitted((params if at[0] == PARAMS else settings).get(at[1], {})) for at in decisive}
    if any(value not in domains[at] for when in whens for at, value in when.items()):
        return  # each such value has a fault of its own
    for values in product(*domains.values()):
        case = dict(zip(domains, values, strict=True))
        if not any(all(case[where] == value for where, value in when.items()) for when in whens):
            told = " and ".join(f"{name} is {as_text(value)}" for (_, name), value in case.items())
            yield key, f"there is none for the case that {told}"


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
