"""Adopt: which items of a list are the remote job that a submit created."""

import pytest

from tests.support.spec_samples import (
    BASE,
    HEAD,
    NOW,
    POLL,
    POLL_URL,
    RESULTS,
    SUBMIT,
    WHOLE,
    job_with,
    operation_of,
    provider_of,
    reply_of,
)
from tidewaiter.domain.outcome import Refused, Retry
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.results.paged_lists import PagePosition
from tidewaiter.providers.steps.remote_job_search import Matches, RemoteJobSearch

ADOPT = """
[operations.report.params]
name = { help = "the name", example = "x" }
kind = { help = "the kind", required = false }

[operations.report.adopt]
url = "/reports"
query = { name = "${params.name}", page = "${page.number}" }
items = "reports"
size = 2
match = { name = "${params.name}", "meta.kind" = "${params.kind}", key = "${intent.key}" }
where = "state != 'old'"
handle = "id"
"""
SPEC = WHOLE + ADOPT


def adoption_of(text: str = SPEC) -> RemoteJobSearch:
    """What finds the remote jobs of a spec's only operation."""
    adoption = operation_of(text).adoption(job_with(None))
    assert adoption is not None
    return adoption


def found(params: dict[str, object], *items: object, text: str = SPEC) -> tuple[str, ...]:
    """The names of the remote jobs that are meant."""
    job = job_with(None, params)  # type: ignore[arg-type]  # parameters are JSON
    got = adoption_of(text).read(job, PagePosition(), reply_of(200, {"reports": list(items)}, f"{BASE}/reports"), NOW)
    assert isinstance(got, Matches), got
    return got.handles


def item(number: int, **more: object) -> dict[str, object]:
    """An item of the list."""
    return {"id": number, "name": "n", "key": "key-1", "meta": {"kind": 5}, **more}


def test_the_request_has_what_was_asked_for() -> None:
    """And the number of the page."""
    request = adoption_of().request(job_with(None, {"name": "a b"}), PagePosition(2, 2))
    assert (request.method, request.url) == ("GET", f"{BASE}/reports?name=a%20b&page=2")


def test_every_condition_has_to_hold() -> None:
    """Scalars count as text, trimmed; what the job does not have is not looked at."""
    assert found({"name": " n", "kind": "5"}, item(1), item(2, name=" n "), item(3, name="m")) == ("1", "2")
    assert found({"name": "n", "kind": 6}, item(1)) == ()
    assert found({"name": "n"}, item(1, meta=None)) == ("1",)
    assert found({"name": "n"}, item(1, key="key-2"), item(2, state="old"), "odd", None) == ()


def test_there_is_a_next_page_where_one_is_full() -> None:
    """All pages are looked at."""
    reply = reply_of(200, {"reports": [item(1), item(2, name="m")]}, f"{BASE}/reports")
    got = adoption_of().read(job_with(None, {"name": "n"}), PagePosition(), reply, NOW)
    assert isinstance(got, Matches)
    assert (got.handles, got.after) == (("1",), PagePosition(2, 2))


def test_handles_that_are_urls_are_made_absolute() -> None:
    """As those of a submit are."""
    text = SPEC.replace(POLL_URL, 'url = "${handle}"\n').replace('handle = "id"\n', 'handle = "href"\n')
    text = text.replace('url = "/reports/${handle}/file"', 'url = "${handle}/file"')
    assert found({"name": "n"}, item(1, href="reports/1"), text=text) == (f"{BASE}/reports/1",)


def test_a_match_without_a_name_is_reported() -> None:
    """It may be the one: to pass over it would be to submit again."""
    reply = reply_of(200, {"reports": [item(1, id=None)]}, f"{BASE}/reports")
    got = adoption_of().read(job_with(None, {"name": "n"}), PagePosition(), reply, NOW)
    assert got == Refused("an item of the list matches the job, but has no handle")


def test_without_anything_to_compare_nothing_is_found() -> None:
    """Any item would do then."""
    text = SPEC.replace("where = \"state != 'old'\"\n", "").replace(', key = "${intent.key}"', "")
    reply = reply_of(200, {"reports": [item(1)]})
    assert adoption_of(text).read(job_with(None), PagePosition(), reply, NOW) == Refused(
        "the job has none of the values that adopt compares"
    )


def test_a_job_that_lacks_something_can_be_left_to_a_person() -> None:
    """With less to compare, something older could be taken for what the submit made."""
    text = SPEC.replace("where = ", "match_all = true\nwhere = ")
    assert text != SPEC
    reply = reply_of(200, {"reports": [item(1)]})
    got = adoption_of(text).read(job_with(None, {"name": "n"}), PagePosition(), reply, NOW)
    assert got == Refused("the job has not all values that adopt compares")


def test_a_list_that_cannot_be_read() -> None:
    """It is asked for again."""
    assert isinstance(adoption_of().read(job_with(None), PagePosition(), reply_of(200, b"<html>"), NOW), Retry)


EXAMPLES = """
[[examples]]
name = "found"
operation = "report"
step = "adopt"
request = { url = "https://api.example.com/v1/reports?name=x&page=1" }
reply = { status = 200, json = { reports = [{ id = 7, name = "x", key = "example-intent" }] } }
outcome = { is = "Matches", handles = ["7"], last = true }
"""


def test_examples_of_adopt() -> None:
    """They compare the names that are found, and count as cover."""
    provider = provider_of(SPEC + EXAMPLES)
    (result,) = run_examples(provider)
    assert result.ok, str(result)
    assert "operations.report.adopt" not in uncovered_rules(provider)
    (result,) = run_examples(provider_of(SPEC + EXAMPLES.replace('["7"]', "[]")))
    assert "outcome.handles" in str(result)


@pytest.mark.parametrize(("words", "shares"), [('rules = [{ status = 409, then = "duplicate" }]\n', True), ("", False)])
def test_what_shares(words: str, shares: bool) -> None:
    """Jobs share remote jobs where the spec knows duplicates."""
    text = HEAD + SUBMIT.replace('handle = "id"\n', f'handle = "id"\n{words}') + POLL + RESULTS
    assert operation_of(text).policy.shares is shares
