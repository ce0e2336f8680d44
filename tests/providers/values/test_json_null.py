"""JSON null in a request: a value, while a missing value leaves its member out."""

import json

import pytest

from tests.support.spec_samples import REQUEST, changed, faults_of, job_with, operation_of

PARAMS = "[operations.report.params]\nnote = { help = 'a note', required = false }\n[operations.report.submit]"
BODY = 'json = { a = "${null}", b = "${params.note|null}", c = "${params.note}", d = ["${null}", "${params.note}"] }'
SPEC = changed(REQUEST, f"{REQUEST}\n{BODY}", changed("[operations.report.submit]", PARAMS))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"a": None, "b": None, "d": [None]}),
        ({"note": "x"}, {"a": None, "b": "x", "c": "x", "d": [None, "x"]}),
        ({"note": ""}, {"a": None, "b": "", "c": "", "d": [None, ""]}),
    ],
)
def test_null_is_sent(params: dict[str, str], expected: dict[str, object]) -> None:
    """Alone, as an alternative, and in an array."""
    assert json.loads(operation_of(SPEC).submit(job_with(None, params)).body or b"") == expected


def test_null_of_a_body_without_references() -> None:
    """A body that depends on no job is made once."""
    spec = changed(REQUEST, f'{REQUEST}\njson = {{ a = {{ b = "${{null}}" }} }}')
    assert operation_of(spec).submit(job_with(None)).body == b'{"a":{"b":null}}'


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('form = { a = "${null}" }', "form.a"),
        ('query = { a = "${null}" }', "query.a"),
        ('json = { a = "x ${null}" }', "json.a"),
        ('text = "${null}"', "text"),
    ],
)
def test_null_elsewhere_is_a_fault(line: str, key: str) -> None:
    """Only JSON has null."""
    spec = changed(REQUEST, f"{REQUEST}\n{line}")
    reason = "refers to ${null}, which may stand only alone in its text, in json"
    assert faults_of(spec) == [f"demo.toml: operations.report.submit.{key}: {reason}"]
