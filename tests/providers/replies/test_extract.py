"""Extraction from JSON, header, text and status, and valid handles, counts and notes."""

from typing import Any

import pytest

from tests.support.spec_samples import reply_of
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.replies.extract import compile_pick
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.spec.field_types import PickSpec
from tidewaiter.providers.values.texts import as_count, as_handle, as_note, as_text


def _pick(*specs: object) -> Any:
    return compile_pick(tuple(PickSpec.model_validate(spec) for spec in specs))


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("id", 7),
        ({"json": "name", "regex": "^n-(\\d+)$"}, "12"),
        ({"json": "id", "regex": "\\d"}, "7"),
        ({"json": "list", "regex": "."}, None),
        ({"header": "Location"}, "/v1/jobs/9?x=1"),
        ({"header": "LOCATION", "regex": "/([^/?]+)(?:\\?|$)"}, "9"),
        ({"header": "X-Missing"}, None),
        ({"header": "X-Blank"}, None),
        ({"text": '"name": "(n-[0-9]+)"'}, "n-12"),
        ({"text": "nowhere"}, None),
        ({"code": True}, 202),
        ({"code": True, "regex": "^2"}, "2"),
        ("blank", None),
        ("missing", None),
    ],
)
def test_each_source(spec: object, value: Json) -> None:
    """JMESPath, a header in any case, text, and the status code, each narrowed by a regex; blank is nothing."""
    body = {"id": 7, "name": "n-12", "list": [1], "blank": "  "}
    reply = reply_of(202, body, location="/v1/jobs/9?x=1", x_blank=" ")
    assert _pick(spec)(Reading(reply)) == value


def test_the_first_source_that_finds_something_counts() -> None:
    """A provider that names its job in one of several places is read wherever it does."""
    pick = _pick({"header": "X-Created"}, {"header": "Location", "regex": "[^/]+$"}, "id")
    assert pick(Reading(reply_of(201, {"id": 1}, x_created="3", location="/jobs/2"))) == "3"
    assert pick(Reading(reply_of(201, {"id": 1}, location="/jobs/2"))) == "2"
    assert pick(Reading(reply_of(201, {"id": 1}))) == 1
    assert pick(Reading(reply_of(201, b""))) is None


@pytest.mark.parametrize(
    ("value", "handle"),
    [
        ("101111", "101111"),
        (101111, "101111"),
        (101111.0, "101111"),
        (0, "0"),
        (" a b ", "a b"),
        ("ä/b", "ä/b"),
        (True, None),
        (None, None),
        ("", None),
        ("  ", None),
        (".", None),
        ("..", None),
        ("a\nb", None),
        ("a\x00b", None),
        ("\ud800", None),
        ("x" * 3000, None),
        (["7"], None),
        ({"id": 7}, None),
    ],
)
def test_what_may_be_a_handle(value: Json, handle: str | None) -> None:
    """Text or a number that can be sent back in a URL, whole; anything else is no name of a remote job."""
    assert as_handle(value) == handle


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (5, 5),
        (0, 0),
        ("12", 12),
        (" 12 ", 12),
        (5.0, 5),
        (5.5, None),
        (-1, None),
        (True, None),
        ("x", None),
        (None, None),
    ],
)
def test_what_may_be_a_count(value: Json, count: int | None) -> None:
    """Whole numbers from 0, also as text."""
    assert as_count(value) == count


def test_notes_are_short_lines() -> None:
    """A status word or a progress is shown to people, so it is cut and cleaned."""
    assert as_note(" IN_PROGRESS ") == "IN_PROGRESS"
    assert as_note("50%\n\x00done") == "50% done"
    assert as_note("x" * 200) == "x" * 99 + "…"
    assert as_note(0.5) == "0.5"
    assert as_note(" ") is None
    assert as_note([1]) is None


def test_scalars_are_written_as_json_writes_them() -> None:
    """Booleans in lower case, whole floats without their point."""
    assert [as_text(value) for value in (True, False, 3, 3.0, 0.5, "x")] == ["true", "false", "3", "3", "0.5", "x"]
