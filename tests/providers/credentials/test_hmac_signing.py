"""Signatures that a spec describes: published vectors, every reference, secrets that are badly written."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from tests.providers.providers_page import DOCS
from tests.support.spec_samples import POLL, RESULTS, SUBMIT, faults_of, job_with, provider_of
from tidewaiter.domain.http_values import Link, WireRequest
from tidewaiter.domain.request_signing import RequestSigner, SigningMoment
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.errors import SettingsError
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.values.signing_templates import VALUES

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://api.example.com/v1"

[account]
key_id = { help = "the key's name", example = "k1" }
secret = { help = "the secret", secret = true, example = "c2VjcmV0" }
note = { help = "a note", required = false }
"""
TAIL = SUBMIT + POLL + RESULTS
PLAIN = """
[auth]
type = "hmac"
key = "${account.secret}"
string_to_sign = "${request.method}\\n${request.target}\\n${time.epoch}"
headers = { X-Signature = "${account.key_id}:${signature}", X-Time = "${time.epoch}" }
"""
MOMENT = SigningMoment(1_700_000_000.25, "abc123")
GET = WireRequest("GET", "https://api.example.com/v1/reports?b=2&a=1")


def _account(auth: str = PLAIN, secret: str = "canary-secret") -> BoundAccount:
    return provider_of(HEAD + auth + TAIL).bind("shop", {"key_id": "k1", "secret": secret})


def _signer(auth: str = PLAIN, secret: str = "canary-secret") -> RequestSigner:
    signer = _account(auth, secret).auth.credentials.signer
    assert signer is not None
    return signer


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        ("%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96",
         "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
    ],
)  # fmt: skip
def test_published_vectors_of_an_exchange(symbol: str, signature: str) -> None:
    """The examples of Binance's documentation: the time is a pair of the query, which is signed with the rest.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security
    """
    auth = """
    [auth]
    type = "hmac"
    key = "${account.secret}"
    string_to_sign = "${request.query}"
    query = { timestamp = "${time.epoch_ms}", signature = "${signature}" }
    headers = { X-MBX-APIKEY = "${account.key_id}" }
    """
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    query = f"symbol={symbol}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    request = WireRequest("POST", f"https://api.example.com/v1/order?{query}")
    signed = _signer(auth, secret).sign(request, SigningMoment(1499827319.559, ""))
    assert signed.string_to_sign == f"{query}&timestamp=1499827319559"
    assert signed.request.url == f"{request.url}&timestamp=1499827319559&signature={signature}"
    assert signed.request.headers == {"X-MBX-APIKEY": "k1"}


def test_another_library_agrees() -> None:
    """Standard Webhooks, with a secret in Base64: their library makes the same signature, and accepts ours."""
    auth = """
    [auth]
    type = "hmac"
    key = "${account.secret}"
    key_encoding = "base64"
    signature_encoding = "base64"
    string_to_sign = "${nonce}.${time.epoch}.${request.body}"
    headers = { webhook-id = "${nonce}", webhook-timestamp = "${time.epoch}", webhook-signature = "v1,${signature}" }
    """
    secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLjSw"
    signer = _signer(auth, secret)
    request = WireRequest("POST", "https://api.example.com/v1/x", {}, b'{"test": 2432232314}')
    signed = signer.sign(request, SigningMoment(1614265330.0, "msg_p5jXN8AQM9LWM0D4loKWxJek")).request
    theirs = Webhook(secret).sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", datetime.fromtimestamp(1614265330, UTC), '{"test": 2432232314}'
    )
    assert signed.headers["webhook-signature"] == theirs
    now = signer.sign(request, SigningMoment(datetime.now(UTC).timestamp(), "msg_1")).request
    assert now.body is not None
    assert Webhook(secret).verify(now.body.decode(), dict(now.headers)) == {"test": 2432232314}


@pytest.mark.parametrize(
    ("reference", "value"),
    {
        "request.method": "POST",
        "request.url": "https://API.example.com:443/v1/a%20b/%C3%A4?b=2&a=1+x",
        "request.host": "api.example.com",
        "request.path": "/v1/a%20b/%C3%A4",
        "request.query": "b=2&a=1+x",
        "request.sorted_query": "a=1+x&b=2",
        "request.target": "/v1/a%20b/%C3%A4?b=2&a=1+x",
        "request.content_type": "application/json",
        "request.body": '{"a":"ä"}',
        "request.body_sha256": hashlib.sha256('{"a":"ä"}'.encode()).hexdigest(),
        "request.body_sha256_base64": base64.b64encode(hashlib.sha256('{"a":"ä"}'.encode()).digest()).decode(),
        "request.body_md5_base64": base64.b64encode(
            hashlib.md5('{"a":"ä"}'.encode(), usedforsecurity=False).digest()
        ).decode(),
        "time.epoch": "1700000000",
        "time.epoch_ms": "1700000000250",
        "time.iso": "2023-11-14T22:13:20Z",
        "time.http": "Tue, 14 Nov 2023 22:13:20 GMT",
        "nonce": "abc123",
        "account.key_id": "k1",
        "account.note|account.key_id": "k1",
    }.items(),
)
def test_what_a_text_is_made_of(reference: str, value: str) -> None:
    """Each reference has the value of the request as it is sent."""
    auth = PLAIN.replace("${request.method}\\n${request.target}\\n${time.epoch}", f"[${{{reference}}}]")
    body = '{"a":"ä"}'.encode()
    address = "https://API.example.com:443/v1/a%20b/%C3%A4?b=2&a=1+x"
    request = WireRequest("POST", address, {"content-type": "application/json"}, body)
    signed = _signer(auth).sign(request, MOMENT)
    assert signed.string_to_sign == f"[{value}]"
    expected = hmac.new(b"canary-secret", f"[{value}]".encode(), "sha256").hexdigest()
    assert signed.request.headers["X-Signature"] == f"k1:{expected}"


def test_every_reference_is_documented() -> None:
    """The recipe has a line for each."""
    page = (DOCS / "recipes" / "signed-requests.md").read_text("utf-8")
    for name, (_, what) in VALUES.items():
        assert f"| `${{{name}}}` | {what} |" in page


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (WireRequest("HEAD", "https://api.example.com"), b"HEAD / "),
        (WireRequest("POST", "http://api.example.com:8080/x", {}, b""), b"POST /x "),
        (WireRequest("POST", "https://api.example.com/x", {}, b"\xff\x00\xfe"), b"POST /x \xff\x00\xfe"),
    ],
)
def test_bodies_and_paths_at_the_edge(request_: WireRequest, expected: bytes) -> None:
    """No path, no body, an empty body, and one that is no text: it is signed byte for byte."""
    auth = PLAIN.replace(
        "${request.method}\\n${request.target}\\n${time.epoch}", "${request.method} ${request.path} ${request.body}"
    )
    signed = _signer(auth).sign(request_, MOMENT).request
    assert signed.headers["X-Signature"] == f"k1:{hmac.new(b'canary-secret', expected, 'sha256').hexdigest()}"
    assert signed.body == request_.body


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize(
    ("key_encoding", "secret"), [("text", "c0ffee00"), ("hex", "c0ffee00"), ("base64", "_-8AAQ==")]
)
@pytest.mark.parametrize("signature_encoding", ["hex", "base64", "base64url"])
def test_algorithms_and_encodings(algorithm: str, key_encoding: str, secret: str, signature_encoding: str) -> None:
    """Against the standard library's HMAC."""
    more = f'algorithm = "{algorithm}"\nkey_encoding = "{key_encoding}"\nsignature_encoding = "{signature_encoding}"\n'
    sent = _signer(PLAIN + more, secret).sign(GET, MOMENT).request.headers["X-Signature"]
    raw = {"text": secret.encode(), "hex": b"\xc0\xff\xee\x00", "base64": b"\xff\xef\x00\x01"}[key_encoding]
    digest = hmac.new(raw, b"GET\n/v1/reports?b=2&a=1\n1700000000", algorithm).digest()
    written = {
        "hex": digest.hex(),
        "base64": base64.b64encode(digest).decode(),
        "base64url": base64.urlsafe_b64encode(digest).decode().rstrip("="),
    }
    assert sent == f"k1:{written[signature_encoding]}"


def test_a_second_signature_replaces_the_first() -> None:
    """A redirect that repeats our query, or a request that has such a header already, gets one signature only."""
    auth = PLAIN + 'query = { sig = "${signature}", t = "${time.epoch}" }\n'
    signer = _signer(auth)
    once = signer.sign(GET, MOMENT).request
    again = signer.sign(once, SigningMoment(1_700_000_009.0, "n")).request
    assert again.url == signer.sign(GET, SigningMoment(1_700_000_009.0, "n")).request.url
    assert sorted(again.headers) == ["X-Signature", "X-Time"]
    assert again.url != once.url
    bare = WireRequest("GET", "https://api.example.com/v1/x")
    assert signer.sign(bare, MOMENT).request.url.startswith("https://api.example.com/v1/x?t=1700000000&sig=")


def test_a_line_break_makes_no_header() -> None:
    """A value that has one stays within its field."""
    request = WireRequest("POST", "https://api.example.com/v1/x", {}, b"a\r\nX-Evil: 1")
    signed = _signer(PLAIN.replace("${account.key_id}:", "${request.body}:")).sign(request, MOMENT).request
    assert signed.headers["X-Signature"].startswith("a X-Evil: 1:")


@pytest.mark.parametrize(
    ("encoding", "secret", "kind"),
    [("hex", "canary-xyz", "hexadecimal digits"), ("base64", "canary secret!", "Base64")],
)
def test_a_secret_that_is_badly_written(encoding: str, secret: str, kind: str) -> None:
    """The account cannot be used; the message names the setting and not its value."""
    with pytest.raises(SettingsError) as caught:
        _account(PLAIN + f'key_encoding = "{encoding}"\n', secret)
    said = str(caught.value)
    assert f"secret: is not written in {kind}, as the provider's secrets are: copy it again" in said
    assert "canary" not in said


def test_signatures_and_decoded_secrets_are_redacted() -> None:
    """A provider that quotes them in an error shows nothing."""
    secret = base64.b64encode(b"canary-of-the-shop").decode()
    account = _account(PLAIN + 'key_encoding = "base64"\n', secret)
    assert account.auth.credentials.signer is not None
    header = account.auth.credentials.signer.sign(GET, MOMENT).request.headers["X-Signature"]
    signature = header.partition(":")[2]
    text = f"no {signature}, no canary-of-the-shop, no {b'canary-of-the-shop'.hex()}, no {secret}"
    assert account.auth.redactor.clean(text) == "no [redacted], no [redacted], no [redacted], no [redacted]"
    assert "canary-of-the-shop" in account.auth.secrets


def test_the_redactor_of_the_process_learns_signatures() -> None:
    """Those of an account that joined it, until some hundreds of others were made."""
    account, shared = _account(), Redactor()
    account.auth.redactor.join(shared)
    signer = account.auth.credentials.signer
    assert signer is not None
    signed = [signer.sign(GET, SigningMoment(float(at), "")).request.headers["X-Signature"] for at in range(300)]
    first, last = (header.partition(":")[2] for header in (signed[0], signed[-1]))
    assert shared.clean(f"no {last}") == "no [redacted]"
    assert shared.clean(f"an old {first}") == f"an old {first}"


def test_signatures_in_links_are_not_kept() -> None:
    """A link to the provider's own origin loses a signature of ours; one to another host keeps what it has."""
    auth = PLAIN + 'query = { sig = "${signature}", t = "${time.epoch}" }\n'
    own = _account(auth).operations["report"].own
    assert own.link(Link("https://api.example.com/f?sig=1&t=2&x=3")).url == "https://api.example.com/f?x=3"
    assert own.link(Link("https://files.example.com/f?sig=1&t=2")).url == "https://files.example.com/f?sig=1&t=2"


@pytest.mark.parametrize(
    ("auth", "fault"),
    [
        pytest.param(PLAIN.replace('key = "${account.secret}"\n', ""), "auth.key: is missing", id="no key"),
        pytest.param(PLAIN.replace("${account.secret}", "${account.sicret}"),
            "auth.key: refers to ${account.sicret}, but there is no such setting (there are: key_id, secret, note)",
            id="unknown setting"),
        pytest.param(PLAIN.replace("${account.secret}", "${account.note}"),
            "auth.key: refers to ${account.note}, which may be missing; here it must not be", id="optional key"),
        pytest.param(PLAIN.replace("${account.key_id}", "${account.note}"),
            "auth.headers.X-Signature: refers to ${account.note}, which may be missing; here it must not be",
            id="optional in a header"),
        pytest.param(PLAIN.replace("${request.target}", "${request.uri}"),
            "auth.string_to_sign: refers to ${request.uri}, which does not exist (use account.NAME, request.method, "
            "request.url, request.host, request.path, request.query, request.sorted_query, request.target, "
            "request.content_type, request.body, request.body_sha256, request.body_sha256_base64, "
            "request.body_md5_base64, time.epoch, time.epoch_ms, time.iso, time.http, nonce, signature)",
            id="reference"),
        pytest.param(PLAIN.replace("${request.target}", "${request.target"),
            "auth.string_to_sign: has a ${ without its }", id="not closed"),
        pytest.param(PLAIN.replace("${request.target}", "${signature}"),
            "auth: string_to_sign refers to ${signature}, which is made of it: remove it there", id="cycle"),
        pytest.param(PLAIN.replace("${signature}", "x"),
            "auth: no value of headers or query refers to ${signature}, so it would not be sent", id="not sent"),
        pytest.param(PLAIN + 'algorithm = "md5"\n',
            "auth.algorithm: must be 'sha256', 'sha384', 'sha512' or 'sha1'", id="algorithm"),
        pytest.param(PLAIN.replace("X-Time", "Host"),
            "auth.headers.Host: host belongs to the connection", id="header of the connection"),
    ],
)  # fmt: skip
def test_mistakes(auth: str, fault: str) -> None:
    """Each names the file and the key, and says what to write instead."""
    (found,) = faults_of(HEAD + auth + TAIL)
    assert found.startswith("demo.toml")
    assert fault.lower() in found.lower()


EXAMPLE = """
[[examples]]
name = "a signed request"
operation = "report"
step = "poll"
handle = "7"
[examples.request]
url = "https://api.example.com/v1/reports/7"
[examples.request.signed]
at = 1700000001
string_to_sign = "GET\\n/v1/reports/7\\n1700000001"
headers = { x-time = "1700000001" }
"""


def test_an_example_compares_the_signature() -> None:
    """The text that is signed and the headers, at the time of the example; without it the signature is uncovered."""
    provider = provider_of(HEAD + PLAIN + TAIL + EXAMPLE)
    (result,) = run_examples(provider)
    assert result.ok, str(result)
    assert "auth" not in uncovered_rules(provider)
    assert "auth" in uncovered_rules(provider_of(HEAD + PLAIN + TAIL))
    (wrong,) = run_examples(provider_of(HEAD + PLAIN + TAIL + EXAMPLE.replace("at = 1700000001", "at = 1700000002")))
    assert "request.signed.string_to_sign" in str(wrong)
    assert "request.signed.headers.x-time" in str(wrong)
    unsigned = HEAD + '[auth]\ntype = "bearer"\ntoken = "${account.secret}"\n' + TAIL + EXAMPLE
    (refused,) = run_examples(provider_of(unsigned))
    assert "request.signed is expected, and this request is not signed" in str(refused)


def test_the_key_test_is_signed_when_it_is_sent() -> None:
    """The request that tests a key is built without a signature: the client adds it."""
    account = _account()
    request = account.operations["report"].poll(job_with())
    assert "X-Signature" not in request.headers
