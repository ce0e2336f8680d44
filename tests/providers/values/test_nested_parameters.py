"""Parameters that are objects and arrays, and the checks of string contents and lengths."""

import json
from collections.abc import Mapping

import pytest

from tests.support.spec_samples import HEAD, POLL, RESULTS, changed, job_with, operation_of
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import ParameterError

SPEC = (
    HEAD
    + """
[operations.report]
title = "Report"

[operations.report.params]
wrapper = { help = "the page around", contains = "{SHAREACTION}", any_case = true, required = false }
free = { type = "object", help = "anything", required = false }
ids = { type = "array", help = "numbers", max_items = 3, items = { type = "integer" }, required = false }
rest = { type = "array", help = "anything", required = false }

[operations.report.params.options]
type = "object"
help = "options"
required = false

[operations.report.params.options.fields]
routed = { type = "boolean", help = "routed or not", default = true }
mode = { help = "the mode", enum = ["one", "all"], default = "all" }
only = { help = "the one", when = { mode = "one" } }
customizeParams = { type = "object", help = "names of parameters", also = ["custom_params"], required = false }

[operations.report.params.variants]
type = "object"
help = "what is said"
required = false

[operations.report.params.variants.fields.twitter]
type = "array"
help = "short messages"
required = false

[operations.report.params.variants.fields.twitter.items]
type = "object"

[operations.report.params.variants.fields.twitter.items.fields]
id = { type = "integer", help = "which one", required = false }
message = { help = "the message", max_length = 30, contains = "{LINK}", counted = { "{LINK}" = 22 } }
_destroy = { type = "boolean", help = "delete it", required = false }

[operations.report.submit]
url = "/reports"
json = { variants = "${params.variants}", options = "${params.options}", ids = "${params.ids}", any = "${params.free}" }
handle = "id"
"""
    + POLL
    + RESULTS
)


def _operation() -> BoundOperation:
    return operation_of(SPEC)


def _faults(raw: Mapping[str, Json]) -> list[str]:
    with pytest.raises(ParameterError) as raised:
        _operation().check_params(raw)
    return str(raised.value).splitlines()


def _tweets(*messages: str) -> dict[str, Json]:
    return {"variants": {"twitter": [{"message": message} for message in messages]}}


def test_values_inside_are_typed_and_defaults_filled_in() -> None:
    """Whatever is inside is treated as a parameter is: types, defaults, spellings, other names."""
    raw: dict[str, Json] = {
        "ids": ["7", 8],
        "options": {"routed": "FALSE", "mode": "ONE", "only": 3, "custom_params": {"f": "facebook"}},
        "variants": {"twitter": [{"id": "5", "message": "Look {LINK}", "_destroy": "true"}, {"message": "{LINK}"}]},
    }
    checked = _operation().check_params(raw)
    assert checked == {
        "ids": [7, 8],
        "options": {"routed": False, "mode": "one", "only": "3", "customizeParams": {"f": "facebook"}},
        "variants": {"twitter": [{"id": 5, "message": "Look {LINK}", "_destroy": True}, {"message": "{LINK}"}]},
    }
    assert _operation().check_params(checked) == checked
    assert _operation().check_params({"options": {}})["options"] == {"routed": True, "mode": "all"}


def test_json_text_is_the_same_as_the_value() -> None:
    """A command line has nothing but text."""
    raw = _tweets("Look {LINK}")
    assert _operation().check_params({"variants": json.dumps(raw["variants"])}) == _operation().check_params(raw)
    assert _operation().check_params({"ids": "[1, 2]"}) == {"ids": [1, 2]}


def test_what_is_inside_is_sent_as_it_is() -> None:
    """An object goes into the request's JSON whole, with its types."""
    params = _operation().check_params({**_tweets("Look {LINK}"), "ids": [1], "free": {"a": [None, 1.5, {"b": "c"}]}})
    body = json.loads(_operation().submit(job_with(None, params)).body or b"")
    assert body == {
        "variants": {"twitter": [{"message": "Look {LINK}"}]},
        "ids": [1],
        "any": {"a": [None, 1.5, {"b": "c"}]},
    }


def test_faults_are_reported_with_their_path() -> None:
    """Every one at once, however deep."""
    assert _faults(
        {
            "ids": [1, "x"],
            "options": {"mod": 1, "routed": "maybe", "mode": "one"},
            "variants": {"twitter": [{"message": "no link"}, {"id": 1}, "text"]},
        }
    ) == [
        "ids[1]: must be a whole number, not 'x'",
        "options.mod: unknown field (did you mean mode? there are: routed, mode, only, customizeParams)",
        "options.routed: must be true or false, not 'maybe'",
        "options.only: is missing where mode is one: the one",
        "variants.twitter[0].message: must contain {LINK}",
        "variants.twitter[1].message: is missing: the message",
        "variants.twitter[2]: must be an object in JSON, and is not JSON: Expecting value: line 1 column 1 (char 0)",
    ]
    assert _faults({"options": {"only": "x"}}) == ["options.only: is not used unless mode is one"]
    assert _faults({"options": {"customizeParams": {}, "custom_params": {}}}) == [
        "options.customizeParams: is given twice, as customizeParams and as custom_params"
    ]


def test_shapes() -> None:
    """An object is an object, an array is an array, and no longer than it may be."""
    assert _faults({"variants": [], "ids": {}}) == ["ids: must be an array", "variants: must be an object"]
    assert _faults({"ids": [1, 2, 3, 4]}) == ["ids: has 4 items, and 3 are permitted"]
    assert _faults({"ids": "1,2"}) == [
        "ids: must be an array in JSON, and is not JSON: Extra data: line 1 column 2 (char 1)"
    ]
    assert _faults({"free": '{"a": NaN}'}) == ["free: must be an object in JSON, and is not JSON: NaN is not JSON"]


def test_free_json_holds_only_what_can_be_stored_and_sent() -> None:
    """No zero characters, no endless nesting, no infinity."""
    deep: Json = []
    for _ in range(40):
        deep = [deep]
    assert _faults({"rest": deep}) == ["rest: is nested more than 32 deep"]
    assert _faults({"rest": ["a\0"]}) == ["rest: contains characters that are not text"]
    assert _faults({"free": {"a\0": 1}}) == ["free: contains characters that are not text"]
    assert _faults({"free": {"a": float("inf")}}) == ["free: holds inf, which is not JSON"]


def test_a_text_may_count_as_more_or_less_than_it_is_long() -> None:
    """A link counts as what the network makes of it: 22 characters, each time."""
    assert _operation().check_params(_tweets("12345678{LINK}"))
    assert _faults(_tweets("123456789{LINK}")) == [
        "variants.twitter[0].message: is too long: 31 characters, where {LINK} counts as 22, and 30 are permitted"
    ]
    assert _faults(_tweets("{LINK}{LINK}")) == [
        "variants.twitter[0].message: is too long: 44 characters, where {LINK} counts as 22, and 30 are permitted"
    ]


def test_what_must_be_contained_in_any_case_or_in_its_own() -> None:
    """`any_case` lets a wrapper hold its mark however it is written; without it the case counts."""
    assert _operation().check_params({"wrapper": "<p>{ShareAction}</p>"})
    assert _faults({"wrapper": "<p>"}) == ["wrapper: must contain {SHAREACTION}"]
    assert _faults(_tweets("{link}")) == ["variants.twitter[0].message: must contain {LINK}"]


def test_an_item_needs_no_help_and_a_field_may_have_any_name() -> None:
    """Names are the API's own, `params` included."""
    spec = changed("_destroy", "params", SPEC)
    assert operation_of(spec).check_params({"variants": {"twitter": [{"message": "{LINK}", "params": True}]}})
