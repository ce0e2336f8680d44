"""Tables of values against the table of what there may be: an account's settings, a job's parameters, a nested object.

Each function takes the path of the table, empty at the top, and adds what is wrong to a list.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from app.domain.jsonvalue import Json
from app.providers.spec.fields import holds
from app.providers.spec.values import Problems, ValueSpec


@dataclass(frozen=True, slots=True)
class Fitted:
    """The values of a table that can be used, in the order of the specs, and the names of those that cannot."""

    values: dict[str, Json]
    wrong: Collection[str]


def find_unknown(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], what: str, at: str, found: Problems) -> None:
    """Names that there are not; ``what`` says what they would be."""
    names = {name for own, spec in specs.items() for name in (own, *spec.other_names)}
    known = ", ".join(specs) or "none"
    for name in raw:
        if name not in names:
            hint = "".join(f"did you mean {close}? " for close in get_close_matches(name, names, n=1))
            found.append((path(at, name), f"unknown {what} ({hint}there are: {known})"))


def given(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], at: str, found: Problems) -> dict[str, Json]:
    """What was given, each under its own name. Null is the same as absent: a JSON client may send every key."""
    values: dict[str, Json] = {}
    for own, spec in specs.items():
        named = [name for name in (own, *spec.other_names) if raw.get(name) is not None]
        if named:
            values[own] = raw[named[0]]
        if len(named) > 1:
            found.append((path(at, own), f"is given twice, as {' and as '.join(named)}"))
    return values


def fit(specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], at: str, found: Problems) -> Fitted:
    """The values, typed and with defaults."""
    values: dict[str, Json] = {}
    wrong: set[str] = set()
    for name, value in raw.items():
        before = len(found)
        checked = specs[name].check(value, path(at, name), found)
        if len(found) > before:
            wrong.add(name)
        else:
            values[name] = checked
    # A default that depends on another value comes after those that do not.
    for name, spec in sorted(specs.items(), key=lambda item: bool(item[1].when)):
        if name not in raw and spec.default is not None and holds(spec.when, values):
            values[name] = spec.check(spec.default, path(at, name), found)
    return Fitted({name: values[name] for name in specs if name in values}, wrong)


def find_out_of_place(
    specs: Mapping[str, ValueSpec], raw: Mapping[str, Json], fitted: Fitted, at: str, found: Problems
) -> None:
    """What was given though another value rules it out: else an export of all would pass for one of a group."""
    found += [
        (path(at, name), f"is not used{_condition(spec, 'unless')}")
        for name, spec in specs.items()
        if name in raw and not holds(spec.when, fitted.values) and not any(other in fitted.wrong for other in spec.when)
    ]


def find_missing(specs: Mapping[str, ValueSpec], fitted: Fitted, at: str, found: Problems) -> None:
    """What has to be there and is not."""
    found += [
        (path(at, name), f"is missing{_condition(spec)}: {spec.help}")
        for name, spec in specs.items()
        if spec.required and name not in fitted.values and name not in fitted.wrong and holds(spec.when, fitted.values)
    ]


def path(at: str, name: str) -> str:
    """The path of a member of the table at a path."""
    return f"{at}.{name}" if at else name


def _condition(spec: ValueSpec, word: str = "where") -> str:
    every = " and ".join(f"{name} is {_shown(value)}" for name, value in spec.when.items())
    return f" {word} {every}" if every else ""


def _shown(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
