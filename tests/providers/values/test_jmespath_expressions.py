"""JMESPath in specs: missing keys are allowed, and no reply makes an expression raise."""

import pytest
from hypothesis import given, settings

from tests.support.json_values import JSON
from tidewaiter.domain.http_values import Json
from tidewaiter.providers.values.jmespath_expressions import ExpressionError, compile_expression, is_true


@pytest.mark.parametrize(
    ("source", "document", "value"),
    [
        ("batchId", {"batchId": "7"}, "7"),
        ("batchId", {"BatchID": 7}, 7),
        ("batchId", {" batchid ": 7}, 7),
        ("batchId", {"BATCHID": 1, "batchId": 2}, 2),
        ("batchId", {"batchId": None, "BATCHID": 1}, None),
        ("a.b.c", {"A": {"b": {"C": 3}}}, 3),
        ("a.b", {"a": [1]}, None),
        ("a", ["a"], None),
        ("a[0].b", {"A": [{"B": 1}]}, 1),
        ("items[?Status=='x'].id | [0]", {"Items": [{"status": "x", "ID": 4}]}, 4),
        ('"odd key"', {"Odd Key": 1}, 1),
        ("@", "text", "text"),
        ("a > b", {"a": 1, "b": "x"}, None),
        ("sum(a)", {"a": "x"}, None),
        ("to_number(a)", {"a": "x" * 9}, None),
        ("sort_by(a, &b)", {"a": [{"b": 1}, {"b": "x"}]}, None),
        ("avg(a)", {"a": []}, None),
    ],
)
def test_values_are_found(source: str, document: Json, value: Json) -> None:
    """A key as written comes first, then one that differs in case or blanks; what cannot be evaluated has no value."""
    assert compile_expression(source)(document) == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a.[", "not JMESPath: Incomplete expression"),
        ("", "not JMESPath: cannot be empty."),
        ("a b", "not JMESPath: Unexpected token: b: Parse error at column 2"),
        ("`x", "not JMESPath: Unclosed ` delimiter"),
        ("nofun(a)", "not JMESPath: there is no function nofun(); there are abs, "),
        ("[?lenght(a) > `1`]", "there is no function lenght()"),
        ("length(a, b)", "not JMESPath: length() takes 1 arguments, not 2"),
        ("contains(a)", "not JMESPath: contains() takes 2 arguments, not 1"),
    ],
)
def test_what_is_no_expression_is_said_when_compiling(source: str, message: str) -> None:
    """Unknown functions and wrong numbers of arguments are found too, which JMESPath itself finds only in use."""
    with pytest.raises(ExpressionError) as raised:
        compile_expression(source)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [0, 0.0, "x", [0], {"a": None}, True])
def test_what_is_true(value: Json) -> None:
    """Zero is true in JMESPath."""
    assert is_true(value)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_what_is_false(value: Json) -> None:
    """Null, false and all that is empty."""
    assert not is_true(value)


@settings(deadline=None)
@given(JSON)
def test_no_document_breaks_an_expression(document: Json) -> None:
    """Arithmetic, comparison, sorting and slicing meet any document without raising."""
    for source in ("a.b", "a[?b > `1`].c", "sort(@)", "max_by(a, &b)", "a[::-1]", "join(',', a)", "a == b", "*.a[]"):
        compile_expression(source)(document)


def test_a_document_of_any_depth_is_survived() -> None:
    """Nesting beyond what the interpreter can follow has no value, and does not end the program."""
    document: Json = 1
    for _ in range(50_000):
        document = [document]
    assert compile_expression("to_string(@)")(document) is None
