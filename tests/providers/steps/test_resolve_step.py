"""The second call, whose reply names the file: its rules and its defaults."""

import pytest

from tests.support.spec_samples import (
    BASE,
    HEAD,
    NOW,
    POLL,
    SUBMIT,
    faults_of,
    job_with,
    operation_of,
    provider_of,
    reply_of,
)
from tidewaiter.domain.http_values import Json, Link, WireReply
from tidewaiter.domain.outcome import LinksExpired, NotYet, Refused, Retry, Throttled, Unauthorized
from tidewaiter.providers.examples.spec_examples import uncovered_rules
from tidewaiter.providers.steps.file_listing import NamedFile, with_kept_values

RESOLVE = """
[operations.report.results]
rules = [{ status = 400, json = "code == 'JobNotFinished'", then = "pending" }, { json = "state", then = "EFFECT" }]
[operations.report.results.resolve]
url = "/r/${handle}/url"
link = "url"
"""
PLAIN = HEAD + SUBMIT + POLL + RESOLVE.replace("EFFECT", "expired")


def resolved(reply: WireReply, spec: str = PLAIN) -> object:
    """What a reply to the second call comes to."""
    return operation_of(spec).read_resolve(job_with(), reply, NOW)


def test_not_yet_is_a_word_of_rules() -> None:
    """Seen: 400 with JobNotFinished failed the job for good; it is not yet, and charged to nobody."""
    late = {"code": "JobNotFinished", "error": "still running"}
    assert resolved(reply_of(400, late, retry_after="5")) == NotYet("HTTP 400: still running", 5.0)
    assert resolved(reply_of(400, {"code": "Bad"})) == Refused('HTTP 400: {"code": "Bad"}')


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        ("pending", NotYet("HTTP 200: said", 5.0)),
        ("expired", LinksExpired("HTTP 200: said")),
        ("retry", Retry("HTTP 200: said", 5.0)),
        ("refused", Refused("HTTP 200: said")),
        ("throttled", Throttled("HTTP 200: said", 5.0)),
        ("unauthorized", Unauthorized("HTTP 200: said")),
    ],
)
def test_every_effect(effect: str, outcome: object) -> None:
    """A rule has the word before any default, also where there is a URL."""
    spec = HEAD + SUBMIT + POLL + RESOLVE.replace("EFFECT", effect)
    body = {"state": "x", "error": "said", "url": "/f"}
    assert resolved(reply_of(200, body, f"{BASE}/r/7/url", retry_after="5"), spec) == outcome


def test_what_it_means_by_itself() -> None:
    """A 202 without a URL is not yet; another reply without one is tried again, and says what is wrong with it."""
    assert resolved(reply_of(200, {"url": "/f"}, f"{BASE}/r/7/url")) == (Link("https://api.example.com/f", "f"),)
    assert resolved(reply_of(202, {"url": "/f"}, f"{BASE}/r/7/url")) == (Link("https://api.example.com/f", "f"),)
    assert resolved(reply_of(202, b"", retry_after="9")) == NotYet("HTTP 202", 9.0)
    assert resolved(reply_of(423)) == Retry("HTTP 423")
    unusable = resolved(reply_of(200, {"url": "ftp://x.example/f"}))
    assert isinstance(unusable, Retry)
    assert "a URL that cannot be used, its scheme is 'ftp', not http or https" in unusable.reason


def test_a_file_and_a_page_may_be_not_yet() -> None:
    """The same word for the same thing."""
    rule = 'rules = [{ status = 404, then = "pending" }]'
    file = HEAD + SUBMIT + POLL + f'\n[operations.report.results]\nurl = "/f"\n{rule}\n'
    assert operation_of(file).read_file(job_with(), Link(f"{BASE}/f"), reply_of(404), NOW) == NotYet("HTTP 404")


def test_examples_cover_the_rules_of_a_second_call() -> None:
    """``providers test`` shows that a rule was met by a reply to it."""
    example = """
[[examples]]
name = "too soon"
operation = "report"
step = "resolve"
handle = "7"
reply = { status = 400, json = { code = "JobNotFinished" } }
outcome = { is = "NotYet" }
"""
    left = uncovered_rules(provider_of(PLAIN + example))
    assert "operations.report.results.rules[0]" not in left
    assert "operations.report.results.rules[1]" in left


def test_what_may_use_the_values_that_are_kept_with_the_link() -> None:
    """The cleanup, which comes after the files; a job may be cancelled before them."""
    kept = PLAIN + 'keep = { file = "fileId" }\n'
    assert faults_of(kept + '[operations.report.cleanup]\nurl = "/f/${kept.file}"\n') == []
    for step in ("cancel", "poll"):
        key = f"operations.report.{step}"
        text = (
            f'{kept}[{key}]\nurl = "/f/${{kept.file}}"\n'
            if step == "cancel"
            else kept.replace(
                "[operations.report.poll]\n", '[operations.report.poll]\nquery = { f = "${kept.file}" }\n'
            )
        )
        (fault,) = faults_of(text)
        assert fault.startswith(f"demo.toml: {key}.")
        assert "refers to ${kept.file}, " in fault


def test_the_values_that_are_kept_with_the_link() -> None:
    """Each must be there, unless it is optional; a value that cannot be kept is asked for again, and not shown."""
    parts = operation_of(PLAIN + 'keep = { file = "fileId", more = { json = "more", optional = true } }\n').parts
    link = (Link(f"{BASE}/f", "f"),)

    def read(body: Json) -> object:
        return with_kept_values(parts, job_with(), reply_of(200, body), link)

    assert read({"url": "/f", "fileId": 7}) == NamedFile(link, {"file": "7"})
    assert read({"url": "/f"}) == Retry("the reply has no value for keep.file")
    for hostile in ({"a": 1}, "x" * 3000, "a\nb"):
        again = read({"url": "/f", "fileId": hostile})
        assert isinstance(again, Retry)
        assert again.reason.startswith("the value for keep.file ")
        assert str(hostile) not in again.reason
    assert with_kept_values(parts, job_with(), reply_of(404), LinksExpired("x")) == LinksExpired("x")
