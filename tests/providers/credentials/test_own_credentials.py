"""Handles and links are stored without the account's credentials."""

import pytest

from tests.support.spec_samples import HEAD, NOW, job_with, operation_of, provider_of, reply_of
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import Accepted, Pending, Ready
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.credentials.login_replies import Token
from tidewaiter.providers.credentials.own_credentials import OwnCredentials
from tidewaiter.providers.results.paged_lists import PagePosition
from tidewaiter.providers.steps.remote_job_search import Matches

OWN = "https://api.example.com"
KEY = "canary+key/42"
SECRET = 'key = { help = "the key", secret = true }\n'
QUERY = '[auth]\ntype = "query"\nname = "k"\nvalue = "${account.key}"\n'
SESSION = """
[auth]
type = "session"
place = { query = "sid" }
[auth.login]
url = "/login"
token = "token"
"""
STEPS = """
[operations.report]
title = "Report"
[operations.report.submit]
url = "/reports"
handle = { header = "location" }
[operations.report.poll]
url = "${handle}"
handle = { header = "location" }
[[operations.report.poll.rules]]
word = "status"
words = { pending = "pending", done = "ready" }
"""
LISTED = """
[operations.report.results]
SEND
[[operations.report.results.files]]
each = "files"
url = "@"
"""


def operation(auth: str = QUERY, send: str = "") -> BoundOperation:
    """An operation whose handles are addresses."""
    return operation_of(HEAD + SECRET + auth + STEPS + LISTED.replace("SEND", send), {"key": KEY})


def named(location: str, auth: str = QUERY) -> str | None:
    """The handle that a Location comes to."""
    outcome = operation(auth).read_submit(
        job_with(None), reply_of(201, {}, f"{OWN}/v1/reports", location=location), NOW
    )
    assert isinstance(outcome, Accepted)
    return outcome.handle


@pytest.mark.parametrize("spelled", ["canary%2Bkey%2F42", "canary+key/42", "c%61nary%2bkey%2f42", "canary%252Bkey/42"])
def test_a_key_in_the_location_is_not_the_handle(spelled: str) -> None:
    """Seen: `Location: /jobs/1?k=KEY` was stored and shown whole. However it is spelled, the key is left out."""
    assert named(f"/jobs/1?k={spelled}") == f"{OWN}/jobs/1"
    assert named(f"/jobs/1?a=%20b&%6B={spelled}&c") == f"{OWN}/jobs/1?a=%20b&c"
    assert named(f"/jobs/1#k={spelled}") == f"{OWN}/jobs/1"
    assert named(f"/jobs/1?other={spelled}") == f"{OWN}/jobs/1"


def test_a_handle_is_the_same_after_the_key_was_changed() -> None:
    """At the provider's own origin the name alone is enough: our own pair takes its place when it is asked for."""
    assert named("/jobs/1?k=the-key-before&v=2") == named("/jobs/1?v=2&k=another") == f"{OWN}/jobs/1?v=2"


@pytest.mark.parametrize(
    "location",
    ["/jobs/1?", "/jobs/1#", "/jobs/1?a=&b=%7e#x", f"{OWN}:443/jobs/1?key=x", "https://else.example/1?k=x&s"],
)
def test_what_is_not_ours_stays_byte_for_byte(location: str) -> None:
    """An empty query too, and the address of another host, which may be signed."""
    assert named(location) == (location if location.startswith("https:") else f"{OWN}{location}")


def test_a_key_that_leads_to_another_host_is_left_out() -> None:
    """It would never be sent there, so nothing is lost."""
    assert named("https://else.example/1?s=%2f&k=canary%2Bkey%2F42") == "https://else.example/1?s=%2f"


def test_a_user_name_that_is_ours_is_left_out() -> None:
    """With HTTP Basic the header proves the account; what is not ours stays."""
    basic = '[auth]\ntype = "basic"\nusername = "me"\npassword = "${account.key}"\n'
    mine = f"https://me:canary%2Bkey%2F42@{OWN.removeprefix('https://')}/jobs/1"
    assert named(mine, basic) == f"{OWN}/jobs/1"
    assert named("https://me:canary%2Bkey%2F42@else.example/1", basic) == "https://else.example/1"
    assert named("https://you:other@else.example/1", basic) == "https://you:other@else.example/1"


def test_a_session_token_changes_no_handle() -> None:
    """Wherever the token goes, and whichever it is by now."""
    assert named("/jobs/1?sid=token-1", SESSION) == named("/jobs/1?sid=token-2", SESSION) == f"{OWN}/jobs/1"


def test_a_token_of_a_header_is_known_by_its_value() -> None:
    """A provider may repeat a bearer token in the query, under a name of its own."""
    redactor = Redactor()
    bound = provider_of(HEAD + SECRET + SESSION.replace('query = "sid"', 'header = "X-S"') + STEPS + LISTED.replace(
        "SEND", "")).bind("shop", {"key": KEY})  # fmt: skip
    assert bound.auth.session is not None
    own = OwnCredentials.of(
        bound.origins, (bound.auth.session.credentials(Token("", 0, 0)),), bound.auth.session, redactor
    )
    assert own.without(f"{OWN}/1?access_token=fresh-token&n=1") == f"{OWN}/1?access_token=fresh-token&n=1"
    redactor.add_temporary("session 1", {"", "fresh-token"})
    assert own.without(f"{OWN}/1?access_token=fresh-token&n=1") == f"{OWN}/1?n=1"
    assert own.without(f"{OWN}/1?access_token=&n=1") == f"{OWN}/1?access_token=&n=1"


def test_a_name_that_is_no_address_is_cleaned_too() -> None:
    """Where the handle is a part of a path."""
    text = HEAD + SECRET + QUERY + STEPS.replace('url = "${handle}"', 'url = "/jobs/${handle}"')
    text = text.replace('handle = { header = "location" }', 'handle = { header = "location", regex = "/jobs/(.*)" }')
    whole = operation_of(text + LISTED.replace("SEND", ""), {"key": KEY})
    outcome = whole.read_submit(job_with(None), reply_of(201, {}, location="/jobs/1?k=canary%2Bkey/42"), NOW)
    assert outcome == Accepted("1")


def test_a_handle_that_was_stored_with_the_key_is_replaced() -> None:
    """Rows of an earlier version: the next poll names them anew, though the reply does not."""
    job = job_with(f"{OWN}/jobs/1?k=old")
    seen = operation().read_poll(job, reply_of(200, {"status": "pending"}), NOW)
    assert isinstance(seen, Pending)
    assert seen.handle == f"{OWN}/jobs/1"
    assert operation().poll(job).url == f"{OWN}/jobs/1?k=old"
    unchanged = operation().read_poll(job_with(f"{OWN}/jobs/1"), reply_of(200, {"status": "pending"}), NOW)
    assert isinstance(unchanged, Pending)
    assert unchanged.handle is None


def test_a_remote_job_that_is_found_by_a_list_is_named_without_the_key() -> None:
    """As its reply to the submit would have named it."""
    listed = """
[operations.report.adopt]
url = "/reports"
items = "reports"
where = "mine"
handle = "url"
"""
    adoption = operation_of(HEAD + SECRET + QUERY + STEPS + listed + LISTED.replace("SEND", ""), {"key": KEY}).adoption(
        job_with(None)
    )
    assert adoption is not None
    reply = reply_of(200, {"reports": [{"mine": True, "url": f"/jobs/1?k={KEY}"}]}, f"{OWN}/v1/reports")
    found = adoption.read(job_with(None), PagePosition(), reply, NOW)
    assert isinstance(found, Matches)
    assert found.handles == (f"{OWN}/jobs/1",)


def test_a_link_that_is_asked_for_is_named_without_the_key() -> None:
    """The reply to the second call, as the one that lists."""
    resolve = '\n[operations.report.results.resolve]\nurl = "${handle}"\nlink = "url"\n'
    bound = operation_of(HEAD + SECRET + QUERY + STEPS + resolve, {"key": KEY})
    got = bound.read_resolve(job_with(f"{OWN}/jobs/1"), reply_of(200, {"url": f"/f?k={KEY}"}, f"{OWN}/jobs/1"), NOW)
    assert got == (Link(f"{OWN}/f", "f"),)


def ready(url: str, send: str = "") -> Link:
    """The link that a reply lists."""
    reply = reply_of(200, {"status": "done", "files": [url]}, f"{OWN}/jobs/1")
    outcome = operation(send=send).read_poll(job_with(f"{OWN}/jobs/1"), reply, NOW)
    assert isinstance(outcome, Ready)
    return outcome.links[0]


def test_links_are_kept_without_the_key() -> None:
    """The transport adds it again; a link that brings the key though it needs none has it added from now on."""
    assert ready(f"/f?k={KEY}&x=1") == Link(f"{OWN}/f?x=1", "f", send_auth=True)
    assert ready("/f?k=canary%2Bkey%2F42", "send_auth = false") == Link(f"{OWN}/f", "f", send_auth=True)


def test_the_same_name_with_another_meaning_stays() -> None:
    """Where nothing of ours is sent with a link, `k` is the provider's own; the address of a file host is signed."""
    assert ready("/f?k=of-the-file", "send_auth = false") == Link(f"{OWN}/f?k=of-the-file", "f", send_auth=False)
    signed = "https://files.example/f?sig=a%2Fb&k=of-the-file"
    assert ready(signed) == Link(signed, "f", send_auth=True)
