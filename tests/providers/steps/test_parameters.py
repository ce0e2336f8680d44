"""A job's parameters: types, spelling, and all faults at once."""

from collections.abc import Mapping

import pytest

from tests.providers.newsletter import TOKEN, symplify
from tests.support.spec_samples import HEAD, POLL, RESULTS, WHOLE, operation_of
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import ParameterError

SPEC = (
    HEAD
    + """
[operations.report]
title = "Report"
[operations.report.params]
period = { help = "the period", enum = ["LAST_DAY", "LAST_WEEK"], aliases = { "yesterday " = "LAST_DAY" } }
level = { help = "the level", enum = ["all", "group"], default = "all" }
group = { help = "the group", when = { level = "group" } }
number = { help = "a number", type = "integer", required = false }
deep = { help = "deep or not", type = "boolean", default = false }
code = { help = "a code", pattern = "[a-z]+", max_length = 5, required = false }

[[operations.report.submit]]
when = { params.level = "all" }
url = "/reports"
handle = "id"
[[operations.report.submit]]
when = { params.level = "group" }
url = "/groups/${params.group}/reports"
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


def test_values_are_typed_and_defaults_filled_in() -> None:
    """From the command line everything is text; what is stored has its type, in the order of the spec."""
    checked = _operation().check_params({"deep": "TRUE", "number": " -7 ", "period": " last_week", "code": "abc"})
    assert checked == {"period": "LAST_WEEK", "level": "all", "number": -7, "deep": True, "code": "abc"}
    assert list(checked) == ["period", "level", "number", "deep", "code"]
    again = _operation().check_params(checked)
    assert again == checked


@pytest.mark.parametrize("spelling", ["LAST_DAY", "last_day", "Yesterday", "YESTERDAY "])
def test_spellings_and_aliases(spelling: str) -> None:
    """Any case will do, and other names that people know."""
    assert _operation().check_params({"period": spelling})["period"] == "LAST_DAY"


def test_null_is_the_same_as_absent() -> None:
    """A JSON client may send every key."""
    assert _operation().check_params({"period": "LAST_DAY", "number": None, "deep": None, "group": None}) == {
        "period": "LAST_DAY",
        "level": "all",
        "deep": False,
    }


def test_every_fault_comes_at_once() -> None:
    """Unknown, missing, not permitted, wrong type, pattern, too long."""
    assert _faults({"periode": "x", "level": "some", "number": "1.5", "deep": 1, "code": "ABC"}) == [
        "periode: unknown parameter (did you mean period? there are: period, level, group, number, deep, code)",
        "level: 'some' is not permitted (permitted: all, group)",
        "number: must be a whole number, not '1.5'",
        "deep: must be true or false, not 1",
        "code: 'ABC' does not match the pattern [a-z]+",
        "period: is missing: the period",
    ]
    assert _faults({"period": "LAST_DAY", "code": "abcdef"}) == ["code: is too long: 6 characters, and 5 are permitted"]
    assert _faults({"period": ["LAST_DAY"]}) == ["period: must be text"]
    assert _faults({"period": "LAST_DAY", "number": True}) == ["number: must be a whole number, not True"]
    assert _faults({"period": "LAST_DAY", "code": "a\x00"}) == ["code: contains characters that are not text"]


def test_parameters_that_depend_on_another() -> None:
    """Asked for where the other says so, refused where not: else an export of all would pass for one of a group."""
    period: dict[str, Json] = {"period": "LAST_DAY"}
    assert _faults({**period, "level": "group"}) == ["group: is missing where level is group: the group"]
    assert _faults({**period, "group": "7"}) == ["group: is not used unless level is group"]
    assert _faults({**period, "group": "7", "level": "grup"}) == [
        "level: 'grup' is not permitted (permitted: all, group)"
    ]
    assert _operation().check_params({**period, "level": "group", "group": 7})["group"] == "7"


def test_a_default_may_depend_on_one_that_stands_after_it() -> None:
    """The order of a spec's tables means nothing."""
    spec = (
        WHOLE
        + """
[operations.report.params]
format = { help = "x", default = "csv", when = { kind = "b" } }
kind = { help = "x", enum = ["a", "b"], default = "b" }
"""
    )
    assert operation_of(spec).check_params({}) == {"format": "csv", "kind": "b"}
    assert operation_of(spec).check_params({"kind": "a"}) == {"kind": "a"}


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_parameter_cannot_climb_out_of_a_url(value: str) -> None:
    """Said before anything is sent."""
    assert _faults({"period": "LAST_DAY", "level": "group", "group": value}) == [
        f"group: {value!r} cannot be a part of a URL"
    ]


def test_the_alias_of_symplifys_own_example() -> None:
    """Its documentation asks for OPENED, which its list of values does not have: it is sent as it was written."""
    operation = symplify().bind("shop", TOKEN).operations["statistics"]
    assert operation.check_params({"export_type": "opened"}) == {"export_type": "OPENED", "period": "LAST_DAY"}
    with pytest.raises(ParameterError) as raised:
        operation.check_params({"export_type": "OPEN", "periods": "TODAY"})
    assert str(raised.value).splitlines() == [
        "periods: unknown parameter (did you mean period? there are: export_type, period)",
        "export_type: 'OPEN' is not permitted (permitted: LISTS, CAMPAIGNS, MESSAGES, OPENS, OPENED, SENT, CLICKS, "
        "PROJECTS, HARD_BOUNCES, SOFT_BOUNCES, OPTOUTS)",
    ]
