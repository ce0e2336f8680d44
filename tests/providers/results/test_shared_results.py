"""Which jobs ask the same question, how old a shared result may be, and the messages about `answers`."""

import pytest

from tests.support.spec_samples import HEAD, NOW, WHOLE, changed, faults_of, job_with, operation_of
from tidewaiter.providers.results.result_sharing import Sharing

PARAMS = """
[operations.report.params]
page = { help = "the page", type = "integer" }
where = { help = "where", type = "object", required = false }
fresh = { help = "newer", type = "boolean", default = false }
"""
AT_ONCE = """
[operations.report]
title = "Report"
[operations.report.submit]
url = "/pages/${params.page}"
rules = [{ then = "ready" }]
[operations.report.results]
inline = true
"""
ANSWERS = "[operations.report.answers]\nfresh_s = 300\n"
SPEC = HEAD + AT_ONCE + PARAMS + ANSWERS + 'newer = "fresh"\n'


def test_the_same_question_has_the_same_key() -> None:
    """Whatever the order of what was given, and whether it shall be newer; nothing else may differ."""
    sharing = operation_of(SPEC).sharing
    assert sharing == Sharing(300.0, "fresh")
    key = sharing.key({"page": 7, "where": {"a": 1, "b": 2}})
    assert key == sharing.key({"where": {"b": 2, "a": 1}, "page": 7, "fresh": True})
    assert key != sharing.key({"page": 7, "where": {"a": 1, "b": 3}})
    assert key != sharing.key({"page": 7})
    assert len(key) == 64


def test_how_old_an_answer_may_be() -> None:
    """As old as the job and what stays the same; for one that wants newer data that much younger than the job."""
    sharing = Sharing(300.0, "fresh")
    assert sharing.since(job_with(params={"page": 7})) == NOW - 300.0
    assert sharing.since(job_with(params={"page": 7, "fresh": True})) == NOW + 300.0
    assert (sharing.wait_s({"fresh": False}), sharing.wait_s({"fresh": True})) == (0.0, 300.0)
    assert Sharing(300.0, None).wait_s({"fresh": True}) == 0.0


def test_without_the_table_nobody_shares() -> None:
    """Every job asks for itself."""
    assert operation_of(WHOLE).sharing is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ANSWERS + 'newer = "page"\n', "answers.newer names page, which is no boolean parameter"),
        (ANSWERS + 'newer = "nothing"\n', "answers.newer names nothing, which is no boolean parameter"),
        (
            ANSWERS + "[operations.report.schedule]\ndeadline_s = 300\n",
            "answers.fresh_s is not less than schedule.deadline_s, so a job would expire waiting",
        ),
    ],
)
def test_messages(text: str, fault: str) -> None:
    """What cannot be meant is told at the operation."""
    assert faults_of(HEAD + AT_ONCE + PARAMS + text) == [f"demo.toml: operations.report: {fault}"]


def test_an_age_is_needed() -> None:
    """Nothing is shared for no time."""
    assert faults_of(HEAD + AT_ONCE + PARAMS + "[operations.report.answers]\n") == [
        "demo.toml: operations.report.answers.fresh_s: is missing"
    ]
    assert faults_of(HEAD + AT_ONCE + PARAMS + "[operations.report.answers]\nfresh_s = 0\n") == [
        "demo.toml: operations.report.answers.fresh_s: input should be greater than 0"
    ]


def test_answers_have_to_come_at_once() -> None:
    """Who waits for a remote job shares it by its handle, not by its answer."""
    fault = "demo.toml: operations.report: answers need submits that may be ready at once, and results that are inline"
    assert faults_of(WHOLE + PARAMS + ANSWERS) == [fault]
    assert faults_of(changed('rules = [{ then = "ready" }]', 'handle = "id"', HEAD + AT_ONCE) + PARAMS + ANSWERS) == [
        fault
    ]
