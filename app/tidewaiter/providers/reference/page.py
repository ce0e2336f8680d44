"""Every table and key of a spec as Markdown, from the models themselves: their docstrings, types and descriptions."""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Final, get_args

from tidewaiter.providers.reference import meanings as words
from tidewaiter.providers.reference.key_words import Model, default, hints_of, holds, models_in, slug
from tidewaiter.providers.spec.auth_spec import TokenAuth
from tidewaiter.providers.spec.field_types import HeaderMatch, PickSpec, SpecTable, SpecVariant
from tidewaiter.providers.spec.list_spec import PageSpec
from tidewaiter.providers.spec.parameter_spec import Item, ParameterSpec
from tidewaiter.providers.spec.provider_spec import OperationSpec, ProviderSpec
from tidewaiter.providers.spec.request_spec import ConditionsSpec, RequestSpec, RuleSpec
from tidewaiter.providers.spec.value_spec import SettingSpec, ValueSpec

_TITLES: Final[Mapping[Model, str]] = {
    PickSpec: "A value from a reply",
    SpecVariant: "Variants",
    RequestSpec: "A request",
    ConditionsSpec: "Conditions on a reply",
    HeaderMatch: "A condition on a header",
    RuleSpec: "A rule",
    ProviderSpec: "The file",
    ValueSpec: "Settings and parameters",
    SettingSpec: "Settings",
    ParameterSpec: "Parameters",
    Item: "The items of an array",
    TokenAuth: "Tokens",
    PageSpec: "Pages",
}
"""The headings of tables that stand in several places, or are no table of a file; the others are named by their key."""
_BASICS: Final = (PickSpec, SpecVariant, RequestSpec, ConditionsSpec, HeaderMatch, RuleSpec)
"""What the other tables are made of: it comes first."""


def reference() -> str:
    """The page."""
    titles = _titles()
    parts = [words.BASICS, *_sections(_BASICS, titles), *_meanings(titles), "## Tables\n"]
    rest = [model for model in titles if model not in _BASICS and not issubclass(model, RuleSpec)]
    parts += _sections(rest, titles)
    parts.append(words.OUTCOMES)
    return "\n".join(parts)


def tables() -> Iterator[tuple[Model, str]]:
    """Every table with its heading, in the order of the page; rules are described by what they can say."""
    yield from _titles().items()


def own_keys(model: Model) -> list[str]:
    """The keys that a table has in addition to its bases, or with another type or default."""
    bases = _bases(model)
    keys = [name for name in model.model_fields if not _is_tag(model, name)]
    return [name for name in keys if not any(_is_same_key(model, base, name) for base in bases)]


def _is_same_key(model: Model, base: Model, name: str) -> bool:
    if name not in base.model_fields or default(model, name) != default(base, name):
        return False
    return bool(hints_of(model)[name] == hints_of(base)[name])


def description_of(model: Model, name: str) -> str:
    """The description of a key, else that of the same key of a base."""
    for one in model.__mro__:
        if issubclass(one, SpecTable):
            field = one.model_fields.get(name)
            if field is not None and field.description:
                return field.description
    return model.model_fields[name].description or ""


def meanings() -> dict[str, list[Model]]:
    """Every word that a rule can say, and the rules that can."""
    found: dict[str, list[Model]] = {}
    for model in _titles():
        if issubclass(model, RuleSpec) and model is not RuleSpec:
            for word in _words_in(hints_of(model)["then"]):
                found.setdefault(word, []).append(model)
    return found


# --- headings ---------------------------------------------------------------------------------------------------------


def _titles() -> dict[Model, str]:
    """Every table and its heading: bases before the tables that extend them, else in the order of their keys."""
    titles: dict[Model, str] = {model: _TITLES[model] for model in _BASICS}
    for model in _BASICS:
        _visit_keys(model, "", titles)
    _visit(ProviderSpec, "", titles)
    return titles


def _visit(model: Model, path: str, titles: dict[Model, str]) -> None:
    if model in titles:
        return
    for base in reversed(_bases(model)):
        _visit(base, "", titles)
    named = f"`{path}`" if path else _spaced(model.__name__)
    title = _TITLES.get(model, named)
    titles[model] = f"{title} ({_spaced(model.__name__)})" if title in titles.values() else title
    _visit_keys(model, path, titles)


def _visit_keys(model: Model, path: str, titles: dict[Model, str]) -> None:
    for name, field in model.model_fields.items():
        for inner in models_in(hints_of(model)[name]):
            _visit(inner, _path_of(model, path, field.alias or name, inner), titles)


def _path_of(model: Model, path: str, key: str, inner: Model) -> str:
    if "type" in inner.model_fields and _is_tag(inner, "type"):
        return f"{key}`, type `{get_args(hints_of(inner)['type'])[0]}"
    if inner is OperationSpec:
        return "operations.NAME"
    parent = path.partition("`")[0]
    return f"{parent}.{key}" if parent and model is not OperationSpec else key


def _is_tag(model: Model, name: str) -> bool:
    """Whether a key is the ``type`` by which one of several tables is chosen."""
    return name == "type" and len(get_args(hints_of(model)[name])) == 1


def _bases(model: Model) -> list[Model]:
    """The tables that a table extends, the nearest first."""
    return [
        one for one in model.__mro__[1:] if issubclass(one, SpecTable) and one is not SpecTable and one.model_fields
    ]


def _spaced(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.removesuffix("Spec")).lower()
    return words[:1].upper() + words[1:]


# --- sections ---------------------------------------------------------------------------------------------------------


def _sections(models: list[Model] | tuple[Model, ...], titles: Mapping[Model, str]) -> Iterator[str]:
    for model in models:
        yield f"### {titles[model]}\n"
        yield f"{_prose(model)}\n"
        if extended := _extended(model, titles):
            yield f"{extended}\n"
        keys = own_keys(model)
        if keys:
            yield "\n".join(_table(model, keys, titles))


def _prose(model: Model) -> str:
    text = inspect.cleandoc(model.__doc__ or "").replace("``", "`")
    paragraphs = text.split("\n\n")
    return "\n\n".join(one if one.startswith("- ") else " ".join(one.split()) for one in paragraphs)


def _extended(model: Model, titles: Mapping[Model, str]) -> str:
    """Which keys a table has from others."""
    nearest = [base for base in _bases(model) if not any(issubclass(one, base) for one in _bases(model) if one != base)]
    if not nearest:
        return ""
    links = " and of ".join(f"[{titles[base]}](#{slug(titles[base])})" for base in nearest)
    return f"It has the keys of {links}{', and:' if own_keys(model) else '.'}"


def _table(model: Model, keys: list[str], titles: Mapping[Model, str]) -> Iterator[str]:
    yield "| key | holds | default | what it is |"
    yield "|---|---|---|---|"
    for name in keys:
        key = model.model_fields[name].alias or name
        cells = (f"`{key}`", holds(model, name, titles), default(model, name), description_of(model, name))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('``', '`') for cell in cells)} |"
    yield ""


# --- rules ------------------------------------------------------------------------------------------------------------


def _meanings(titles: Mapping[Model, str]) -> Iterator[str]:
    """What the rules of each step can say."""
    yield words.MEANINGS
    rules: list[Model] = [model for model in titles if issubclass(model, RuleSpec) and model is not RuleSpec]
    places = {rule: _places(rule, titles) for rule in rules}
    for rule in rules:
        yield f"- {places[rule]}: {_prose(rule)}"
    yield "\n| word | in a rule of | effect |"
    yield "|---|---|---|"
    for word, sayers in meanings().items():
        where = ", ".join(places[one] for one in sayers)
        yield f"| `{word}` | {where} | {words.EFFECTS.get(word, '')} |"
    yield ""


def _places(rule: Model, titles: Mapping[Model, str]) -> str:
    users = [
        title
        for model, title in titles.items()
        if any(rule in models_in(hints_of(model)[name]) for name in model.model_fields)
        and not (model in _TITLES and model is not PageSpec)
    ]
    shown = [user for user in users if user != "Pages"]
    return ", ".join(dict.fromkeys(shown))


def _words_in(annotation: object) -> Iterator[str]:
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _words_in(argument)
