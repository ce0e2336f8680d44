"""docs/providers.md: its reference lists every key, default and word, and no other."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tests.providers.providers_page import REFERENCE, rows
from tidewaiter.domain.http_values import Link
from tidewaiter.providers.login_replies import Token
from tidewaiter.providers.provider import Healthy
from tidewaiter.providers.reply_defaults import FileTrouble, Polled, Submitted
from tidewaiter.providers.spec.auth_spec import (
    AssertionSpec,
    BasicAuth,
    BearerAuth,
    BodyAuth,
    HeaderAuth,
    LoginRule,
    LoginSpec,
    NoAuth,
    OAuth2Auth,
    PlaceSpec,
    QueryAuth,
    RenewRule,
    SessionAuth,
)
from tidewaiter.providers.spec.field_types import HeaderMatch, PickSpec, SpecVariant
from tidewaiter.providers.spec.list_spec import PageRule, PagesByParams, PageSpec, PagesSpec
from tidewaiter.providers.spec.parameter_spec import Item, ParameterSpec
from tidewaiter.providers.spec.provider_spec import (
    AnswersSpec,
    CallbackSpec,
    Example,
    ExampleLink,
    ExamplePage,
    ExampleReply,
    ExampleRequest,
    LimitHeadersSpec,
    LimitsSpec,
    OperationSpec,
    ProviderSpec,
    ScheduleSpec,
)
from tidewaiter.providers.spec.request_spec import ConditionsSpec, RequestSpec, RuleSpec
from tidewaiter.providers.spec.results_spec import FileRule, FilesSpec, ResolveSpec, ResultsSpec
from tidewaiter.providers.spec.step_specs import (
    AdoptSpec,
    CancelSpec,
    CleanupSpec,
    EndingRule,
    PollRule,
    PollSpec,
    ProbeRule,
    ProbeSpec,
    ProgressSpec,
    RetryAfterSpec,
    SubmitRule,
    SubmitSpec,
)
from tidewaiter.providers.spec.value_spec import SettingSpec, ValueSpec
from tidewaiter.providers.template import KNOWN

# Section: prefix of the keys in its table, and the models whose own keys they are.
MODELS: Mapping[str, Mapping[str, tuple[type[BaseModel], ...]]] = {
    "A value from a reply": {"": (PickSpec,)},
    "Variants": {"": (SpecVariant,)},
    "The file": {"": (ProviderSpec,)},
    "Settings and parameters": {"": (ValueSpec, SettingSpec, ParameterSpec), "items.": (Item,)},
    "`auth`": {
        "": (NoAuth, BasicAuth, BearerAuth, HeaderAuth, QueryAuth, BodyAuth, SessionAuth, OAuth2Auth),
        "place.": (PlaceSpec,),
        "assertion.": (AssertionSpec,),
    },
    "`login`": {"": (LoginSpec,)},
    "`probe`": {"": (ProbeSpec,)},
    "`limits`": {"": (LimitsSpec,), "headers.": (LimitHeadersSpec,)},
    "`operations.NAME`": {"": (OperationSpec,)},
    "`schedule`": {"": (ScheduleSpec,)},
    "`callback`": {"": (CallbackSpec,)},
    "`answers`": {"": (AnswersSpec,)},
    "A request": {"": (RequestSpec,)},
    "`submit`": {"": (SubmitSpec,)},
    "`adopt`": {"": (AdoptSpec,)},
    "Pages": {"": (PageSpec,), "by_params.": (PagesByParams,)},
    "`poll`": {"": (PollSpec,), "progress.": (ProgressSpec,), "retry_after.": (RetryAfterSpec,)},
    "A rule": {"": (RuleSpec,), "header.": (HeaderMatch,)},
    "`results`": {"": (ResultsSpec,), "resolve.": (ResolveSpec,), "pages.": (PagesSpec,)},
    "`files`": {"": (FilesSpec,)},
    "`cancel` and `cleanup`": {"": (CancelSpec, CleanupSpec)},
    "`examples`": {
        "": (Example,),
        "link.": (ExampleLink,),
        "page.": (ExamplePage,),
        "request.": (ExampleRequest,),
        "reply.": (ExampleReply,),
    },
}
RULES = {SubmitRule: 0, PollRule: 1, FileRule: 2, PageRule: 3, EndingRule: 4}
"""Which column of the table of meanings is whose."""


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _reachable(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all that stand in its tables."""
    found: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += [inner for field in one.model_fields.values() for inner in _models_in(field.annotation)]
    return found


def _own_keys(model: type[BaseModel], documented: set[type[BaseModel]]) -> dict[str, str]:
    """The keys of a model, each with its default as the page writes it, without what a section for its base tells."""
    bases = [base for base in model.__mro__[1:] if base in documented]
    inherited = {(name, _default(base, name)) for base in bases for name in base.model_fields}
    return {
        field.alias or name: _default(model, name)
        for name, field in model.model_fields.items()
        if (name, _default(model, name)) not in inherited
    }


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.default[0] if isinstance(field.default, tuple) and field.default else field.default
    match value:
        case PlaceSpec():
            return f"`{value.header}: {value.prefix.strip()}`"
        case RenewRule():
            return f"status {value.status[0]}"
        case bool():
            return f"`{str(value).lower()}`"
        case str() if value:
            return f'`"{value}"`'
        case int() | float():
            return f"`{value:g}`" if value < 1e6 else f"`{value}`"
        case _:
            return ""


def _words_in(annotation: Any) -> Iterator[str]:
    """The texts that a type permits."""
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _words_in(argument)


def test_the_reference_has_a_section_for_every_table() -> None:
    """A model that is added to the language has to be told."""
    documented = {model for section in MODELS.values() for models in section.values() for model in models}
    assert _reachable(ProviderSpec) <= documented | RULES.keys() | {LoginRule, RenewRule, ProbeRule, ConditionsSpec}
    assert MODELS.keys() <= REFERENCE.keys()


@pytest.mark.parametrize("section", MODELS)
def test_the_reference_has_every_key(section: str) -> None:
    """No key is missing, none is there that the language does not have, and each default is the true one."""
    documented = {model for parts in MODELS.values() for models in parts.values() for model in models}
    expected: dict[str, str] = {}
    for prefix, models in MODELS[section].items():
        for model in models:
            expected |= {f"{prefix}{key}": default for key, default in _own_keys(model, documented).items()}
    assert {row[0].strip("`"): row[1] for row in rows(REFERENCE[section]) if len(row) == 3} == expected


@pytest.mark.parametrize("section", MODELS)
def test_the_reference_has_every_permitted_word(section: str) -> None:
    """What a key may say stands in its section."""
    for models in MODELS[section].values():
        for model in models:
            for field in model.model_fields.values():
                for word in _words_in(field.annotation):
                    assert f"`{word}`" in REFERENCE[section] or word in (
                        "GET",
                        "HEAD",
                        "POST",
                        "PUT",
                        "PATCH",
                        "DELETE",
                    )


@pytest.mark.parametrize("model", RULES)
def test_the_reference_has_every_meaning(model: type[BaseModel]) -> None:
    """Each step's rules have their column, with every word that they may say and no other."""
    column = RULES[model]
    documented = [
        word for row in rows(REFERENCE["What a rule can say"]) for word in re.findall(r"`(\w+)`", row[column])
    ]
    assert sorted(documented) == sorted(_words_in(model.model_fields["then"].annotation))
    assert set(documented) == set(_words_in(model.model_fields["words"].annotation))


def test_the_reference_has_every_template() -> None:
    """Whatever `${...}` may name stands on the page."""
    for name in KNOWN.split(", "):
        assert f"`${{{name}}}`" in REFERENCE["References in texts"]


def test_the_reference_has_every_outcome() -> None:
    """An example can name each, with its fields."""
    documented = dict(re.findall(r"`([A-Z]\w+)`(?: \(([^)]+)\))?", REFERENCE["`examples`"]))
    for outcome in {*get_args(Submitted), *get_args(Polled), *get_args(FileTrouble), Token, Healthy}:
        assert [field.name for field in fields(outcome)] == re.findall(r"`(\w+)`", documented[outcome.__name__])
    assert {"Links", "File", "Cancelled", "Cleaned"} <= documented.keys()
    for field in fields(Link):
        assert f"`{field.name}`" in REFERENCE["`examples`"]
