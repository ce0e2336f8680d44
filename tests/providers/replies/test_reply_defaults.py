"""The default meaning of each status and effect in each step, for all providers."""

import pytest

from tests.support.spec_samples import BASE, NOW, WHOLE, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.outcome import (
    Accepted,
    Duplicate,
    Gone,
    Pending,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
    Unsent,
)
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.replies.reply_defaults import provider_failure

HTML = b"<html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(200, {"id": "9"}), Accepted("9")),
        (reply_of(202, {"ID": 9}, retry_after="30"), Accepted("9", 30.0)),
        (reply_of(200, {"ok": True}), Unknown('the reply has no handle: HTTP 200: {"ok": true}')),
        (reply_of(200, {"id": ""}), Unknown('the reply has no handle: HTTP 200: {"id": ""}')),
        (reply_of(204), Unknown("HTTP 204, and an empty body instead of JSON")),
        (reply_of(200, HTML), Unknown(f"HTTP 200, and a body that is not JSON: {HTML.decode()}")),
        (
            WireReply(200, {}, b'{"id": "9', truncated=True),
            Unknown(
                "HTTP 200, and a body too long to be read as JSON: raise largest_reply_bytes in the account's bounds"
            ),
        ),
        (reply_of(429, {"error": "slow down"}), Throttled("HTTP 429: slow down")),
        (reply_of(429, b"", retry_after="7"), Throttled("HTTP 429", 7.0)),
        (reply_of(503, HTML, retry_after="7"), Throttled(f"HTTP 503: {HTML.decode()}", 7.0)),
        (reply_of(503, b"", retry_after="soon"), Unknown("HTTP 503")),
        (reply_of(503), Unknown("HTTP 503")),
        (reply_of(500, {"error": "x" * 900}), Unknown(f"HTTP 500: {'x' * 199}…")),
        (reply_of(502, HTML), Unknown(f"HTTP 502: {HTML.decode()}")),
        (reply_of(504), Unknown("HTTP 504")),
        (reply_of(401, {"error": "who?"}), Unauthorized("HTTP 401: who?")),
        (reply_of(403), Unauthorized("HTTP 403")),
        (reply_of(408), Unknown("HTTP 408")),
        (reply_of(421), Unsent("HTTP 421")),
        (reply_of(423, {"error": "locked"}), Unsent("HTTP 423: locked")),
        (reply_of(425), Unsent("HTTP 425")),
        (reply_of(400, {"error": "bad period"}), Refused("HTTP 400: bad period")),
        (reply_of(404, HTML), Refused(f"HTTP 404: {HTML.decode()}")),
        (reply_of(409), Refused("HTTP 409")),
        (reply_of(422, {"error": {"deep": 1}}), Refused('HTTP 422: {"error": {"deep": 1}}')),
        (reply_of(301, b"", location="/x"), Unknown("HTTP 301 (Location: /x)")),
        (reply_of(302, b"", location="/login?next=%2Fx&sig=s"), Unknown("HTTP 302 (Location: /login?[redacted])")),
        (reply_of(303, b"", location="/x"), Unknown("HTTP 303 (Location: /x)")),
        (reply_of(303), Unknown("HTTP 303")),
        (
            reply_of(307, b"", location="https://u:p@new.example.org/v3/x?X-Amz-Signature=abc"),
            Unknown("HTTP 307 (Location: https://new.example.org/v3/x?[redacted])"),
        ),
        (
            reply_of(308, b"", location="//new.example.org/x#token=t"),
            Unknown("HTTP 308 (Location: //new.example.org/x#[redacted])"),
        ),
        (reply_of(302, b"", location="/" + "x" * 100_000), Unknown(f"HTTP 302 (Location: /{'x' * 198}…)")),
        (reply_of(101), Unknown("HTTP 101")),
        (reply_of(500, {"id": "9"}), Unknown('HTTP 500: {"id": "9"}')),
    ],
)
def test_every_reply_to_a_submit(reply: WireReply, outcome: object) -> None:
    """Accepted needs a name, Refused a provider that surely did nothing; whatever leaves a doubt is Unknown."""
    assert operation_of().read_submit(job_with(None), reply, NOW) == outcome


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(200, {"status": " Pending "}), Pending("Pending")),
        (reply_of(200, {"status": "pending"}, retry_after="60"), Pending("pending", None, 60.0)),
        (reply_of(200, {"STATUS": "DONE"}), Ready((), "DONE")),
        (reply_of(200, {"status": "odd"}), Unmapped('HTTP 200, status \'odd\': {"status": "odd"}')),
        (reply_of(200, {}), Unmapped("HTTP 200: {}")),
        (reply_of(200, []), Unmapped("HTTP 200: []")),
        (reply_of(200, HTML), Retry(f"HTTP 200, and a body that is not JSON: {HTML.decode()}")),
        (reply_of(200, b'{"status": "don'), Retry('HTTP 200, and a body that is not JSON: {"status": "don')),
        (reply_of(200), Retry("HTTP 200, and an empty body instead of JSON")),
        (
            WireReply(200, {}, b'{"status":', truncated=True),
            Retry(
                "HTTP 200, and a body too long to be read as JSON: raise largest_reply_bytes in the account's bounds"
            ),
        ),
        (reply_of(429, b"", retry_after="9"), Throttled("HTTP 429", 9.0)),
        (reply_of(503, HTML), Throttled(f"HTTP 503: {HTML.decode()}")),
        (reply_of(500, {"status": "done"}), Retry('HTTP 500: {"status": "done"}')),
        (reply_of(502, HTML, retry_after="9"), Retry(f"HTTP 502: {HTML.decode()}", 9.0)),
        (reply_of(408), Retry("HTTP 408")),
        (reply_of(421), Retry("HTTP 421")),
        (reply_of(423), Retry("HTTP 423")),
        (reply_of(425), Retry("HTTP 425")),
        (reply_of(401), Unauthorized("HTTP 401")),
        (reply_of(403), Unauthorized("HTTP 403")),
        (reply_of(404, {"error": "no such report"}), Gone("HTTP 404: no such report")),
        (reply_of(410), Gone("HTTP 410")),
        (reply_of(400), Refused("HTTP 400")),
        (reply_of(422), Refused("HTTP 422")),
        (reply_of(302, b"", location="/x"), Unmapped("HTTP 302")),
        (reply_of(304), Unmapped("HTTP 304")),
        (reply_of(103), Unmapped("HTTP 103")),
        (reply_of(999), Unmapped("HTTP 999")),
    ],
)
def test_every_reply_to_a_poll(reply: WireReply, outcome: object) -> None:
    """Trouble is passing, a job that is not there is gone, and what nobody speaks of is never a guess."""
    assert operation_of().read_poll(job_with(), reply, NOW) == outcome


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        ("accepted", Accepted("9", 5.0)),
        ("duplicate", Duplicate("9")),
        ("refused", Refused("HTTP 409: said")),
        ("throttled", Throttled("HTTP 409: said", 5.0)),
        ("unauthorized", Unauthorized("HTTP 409: said")),
        ("unsent", Unsent("HTTP 409: said")),
        ("unknown", Unknown("HTTP 409: said")),
    ],
)
def test_every_effect_of_a_submit(effect: str, outcome: object) -> None:
    """A rule has the word before any default."""
    spec = WHOLE.replace('handle = "id"', f'handle = "id"\nrules = [{{ status = 409, then = "{effect}" }}]')
    reply = reply_of(409, {"id": 9, "error": "said"}, retry_after="5")
    assert operation_of(spec).read_submit(job_with(None), reply, NOW) == outcome


def test_a_name_that_cannot_be_used_is_reported() -> None:
    """The cause is not that there is none."""
    spec = WHOLE.replace('url = "/reports/${handle}"', 'url = "${handle}"')
    outcome = operation_of(spec).read_submit(job_with(None), reply_of(200, {"id": "ftp://x.example/1"}), NOW)
    assert isinstance(outcome, Unknown)
    assert outcome.reason.startswith("the remote job is named by a URL that cannot be used, its scheme is 'ftp'")


@pytest.mark.parametrize("body", [{"status": "done", "id": "9"}, {"status": "done", "id": 9}])
def test_a_ready_reply_may_name_the_remote_job_anew(body: dict[str, object]) -> None:
    """Its handle goes along, as that of a pending reply does."""
    spec = WHOLE.replace('url = "/reports/${handle}"\n', 'url = "/reports/${handle}"\nhandle = "id"\n')
    assert operation_of(spec).read_poll(job_with(), reply_of(200, body), NOW) == Ready((), "done", "9")


def test_a_duplicate_may_have_no_name() -> None:
    """It is looked up in the provider's list then."""
    spec = WHOLE.replace('handle = "id"', 'handle = "id"\nrules = [{ status = 409, then = "duplicate" }]')
    assert operation_of(spec).read_submit(job_with(None), reply_of(409, {}), NOW) == Duplicate(None)


def test_a_rule_cannot_accept_a_job_without_a_name() -> None:
    """There would be nothing to ask after."""
    spec = WHOLE.replace('handle = "id"', 'handle = "id"\nrules = [{ status = 409, then = "accepted" }]')
    assert operation_of(spec).read_submit(job_with(None), reply_of(409, {}), NOW) == Unknown(
        "the reply has no handle: HTTP 409: {}"
    )


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        ("pending", Pending("w", None, 5.0)),
        ("running", Pending("w", None, 5.0)),
        ("ready", Ready((), "w")),
        ("failed", Refused("the provider says w: said")),
        ("cancelled", Refused("the provider says w: said")),
        ("gone", Gone("the provider says w: said")),
        ("retry", Retry("the provider says w: said", 5.0)),
        ("throttled", Throttled("the provider says w: said", 5.0)),
        ("unauthorized", Unauthorized("the provider says w: said")),
    ],
)
def test_every_effect_of_a_poll(effect: str, outcome: object) -> None:
    """A word of the provider's becomes one of ours."""
    spec = WHOLE.replace('done = "ready"', f'done = "ready", w = "{effect}"')
    reply = reply_of(200, {"status": "w", "error": "said"}, retry_after="5")
    assert operation_of(spec).read_poll(job_with(), reply, NOW) == outcome


def test_a_bad_end_without_a_message_names_the_word() -> None:
    """The reason is for a person: the provider's word at least, the reply where there is no word."""
    spec = WHOLE.replace('done = "ready"', 'done = "ready", w = "failed"').replace(
        "[operations.report.results]",
        '[[operations.report.poll.rules]]\nstatus = 418\nthen = "failed"\n[operations.report.results]',
    )
    operation = operation_of(spec)
    assert operation.read_poll(job_with(), reply_of(200, {"status": "w"}), NOW) == Refused("the provider says w")
    assert operation.read_poll(job_with(), reply_of(418, b"tea"), NOW) == Refused("the provider says HTTP 418: tea")


@pytest.mark.parametrize(
    ("progress", "body", "expected"),
    [
        ('"percent"', {"percent": 40}, "40"),
        ('"percent"', {"percent": " 40 % "}, "40 %"),
        ('"percent"', {}, None),
        ('{ done = "a", total = "b.c" }', {"a": 1, "b": {"c": 3}}, "1/3"),
        ('{ done = "a", total = "b.c" }', {"a": "1"}, "1"),
        ('{ done = "a", total = "b.c" }', {"b": {"c": 3}}, None),
        ('{ header = "X-Progress" }', {}, "half"),
    ],
)
def test_progress_in_every_form(progress: str, body: dict[str, object], expected: str | None) -> None:
    """A number, a text, a ratio, or a header."""
    spec = WHOLE.replace('url = "/reports/${handle}"\n', f'url = "/reports/${{handle}}"\nprogress = {progress}\n')
    pending = operation_of(spec).read_poll(
        job_with(), reply_of(200, {"status": "pending", **body}, x_progress="half"), NOW
    )
    assert pending == Pending("pending", expected)


def test_a_poll_may_bring_a_wait_and_a_new_handle_in_its_body() -> None:
    """Some APIs put Retry-After into the body, and some give the job a new address with every poll."""
    spec = WHOLE.replace(
        'url = "/reports/${handle}"\n',
        'url = "${handle}"\nretry_after = "wait"\nhandle = [{ header = "Location" }, "next"]\n',
    )
    operation = operation_of(spec)
    reply = reply_of(200, {"status": "pending", "wait": 20}, f"{BASE}/jobs/1", retry_after="5", location="2?x=%2f")
    job = job_with(f"{BASE}/jobs/1")
    assert operation.read_poll(job, reply, NOW) == Pending("pending", None, 20.0, f"{BASE}/jobs/2?x=%2f")
    plain = reply_of(200, {"status": "pending", "wait": "soon", "next": "javascript:x"}, retry_after="5")
    assert operation.read_poll(job, plain, NOW) == Pending("pending", None, 5.0, None)


def test_requests_need_their_handle() -> None:
    """A job that has none is a bug, and is not sent for another resource."""
    with pytest.raises(UnsendableError):
        operation_of().poll(job_with(None))


def test_only_a_submit_wants_a_connection_of_its_own() -> None:
    """A kept-alive connection may be closing just when the POST is written."""
    operation = operation_of()
    assert operation.submit(job_with(None)).fresh
    assert not operation.poll(job_with()).fresh


def test_a_job_whose_parameters_fit_no_variant_is_left_alone() -> None:
    """The spec was changed under a waiting job: its replies are read as nobody's, and nothing is sent for it."""
    params = '[operations.report.params]\nkind = { help = "x", enum = ["a"] }\n'
    spec = WHOLE + params
    for table in ("submit", "poll", "results"):
        spec = spec.replace(
            f"[operations.report.{table}]", f'[operations.report.{table}]\nwhen = {{ params.kind = "a" }}'
        )
    operation = operation_of(spec)
    stranger = job_with(params={"kind": "z"})
    assert isinstance(operation.read_submit(stranger, reply_of(200, {"id": 1}), NOW), Unknown)
    assert isinstance(operation.read_poll(stranger, reply_of(200, {"status": "done"}), NOW), Unmapped)
    assert operation.resolve(stranger) is None
    assert operation.links(stranger) == ()
    with pytest.raises(UnsendableError, match="has no submit for this job"):
        operation.submit(stranger)
    assert operation.poll(job_with(params={"kind": "a"})).url == f"{BASE}/reports/42"


@pytest.mark.parametrize(
    ("status", "outcome", "failure"),
    [
        (502, Retry("busy"), "HTTP 502"),
        (200, Retry("a page of HTML", unreadable=True), "a page of HTML"),
        (200, Unknown("no name"), "no name"),
        (200, Retry("not there yet"), None),
        (200, Pending(), None),
        (502, Refused("never"), None),
    ],
)
def test_25_what_counts_as_a_failure_of_the_provider(
    status: int, outcome: Retry | Unknown | Pending | Refused, failure: str | None
) -> None:
    """A reply that nobody can read counts as a 5xx does; what a rule of the spec decides does not."""
    assert provider_failure(status, outcome) == failure
