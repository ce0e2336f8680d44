"""docs/providers/reference.md: it is up to date, and has every table, key, reference, word and outcome."""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import get_args

import pytest
from pydantic import BaseModel

from tests.providers.providers_page import DOCS, sections
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import StepDone
from tidewaiter.providers.credentials.login_replies import Token
from tidewaiter.providers.provider import Healthy
from tidewaiter.providers.reference import meanings as words
from tidewaiter.providers.reference.key_words import hints_of, models_in
from tidewaiter.providers.reference.page import description_of, meanings, own_keys, reference, tables
from tidewaiter.providers.replies.reply_defaults import FileTrouble, Polled, Submitted
from tidewaiter.providers.spec.field_types import PickSpec
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.spec.request_spec import RuleSpec
from tidewaiter.providers.values.template import KNOWN

PAGE = (DOCS / "reference.md").read_text("utf-8")
SECTIONS = {title: text for part in sections(PAGE, 2).values() for title, text in sections(part, 3).items()}
TABLES = [(model, title) for model, title in tables() if model is RuleSpec or not issubclass(model, RuleSpec)]


def test_the_page_is_up_to_date() -> None:
    """It is what the tables say; ``make docs-spec`` brings it up to date."""
    assert reference() == PAGE


def _reachable(model: type[BaseModel], found: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in found:
        return
    found.add(model)
    yield model
    for hint in hints_of(model).values():
        for inner in models_in(hint):
            yield from _reachable(inner, found)


def test_every_table_of_a_spec_is_there() -> None:
    """All tables below that of the file have a heading of their own; rules are in the table of meanings."""
    titles = dict(tables())
    reachable = set(_reachable(ProviderSpec, set()))
    assert PickSpec in reachable
    assert reachable <= titles.keys()
    assert len(set(titles.values())) == len(titles)
    assert {title for _, title in TABLES} <= SECTIONS.keys()


@pytest.mark.parametrize(("model", "title"), TABLES, ids=[title for _, title in TABLES])
def test_every_key_is_described(model: type[BaseModel], title: str) -> None:
    """Each key that a table does not have from another has a row, with a description."""
    assert model.__doc__
    for name in own_keys(model):
        key = model.model_fields[name].alias or name
        assert description_of(model, name), f"{model.__name__}.{name} has no description"
        assert f"\n| `{key}` | " in SECTIONS[title]


def test_every_word_of_a_rule_is_explained() -> None:
    """What it does stands in the table of meanings."""
    assert meanings().keys() == words.EFFECTS.keys()
    for word in meanings():
        assert f"\n| `{word}` | " in SECTIONS["What a rule can say"]


def test_every_reference_is_explained() -> None:
    """Whatever ``${...}`` may name stands on the page."""
    for name in KNOWN.split(", "):
        assert f"`${{{name}}}`" in SECTIONS["References in texts"]


def test_every_outcome_is_explained() -> None:
    """An example can name each, with its fields."""
    text = SECTIONS["The outcomes of examples"]
    documented = dict(re.findall(r"`([A-Z]\w+)`(?: \(([^)]+)\))?", text))
    for outcome in {*get_args(Submitted), *get_args(Polled), *get_args(FileTrouble), StepDone, Token, Healthy}:
        assert [field.name for field in fields(outcome)] == re.findall(r"`(\w+)`", documented[outcome.__name__])
    assert {"Links", "File", "Cancelled", "Cleaned"} <= documented.keys()
    for field in fields(Link):
        assert f"`{field.name}`" in text
