"""Requests before the submit and after it in a spec: what they mean, and what is wrong with them."""

import pytest

from tests.support.spec_samples import HEAD, NOW, POLL, RESULTS, SUBMIT, faults_of, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.outcome import (
    Gone,
    NotYet,
    Refused,
    Retry,
    StepDone,
    Throttled,
    Unauthorized,
    Unknown,
    Unsent,
)
from tidewaiter.domain.stages import Stages
from tidewaiter.providers.errors import UnsendableError

STAGED = (
    HEAD
    + SUBMIT.replace("/reports", "/reports?from=${kept.file}")
    + """
[operations.report.params]
fast = { type = "boolean", help = "at once", default = false }

[[operations.report.before]]
name = "upload"
url = "/files"
keep = { file = "id", size = { json = "size", optional = true } }
rules = [
    { json = "state == 'busy'", then = "pending" },
    { status = 409, json = "id", then = "done" },
    { status = 422, then = "retry" },
]

[[operations.report.start]]
name = "enqueue"
url = "/reports/${handle}/enqueue"
keep = { queue = "queue" }
rules = [{ status = 409, json = "queue", then = "done" }, { status = 500, text = "not read", then = "unsent" }]

[[operations.report.start]]
name = "hurry"
repeatable = true
when = { params = { fast = true }, handle = "^[0-9]+$" }
method = "PUT"
url = "/queues/${kept.queue}"
"""
    + POLL
    + RESULTS
)
OTHER = "https://other.example.net/x"


def at(stage: str, **kept: str) -> Job:
    """A job at a stage."""
    state = State.QUEUED if stage == "upload" else State.SUBMITTING
    return job_with(None if stage == "upload" else "42").but(stage=stage, state=state, kept=dict(kept))


def test_the_order_and_what_a_job_needs() -> None:
    """In the order of the spec, around the submit; without such requests the submit is alone."""
    stages = operation_of(STAGED).policy.stages
    assert stages.names == ("upload", "submit", "enqueue", "hurry")
    assert stages.after(at("enqueue")) is None
    assert stages.after(at("enqueue").but(params={"fast": True})) == "hurry"
    assert stages.after(at("enqueue").but(params={"fast": True}, handle="a1")) is None
    assert operation_of(HEAD + SUBMIT + POLL + RESULTS).policy.stages == Stages()


def test_only_a_start_is_repeatable_by_itself() -> None:
    """Each says so for itself, whatever the operation says."""
    operation = operation_of(STAGED.replace('title = "Report"\n', 'title = "Report"\nrepeatable = true\n'))
    assert operation.policy_of(at("submit")).repeatable
    assert not operation.policy_of(at("enqueue")).repeatable
    assert operation.policy_of(at("hurry").but(params={"fast": True})).repeatable


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(201, {"id": 7}), StepDone("upload", kept={"file": "7"})),
        (reply_of(200, {"id": 7, "size": 1.0}), StepDone("upload", kept={"file": "7", "size": "1"})),
        (reply_of(409, {"id": 7}), StepDone("upload", kept={"file": "7"})),
        (reply_of(200, {"state": "busy"}), NotYet('HTTP 200: {"state": "busy"}')),
        (reply_of(409, {"error": "no"}), Refused("HTTP 409: no")),
        (reply_of(422, {"error": "no"}), Retry("HTTP 422: no")),
        (reply_of(429, {"error": "slow"}, retry_after="9"), Throttled("HTTP 429: slow", 9.0)),
        (reply_of(401, {"error": "who"}), Unauthorized("HTTP 401: who")),
        (reply_of(500, {"error": "bug"}), Retry("HTTP 500: bug")),
        (reply_of(429, {"error": "slow"}, OTHER), Retry("HTTP 429: slow")),
        (reply_of(401, {"error": "who"}, OTHER), Retry("HTTP 401: who")),
    ],
)
def test_what_a_reply_before_the_submit_means(reply: WireReply, outcome: object) -> None:
    """It may be repeated, so a temporary fault is tried again; another host cannot pause the account."""
    assert operation_of(STAGED).read_before(at("upload"), reply, NOW) == outcome


@pytest.mark.parametrize("reply", [reply_of(200, {}), reply_of(200, b"<html>"), reply_of(200, b'{"id": ')])
def test_a_reply_before_the_submit_without_its_value_is_asked_for_again(reply: WireReply) -> None:
    """A submit without the value would make the wrong thing."""
    assert isinstance(operation_of(STAGED).read_before(at("upload"), reply, NOW), Retry)


def test_a_value_that_cannot_be_kept_ends_the_job_before_its_submit() -> None:
    """It would come again."""
    found = operation_of(STAGED).read_before(at("upload"), reply_of(200, {"id": ["7"]}), NOW)
    assert isinstance(found, Refused)
    assert "keep.file is neither a text nor a number" in found.reason


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(200, {"queue": "q"}, retry_after="7"), StepDone("enqueue", 7.0, kept={"queue": "q"})),
        (reply_of(409, {"queue": "q"}), StepDone("enqueue", kept={"queue": "q"})),
        (reply_of(409, {"error": "no"}), Refused("HTTP 409: no")),
        (reply_of(404, {"error": "no"}), Gone("HTTP 404: no")),
        (reply_of(410, {"error": "no"}), Gone("HTTP 410: no")),
        (reply_of(429, {"error": "slow"}), Throttled("HTTP 429: slow")),
        (reply_of(403, {"error": "who"}), Unauthorized("HTTP 403: who")),
        (reply_of(423, {"error": "locked"}), Unsent("HTTP 423: locked")),
        (reply_of(500, b"not read"), Unsent("HTTP 500: not read")),
        (reply_of(500, b"bug"), Unknown("HTTP 500: bug")),
        (reply_of(429, {"error": "slow"}, OTHER), Unsent("HTTP 429: slow")),
        (reply_of(404, {"error": "no"}, OTHER), Unsent("HTTP 404: no")),
    ],
)
def test_what_a_reply_to_a_start_means(reply: WireReply, outcome: object) -> None:
    """As for a submit; the remote job itself may be gone."""
    assert operation_of(STAGED).read_start(at("enqueue"), reply, NOW) == outcome


@pytest.mark.parametrize(
    "reply",
    [
        reply_of(200, {}),
        reply_of(200, b"<html>"),
        reply_of(200, {"queue": "x" * 3000}),
        reply_of(302, b"", location=OTHER),
    ],
)
def test_an_unclear_reply_to_a_start_is_unknown(reply: WireReply) -> None:
    """The remote job may be running."""
    assert isinstance(operation_of(STAGED).read_start(at("enqueue"), reply, NOW), Unknown)


def test_a_start_is_built_from_what_is_known() -> None:
    """It has a new connection, as a submit has."""
    operation = operation_of(STAGED)
    request = operation.start(at("hurry", queue="q/1").but(params={"fast": True}))
    assert (request.method, request.url, request.fresh) == ("PUT", "https://api.example.com/v1/queues/q%2F1", True)
    assert not operation.before(at("upload")).fresh
    with pytest.raises(UnsendableError, match="needs a value that the job does not have"):
        operation.start(at("hurry").but(params={"fast": True}))
    with pytest.raises(UnsendableError, match="has no step 'later', which this job has reached"):
        operation.start(at("later"))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('name = "hurry"', 'name = "upload"', "start[1].name: 'upload' is the name of another step: give each step"),
        ('name = "hurry"', 'name = "submit"', "start[1].name: 'submit' is the name of another step: give each step"),
        ('name = "hurry"\n', "", "start[1].name: is missing"),
        ('name = "hurry"', 'name = "Hurry up"', "start[1].name: does not match the pattern"),
        (
            'url = "/files"',
            'url = "/files/${handle}"',
            "before[0].url: refers to ${handle}, but here there is none, because no submit has named one",
        ),
        (
            'url = "/files"',
            'url = "/files"\nheaders = { X-Key = "${intent.key}" }',
            "before[0].headers.X-Key: refers to ${intent.key}, but before the submit there is none: use ${job.id}",
        ),
        (
            'url = "/files"',
            'url = "/files/${kept.queue}"',
            "before[0].url: refers to ${kept.queue}, which only start keeps, and that comes later",
        ),
        (
            'url = "/files"',
            'url = "/files/${kept.file}"',
            "before[0].url: refers to ${kept.file}, which only before keeps, and that comes later",
        ),
        (
            "/queues/${kept.queue}",
            "/queues/${kept.size}",
            "start[1].url: refers to ${kept.size}, which may be missing; here it must not be",
        ),
        ('then = "pending"', 'then = "ready"', "before[0].rules[0].then: must be 'done', 'pending', 'refused'"),
        ('then = "unsent"', 'then = "pending"', "start[0].rules[1].then: must be 'done', 'refused'"),
        ("repeatable = true", 'repeatable = "yes"', "start[1].repeatable: must be true or false"),
        ('name = "upload"\n', 'name = "upload"\nrepeatable = true\n', "before[0].repeatable: unknown key"),
        ('handle = "^[0-9]+$"', 'handle = "("', "start[1].when.handle: "),
        ('method = "PUT"\n', 'method = "GET"\njson = {}\n', "start[1]: a GET request has no body"),
    ],
)
def test_each_fault_names_key_and_cause(old: str, new: str, fault: str) -> None:
    """One mistake, one sentence."""
    assert old in STAGED
    found = faults_of(STAGED.replace(old, new, 1))
    assert any(one.startswith(f"demo.toml: operations.report.{fault}") for one in found), found


def test_a_start_needs_a_submit_and_a_shared_result_neither() -> None:
    """Both are faults of the operation."""
    alone = HEAD + '[operations.report]\ntitle = "R"\n[operations.report.results]\nurl = "/x"\n'
    start = '[operations.report.start]\nname = "go"\nurl = "/go"\n'
    assert faults_of(alone + start) == [
        "demo.toml: operations.report: without submit there is no remote job to start: make start a before, or add a "
        "submit"
    ]
    assert faults_of(alone + start.replace("start]", "before]")) == []
    shared = HEAD + (
        '[operations.report]\ntitle = "R"\nanswers = { fresh_s = 60 }\n'
        '[operations.report.submit]\nurl = "/x"\nrules = [{ then = "ready" }]\n'
        "[operations.report.results]\ninline = true\n"
    )
    assert faults_of(shared + start.replace("start]", "before]")) == [
        "demo.toml: operations.report: answers are of one request, so there can be no before and no start"
    ]


def test_a_request_before_may_lead_to_results_without_a_submit() -> None:
    """Such as a session that a download needs."""
    spec = HEAD + (
        '[operations.report]\ntitle = "R"\n[operations.report.before]\nname = "open"\nurl = "/sessions"\n'
        'keep = { session = "id" }\n[operations.report.results]\nurl = "/x"\nheaders = { X-S = "${kept.session}" }\n'
    )
    operation = operation_of(spec)
    job = job_with(None)
    assert operation.prepares(job)
    assert not operation.prepares(job.but(stage="submit", kept={"session": "s"}))
    assert operation.file_headers(job.but(kept={"session": "s"})) == {"X-S": "s"}
