"""``like``: what an operation inherits from another, and the messages about faults."""

import pytest

from tests.support.spec_samples import WHOLE
from tidewaiter.providers.checks.spec_lint import read_spec

LIKE = """
[operations.other]
title = "Another"
like = "report"
params = { extra = { help = "more", required = false } }
"""


def test_what_is_not_said_is_taken_over() -> None:
    """Tables come from the model but those that are there; parameters are merged."""
    spec, faults = read_spec("demo.toml", WHOLE + LIKE)
    assert faults == []
    assert spec is not None
    model, other = spec.operations["report"], spec.operations["other"]
    assert (other.title, other.submit, other.poll, other.results) == (
        "Another",
        model.submit,
        model.poll,
        model.results,
    )
    assert other.params.keys() == model.params.keys() | {"extra"}


def test_a_table_that_is_there_is_taken_whole() -> None:
    """Nothing of the model's table is left beside it."""
    spec, faults = read_spec(
        "demo.toml", WHOLE + LIKE + '[operations.other.submit]\nurl = "/elsewhere"\nhandle = "id"\n'
    )
    assert faults == []
    assert spec is not None
    (submit,) = spec.operations["other"].submit
    assert (submit.url, submit.body) == ("/elsewhere", None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            LIKE.replace('"report"', '"nothing"'),
            "operations.other.like: there is no other operation 'nothing' (there are: report)",
        ),
        (
            LIKE.replace('"report"', '"other"'),
            "operations.other.like: there is no other operation 'other' (there are: report)",
        ),
        (
            LIKE + '[operations.third]\ntitle = "Third"\nlike = "other"\n',
            "operations.third.like: other has a like itself; name that operation",
        ),
        (LIKE.replace('"report"', "7"), "operations.other.like: must be text"),
    ],
)
def test_each_fault_is_reported(text: str, fault: str) -> None:
    """File, key as it stands in the file, reason."""
    _, faults = read_spec("demo.toml", WHOLE + text)
    assert f"demo.toml: {fault}" in map(str, faults)
