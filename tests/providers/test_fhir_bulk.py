"""FHIR Bulk Data export according to its implementation guide."""

from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.spec_samples import NOW, built_in, job_with, reply_of
from tidewaiter.domain.http_values import Credentials, Json, Link, WireReply
from tidewaiter.domain.outcome import (
    Accepted,
    Cancelled,
    Cleaned,
    Gone,
    Pending,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unknown,
    Unmapped,
)
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.credentials.login_replies import LoginSession, Token
from tidewaiter.providers.errors import ParameterError, SettingsError
from tidewaiter.providers.provider_registry import Registry

FHIR = "https://fhir.example.com/r4"
STATUS = f"{FHIR}/bulkstatus/7f3a%2f?page=1"


def _operation(**settings: Json) -> BoundOperation:
    return built_in("fhir-bulk", {"base_url": f"{FHIR}/", "token": "t-canary", **settings}, "export")


def _outcome(code: str, text: str = "said") -> dict[str, Json]:
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "details": {"text": text}}],
    }


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ({}, "/Patient/$export"),
        ({"level": "system"}, "/$export"),
        ({"level": "group", "group": "a-1.b"}, "/Group/a-1.b/$export"),
        ({"type": "Patient,Condition"}, "/Patient/$export?_type=Patient%2CCondition"),
        ({"level": "SYSTEM", "since": "2026-01-31T00:00:00Z"}, "/$export?_since=2026-01-31T00%3A00%3A00Z"),
        (
            {"type_filter": "MedicationRequest?status=completed&date=gt2018-07-01T00:00:00Z"},
            "/Patient/$export?_typeFilter=MedicationRequest%3Fstatus%3Dcompleted%26date%3Dgt2018-07-01T00%3A00%3A00Z",
        ),
    ],
)
def test_the_kick_off(raw: dict[str, Json], url: str) -> None:
    """Three levels, three optional parameters, and the two headers that the guide asks for."""
    operation = _operation()
    request = operation.submit(job_with(None, operation.check_params(raw)))
    assert (request.method, request.url, request.body) == ("GET", f"{FHIR}{url}", None)
    assert dict(request.headers) == {"Accept": "application/fhir+json", "Prefer": "respond-async"}


@pytest.mark.parametrize(
    "raw",
    [
        {"level": "group"},
        {"group": "x"},
        {"level": "group", "group": "a/b"},
        {"level": "group", "group": ".."},
        {"since": "yesterday"},
        {"type": "Patient Condition"},
    ],
)
def test_what_is_no_kick_off(raw: dict[str, Json]) -> None:
    """An export of everything must not come of a slip in naming a group."""
    with pytest.raises(ParameterError):
        _operation().check_params(raw)


@pytest.mark.parametrize(
    ("location", "handle"),
    [
        (STATUS, STATUS),
        ("/r4/bulkstatus/1", f"{FHIR}/bulkstatus/1"),
        ("https://jobs.example.org/1", "https://jobs.example.org/1"),
    ],
)
def test_the_handle_is_the_url_to_poll(location: str, handle: str) -> None:
    """Kept byte for byte; one that is relative, against the guide, is resolved against where it came from."""
    reply = reply_of(202, b"", f"{FHIR}/Patient/$export", content_location=location)
    assert _operation().read_submit(job_with(None), reply, NOW) == Accepted(handle)
    assert _operation().poll(job_with(handle)).url == handle


@pytest.mark.parametrize("location", ["", "urn:uuid:1", "https://", "https://x.example.com/\r\nX: y"])
def test_a_handle_that_cannot_be_polled_is_none(location: str) -> None:
    """The job may run, but nobody can say where."""
    outcome = _operation().read_submit(job_with(None), reply_of(202, b"", content_location=location), NOW)
    assert isinstance(outcome, Unknown)


def test_kick_offs_that_fail() -> None:
    """The message is the OperationOutcome's; too many exports pause the account; only a gateway leaves a doubt."""
    operation = _operation()

    def read(reply: WireReply) -> object:
        return operation.read_submit(job_with(None), reply, NOW)

    assert read(reply_of(400, _outcome("invalid", "no _typeFilter"))) == Refused("HTTP 400: no _typeFilter")
    assert read(reply_of(429, _outcome("throttled"), retry_after="60")) == Throttled("HTTP 429: said", 60.0)
    for status in (500, 501, 502, 503, 504):
        assert read(reply_of(status, _outcome("exception"))) == Refused(f"HTTP {status}: said")
    assert read(reply_of(503, _outcome("throttled"), retry_after="60")) == Throttled("HTTP 503: said", 60.0)
    assert read(reply_of(500, _outcome("lock-error"))) == Throttled("HTTP 500: said")
    assert read(reply_of(500, b"<html>")) == Unknown("HTTP 500: <html>")
    assert not operation.policy.repeatable


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(202, b"", x_progress="50% complete", retry_after="120"), Pending(None, "50% complete", 120.0)),
        (reply_of(202), Pending()),
        (
            reply_of(
                202,
                b"",
                retry_after="Fri, 31 Dec 1999 23:59:59 GMT",
                date="Fri, 31 Dec 1999 23:58:59 GMT",
                x_progress="",
            ),
            Pending(None, None, 60.0),
        ),
        (reply_of(429, b"", retry_after="30"), Throttled("HTTP 429", 30.0)),
        (reply_of(503, _outcome("transient")), Throttled("HTTP 503: said")),
        (reply_of(500, _outcome("transient")), Retry("the provider says HTTP 500: said")),
        (reply_of(504, _outcome("timeout"), retry_after="9"), Retry("the provider says HTTP 504: said", 9.0)),
        (reply_of(500, _outcome("processing")), Refused("the provider says HTTP 500: said")),
        (reply_of(500, b"<html>"), Retry("HTTP 500: <html>")),
        (reply_of(500), Retry("HTTP 500")),
        (reply_of(404, _outcome("not-found")), Gone("HTTP 404: said")),
        (reply_of(400, _outcome("invalid")), Refused("HTTP 400: said")),
        (reply_of(200, {"requiresAccessToken": True}), Unmapped('HTTP 200: {"requiresAccessToken": true}')),
        (reply_of(200, b"<html>"), Retry("HTTP 200, and a body that is not JSON: <html>")),
        (reply_of(200, b'{"output": ['), Retry('HTTP 200, and a body that is not JSON: {"output": [')),
    ],
)
def test_every_reply_to_a_status_request(reply: WireReply, outcome: object) -> None:
    """The code speaks; an OperationOutcome tells a failed poll from a failed export."""
    assert _operation().read_poll(job_with(STATUS), reply, NOW) == outcome


def test_the_manifest() -> None:
    """Every list of it, labelled, with counts; credentials only where the server says so."""
    manifest = {
        "transactionTime": "2021-01-01T00:00:00Z",
        "request": f"{FHIR}/Patient/$export",
        "requiresAccessToken": True,
        "output": [
            {"type": "Patient", "url": f"{FHIR}/output/p1.ndjson", "count": 120},
            {"type": "Patient", "url": f"{FHIR}/output/p2.ndjson?sig=a%2Fb", "count": 3},
        ],
        "deleted": [{"type": "Bundle", "url": f"{FHIR}/output/d.ndjson"}],
        "error": [{"type": "OperationOutcome", "url": f"{FHIR}/output/e.ndjson", "count": 1}],
        "extension": {"https://example.com/extra": True},
    }
    ready = _operation().read_poll(job_with(STATUS), reply_of(200, manifest), NOW)
    assert ready == Ready(
        (
            Link(f"{FHIR}/output/p1.ndjson", "Patient", count=120),
            Link(f"{FHIR}/output/p2.ndjson?sig=a%2Fb", "Patient", count=3),
            Link(f"{FHIR}/output/d.ndjson", "deleted"),
            Link(f"{FHIR}/output/e.ndjson", "error", count=1),
        ),
        "partial",
    )
    assert _operation().resolve(job_with(STATUS)) is None
    assert _operation().media_type == "application/fhir+ndjson"


def test_an_export_without_resources_is_a_success() -> None:
    """The guide says: an empty array."""
    manifest = {"requiresAccessToken": False, "output": [], "error": []}
    assert _operation().read_poll(job_with(STATUS), reply_of(200, manifest), NOW) == Ready(())


@pytest.mark.parametrize("lacking", [None, "missing"])
def test_null_in_a_manifest_is_no_file(lacking: object) -> None:
    """Some servers write null for a list without items."""
    manifest = {"requiresAccessToken": False, "output": None, "error": lacking, "deleted": None}
    if lacking == "missing":
        del manifest["error"]
    assert _operation().read_poll(job_with(STATUS), reply_of(200, manifest), NOW) == Ready(())


def test_signed_files_are_fetched_without_the_token() -> None:
    """`requiresAccessToken` is false where the URL itself is the permission."""
    manifest = {
        "requiresAccessToken": False,
        "output": [{"type": "Patient", "url": "https://s3.example.com/p?X-Sig=1"}],
    }
    ready = _operation().read_poll(job_with(STATUS), reply_of(200, manifest), NOW)
    assert ready == Ready((Link("https://s3.example.com/p?X-Sig=1", "Patient", send_auth=False),))


def test_cancel_and_cleanup_are_the_same_request() -> None:
    """DELETE on the address that was polled; what is gone already is done."""
    operation = _operation()
    assert operation.policy.cancels
    for request in (operation.cancel(job_with(STATUS)), operation.clean(job_with(STATUS))):
        assert request is not None
        assert (request.method, request.url) == ("DELETE", STATUS)
    for status in (202, 204, 404):
        assert operation.read_cancel(job_with(STATUS), reply_of(status), NOW) == Cancelled()
        assert operation.read_clean(job_with(STATUS), reply_of(status), NOW) == Cleaned()
    assert operation.read_clean(job_with(STATUS), reply_of(405), NOW) == Refused("HTTP 405")


def test_smart_backend_services() -> None:
    """The account signs that it is the client, for the token endpoint and four minutes, and gets a bearer token.

    https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
    """
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    settings: dict[str, Json] = {
        "base_url": FHIR,
        "auth": "smart",
        "token_url": "https://auth.example.com/token",
        "client_id": "reader",
        "key_id": "k-1",
        "private_key": pem,
    }
    account = Registry.load().get("fhir-bulk").bind("lab", settings)
    assert isinstance(account.auth.session, LoginSession)
    assert account.auth.credentials == Credentials()
    assert account.auth.secrets == {pem}
    request = account.auth.session.login(NOW, "nonce-1")
    form = {name: value for name, (value,) in parse_qs((request.body or b"").decode()).items()}
    assertion = form.pop("client_assertion")
    assert (request.method, request.url) == ("POST", "https://auth.example.com/token")
    assert form == {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    assert jwt.get_unverified_header(assertion) == {"typ": "JWT", "alg": "RS384", "kid": "k-1"}
    claims = jwt.decode(
        assertion, key.public_key(), ["RS384"], audience="https://auth.example.com/token", options={"verify_exp": False}
    )
    assert claims == {
        "iss": "reader", "sub": "reader", "aud": "https://auth.example.com/token", "jti": "nonce-1", "exp": NOW + 240,
    }  # fmt: skip
    token = account.auth.session.read_login(reply_of(200, {"access_token": "t-canary", "expires_in": 300}), NOW)
    assert isinstance(token, Token)
    assert account.auth.session.credentials(token).headers == {"Authorization": "Bearer t-canary"}
    assert account.auth.session.rejects_token(reply_of(401, b"", STATUS))


def test_smart_needs_its_settings() -> None:
    """They are asked for where they are used, all at once."""
    with pytest.raises(SettingsError) as raised:
        Registry.load().get("fhir-bulk").bind("lab", {"base_url": FHIR, "auth": "smart"})
    assert [fault.key for fault in raised.value.faults] == ["client_id", "key_id", "token_url", "private_key"]


def test_the_token_is_a_bearer_token() -> None:
    """And there are open servers, which want none."""
    provider = Registry.load().get("fhir-bulk")
    closed = provider.bind("lab", {"base_url": FHIR, "token": "t-canary"})
    assert closed.auth.credentials.headers == {"Authorization": "Bearer t-canary"}
    assert not provider.bind("lab", {"base_url": FHIR, "auth": "none"}).auth.credentials.headers
    assert provider.bind("lab", {"base_url": FHIR, "auth": "none"}, clean=True).operations["export"].policy.cleans
