"""Any reply leads to an outcome that can be stored and shown."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.newsletter import SETTINGS
from tests.support.effort import examples
from tests.support.json_values import JSON
from tests.support.spec_samples import NOW, built_in, job_with
from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.domain.outcome import Accepted, Inline, Pending, Ready, Unmapped

SYMPLIFY = built_in("symplify", SETTINGS, "statistics")
REDIRECT = built_in("symplify", {**SETTINGS, "result": "redirect"}, "statistics")
FHIR = built_in("fhir-bulk", {"base_url": "https://fhir.example.com", "token": "t-canary"}, "export")
JOBS = [
    (SYMPLIFY, job_with("1", SYMPLIFY.check_params({"export_type": "SENT"}))),
    (REDIRECT, job_with("1", REDIRECT.check_params({"export_type": "SENT"}))),
    (FHIR, job_with("https://fhir.example.com/s/1", FHIR.check_params({}))),
]
WORDS = ["PENDING", " finished ", "ERROR", "t-canary", "https://f.example.com/?a=t-canary", "\x00", "\ud800"]
VALUES = JSON | st.sampled_from(WORDS)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "status": VALUES,
        "batchId": VALUES,
        "processed": VALUES,
        "total": VALUES,
        "error": VALUES,
        "issue": VALUES | st.lists(st.fixed_dictionaries({"code": VALUES, "details": VALUES})),
        "resourceType": st.just("OperationOutcome"),
        "requiresAccessToken": VALUES,
        "output": VALUES
        | st.lists(
            st.fixed_dictionaries(
                {"type": VALUES, "url": VALUES | st.just("https://f.example.com/x%00?y"), "count": VALUES}
            )
        ),
        "deleted": VALUES,
    },
)
BODIES = (
    st.binary()
    | st.text().map(lambda text: text.encode("utf-8", "replace"))
    | (JSON | LIKELY).map(lambda tree: json.dumps(tree).encode())
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "content-location", "x-progress", "content-type", "location"]),
    st.text() | st.sampled_from(["120", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "https://x.example.com/1", *WORDS]),
)
STATUSES = st.sampled_from([200, 201, 202, 204, 302, 400, 401, 403, 404, 408, 429, 500, 503]) | st.integers(0, 1000)
REPLIES = st.builds(
    WireReply,
    status=STATUSES,
    headers=HEADERS,
    body=BODIES,
    url=st.sampled_from(["", "https://fhir.example.com/s", "https://files.example.org/f?sig=1", "nonsense"])
    | st.text(),
    truncated=st.booleans(),
)


def _texts(value: Any) -> list[str]:
    """Every text that an outcome holds."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for one in value for text in _texts(one)]
    return [text for name in getattr(value, "__slots__", ()) for text in _texts(getattr(value, name))]


@settings(max_examples=examples(400), deadline=None)
@given(REPLIES)
def test_reading_never_raises(reply: WireReply) -> None:
    """Any status, any headers, any body, in any step: an outcome, and every text of it can be stored."""
    for operation, job in JOBS:
        outcomes = [
            operation.read_submit(job, reply, NOW),
            operation.read_poll(job, reply, NOW),
            operation.read_resolve(job, reply, NOW),
            operation.read_file(job, Link("https://files.example.org/f"), reply, NOW),
            operation.read_cancel(job, reply, NOW),
            operation.read_clean(job, reply, NOW),
        ]
        for outcome in outcomes:
            for text in _texts(outcome):
                text.encode()
                assert "\x00" not in text


@settings(max_examples=examples(400), deadline=None)
@given(REPLIES)
def test_no_reason_holds_a_secret(reply: WireReply) -> None:
    """Whatever a provider echoes, the account's secret is in no sentence about it."""
    for operation, job in JOBS:
        for outcome in (operation.read_submit(job, reply, NOW), operation.read_poll(job, reply, NOW)):
            text = getattr(outcome, "reason", "") + (outcome.excerpt if isinstance(outcome, Unmapped) else "")
            assert "t-canary" not in text
            assert len(text) < 500


@settings(max_examples=examples(200), deadline=None)
@given(REPLIES)
def test_what_was_accepted_can_be_asked_after(reply: WireReply) -> None:
    """A handle that was taken for one builds a request for every further step."""
    for operation, job in JOBS:
        outcome = operation.read_submit(job, reply, NOW)
        if not isinstance(outcome, Accepted):
            continue
        named = job_with(outcome.handle, job.params)
        urls = [operation.poll(named).url, *(link.url for link in operation.links(named))]
        urls += [request.url for request in (operation.resolve(named), operation.cancel(named)) if request is not None]
        for url in urls:
            assert url.isascii()
            assert url.isprintable()
            assert " " not in url


@settings(max_examples=examples(200), deadline=None)
@given(REPLIES)
def test_only_a_success_ends_a_job_well(reply: WireReply) -> None:
    """An error status never comes to Accepted, Pending, Ready or Inline, whatever its body pretends."""
    if 200 <= reply.status < 300:
        return
    for operation, job in JOBS:
        for outcome in (operation.read_submit(job, reply, NOW), operation.read_poll(job, reply, NOW)):
            assert not isinstance(outcome, Accepted | Pending | Ready | Inline)
