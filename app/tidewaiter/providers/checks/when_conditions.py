"""Checks of every ``when``: it names what can decide, with values that are permitted, and no case is left out."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TypeAlias

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.checks.spec_kept import KeptBefore
from tidewaiter.providers.checks.spec_trees import Tree, table_of, tables_of
from tidewaiter.providers.spec.field_types import HANDLE_IS, KEPT, PARAMS
from tidewaiter.providers.values.texts import as_text

Found: TypeAlias = Iterator[tuple[str, str]]


def when_faults(values: Mapping[str, Tree], key: str, *, nested: bool = False) -> Found:
    """The conditions of settings, parameters or fields: they name siblings."""
    for name, value in values.items():
        if name == PARAMS and not nested:
            yield f"{key}.{name}", "is no possible name, because it has a meaning in when"
        elif name in (KEPT, HANDLE_IS) and key == "account" and permitted_values(value):
            yield f"{key}.{name}", "is no possible name of a setting that decides, because it has a meaning in when"
        if when := table_of(value.get("when")):
            siblings = {other: spec for other, spec in values.items() if other not in (name, PARAMS)}
            yield from condition_faults(when, f"{key}.{name}.when", siblings, None)
        yield from _nested_whens(value, f"{key}.{name}")


def _nested_whens(value: Tree, key: str) -> Found:
    """The conditions inside objects and arrays, whose fields name siblings."""
    if fields := tables_of(value.get("fields")):
        yield from when_faults(fields, f"{key}.fields", nested=True)
    if items := table_of(value.get("items")):
        yield from _nested_whens(items, f"{key}.items")


def condition_faults(
    when: Tree,
    key: str,
    settings: Mapping[str, Tree],
    params: Mapping[str, Tree] | None,
    *,
    kept: KeptBefore | None = None,
    handle: bool = False,
) -> Found:
    """The faults of one ``when``: ``params`` and ``kept`` are ``None`` where it may not look at them."""
    for name, value in when.items():
        if name == PARAMS and params is not None:
            for inner, expected in table_of(value).items():
                yield from _condition(inner, expected, f"{key}.{PARAMS}.{inner}", params)
        elif name in (KEPT, HANDLE_IS) and kept is not None:
            yield from ((f"{key}.{at}", reason) for at, reason in kept.condition_faults(name, value, handle=handle))
        else:
            yield from _condition(name, value, f"{key}.{name}", settings)


def _condition(name: str, expected: object, key: str, known: Mapping[str, Tree]) -> Found:
    if name not in known:
        yield key, f"there is nothing of that name to look at (there are: {', '.join(known) or 'none'})"
        return
    permitted = permitted_values(known[name])
    if not permitted:
        yield key, "only what has an enum, or is a boolean, can decide"
    elif expected not in permitted:
        values = ", ".join(as_text(one) or "" for one in permitted)
        yield key, f"{expected!r} is not among the permitted values ({values})"
    elif not always_there(known[name]):
        yield key, "only what is required, or has a default, can decide"


def variant_faults(variants: list[Tree], key: str, settings: Mapping[str, Tree], params: Mapping[str, Tree]) -> Found:
    """Whether there is a variant for every account and every job, and no variant is unused."""
    tables = [table_of(variant.get("when")) for variant in variants]
    # Kept values and handles can be anything, so a variant with a condition on them covers no case for certain.
    whens = [_flat(when) for when in tables if KEPT not in when and HANDLE_IS not in when]
    if variants and not whens:
        yield key, "there is none for the case that no condition on kept or handle holds: add one without them"
    if not whens:
        return
    if {} in whens[:-1]:
        yield key, f"what stands after number {whens.index({})} is never used, because that one has no when"
        return
    decisive = sorted({where for when in whens for where in when})
    domains = {at: permitted_values((params if at[0] == PARAMS else settings).get(at[1], {})) for at in decisive}
    if any(value not in domains[at] for when in whens for at, value in when.items()):
        return  # each such value is reported separately
    for values in product(*domains.values()):
        case = dict(zip(domains, values, strict=True))
        if not any(all(case[where] == value for where, value in when.items()) for when in whens):
            named = " and ".join(f"{name} is {as_text(value)}" for (_, name), value in case.items())
            yield key, f"there is none for the case that {named}"


def _flat(when: Tree) -> dict[tuple[str, str], object]:
    """The conditions of a variant on settings and parameters."""
    own = {("", name): value for name, value in when.items() if name != PARAMS}
    return own | {(PARAMS, name): value for name, value in table_of(when.get(PARAMS)).items()}


def always_there(spec: Tree) -> bool:
    """Whether a setting, parameter or field has a value in every account or job."""
    return spec.get("required") is not False or "default" in spec


def permitted_values(spec: Tree) -> list[Json]:
    """The values that can be compared with in a ``when``; none if it cannot decide."""
    if spec.get("type") == "boolean":
        return [True, False]
    enum = spec.get("enum")
    return list(enum) if isinstance(enum, list) else []
