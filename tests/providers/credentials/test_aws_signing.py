"""AWS Signature Version 4: the published vectors, and requests of any shape against a verifier that is not ours."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws_verifier import accepts
from tests.support.spec_samples import POLL, RESULTS, SUBMIT, faults_of, provider_of
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.request_signing import MachineKeys, RequestSigner, SigningMoment
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.credentials.aws_signing import Aws4Signer
from tidewaiter.providers.errors import SettingsError

_VECTORS = json.loads((Path(__file__).parent / "aws_sig_v4_vectors.json").read_text("utf-8"))["vectors"]
_SUITE = MachineKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
_SUITE_MOMENT = SigningMoment(1440938160.0, "")  # 20150830T123600Z
_S3 = MachineKeys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
_S3_MOMENT = SigningMoment(1369353600.0, "")  # 20130524T000000Z


def _signer(service: str = "service", keys: MachineKeys | None = _SUITE) -> RequestSigner:
    return Aws4Signer("auth", "us-east-1", service, keys, Redactor())


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda one: one["name"])
def test_the_suite_of_aws(vector: dict[str, Any]) -> None:
    """Every request of the suite that a client can send as it is written there."""
    url = f"https://example.amazonaws.com{vector['target']}"
    headers = dict(vector["headers"])
    keys = replace(_SUITE, session_token=headers.pop("X-Amz-Security-Token", None))
    request = WireRequest(vector["method"], url, headers, vector["body"].encode())
    signed = _signer(keys=keys).sign(request, _SUITE_MOMENT)
    assert signed.string_to_sign == vector["string_to_sign"]
    assert signed.request.headers["Authorization"].endswith(f"Signature={vector['signature']}")
    assert signed.request.headers["X-Amz-Date"] == "20150830T123600Z"
    assert (signed.request.url, signed.request.body) == (request.url, request.body)


@pytest.mark.parametrize(
    ("target", "headers", "signature"),
    [
        ("/test.txt", {"Range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("/?lifecycle", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_examples_of_s3(target: str, headers: dict[str, str], signature: str) -> None:
    """Those of its documentation.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    request = WireRequest("GET", f"https://examplebucket.s3.amazonaws.com{target}", headers)
    signed = _signer("s3", _S3).sign(request, _S3_MOMENT).request
    assert signed.headers["Authorization"].endswith(f"Signature={signature}")
    assert signed.headers["X-Amz-Content-SHA256"] == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("service", ["service", "s3"])
@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/", b""),
        ("HEAD", "/key", b""),
        ("GET", "/%C3%A4/a%20b%2Fc~x", b""),
        ("GET", "/a?b=2&a=1&a=0&B=3", b""),
        ("GET", "/a?q=x+y", b""),
        ("GET", "/a?q=x%20y&t=%2B", b""),
        ("GET", "/a?q=%c3%a4", b""),
        ("GET", "/a?q=a:b/c,d&e=(f)*'!", b""),
        ("GET", "/a?q=%FF", b""),
        ("GET", "/a?empty=&none", b""),
        ("POST", "/", b'{"QueryString":"SELECT 1"}'),
        ("POST", "/", b""),
        ("PUT", "/x", bytes(range(256))),
        ("DELETE", "/x", b""),
    ],
)
def test_another_verifier_accepts(service: str, method: str, target: str, body: bytes) -> None:
    """Whatever way the path and the query are written."""
    request = WireRequest(
        method, f"https://Host.example.com:8443{target}", {"Content-Type": "x/y", "Cookie": "a=1"}, body
    )
    signed = _signer(service).sign(request, _SUITE_MOMENT).request
    assert accepts(_SUITE.secret_key, method, target, {**signed.headers, "host": "host.example.com:8443"}, body)
    assert signed.url == request.url


def test_a_signature_of_before_is_replaced() -> None:
    """The headers of an earlier signature are not signed again, in whatever case."""
    signer = _signer("s3")
    request = WireRequest(
        "GET", "https://h.example.com/x", {"authorization": "old", "x-amz-date": "old", "Accept": "a/b"}
    )
    once = signer.sign(request, _SUITE_MOMENT).request
    assert sorted(once.headers) == ["Accept", "Authorization", "X-Amz-Content-SHA256", "X-Amz-Date"]
    later = SigningMoment(_SUITE_MOMENT.now + 60, "")
    again = signer.sign(once, later).request
    assert again == signer.sign(request, later).request
    assert again != once


def test_a_session_token_is_signed() -> None:
    """Temporary keys have one; it is among the signed headers."""
    keys = MachineKeys("AKIDEXAMPLE", "secret", "token/+=")
    signed = (
        _signer("athena", keys).sign(WireRequest("POST", "https://h.example.com/", {}, b"{}"), _SUITE_MOMENT).request
    )
    assert signed.headers["X-Amz-Security-Token"] == "token/+="
    assert "x-amz-security-token" in signed.headers["Authorization"]
    assert accepts("secret", "POST", "/", {**signed.headers, "host": "h.example.com"}, b"{}")


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature=ab",
        "x-amz-signature=ab",
        "AWSAccessKeyId=AKIDEXAMPLE&Expires=1&Signature=ab",
    ],
)
def test_a_presigned_link_is_not_signed_again(query: str) -> None:
    """Two signatures on one request are refused."""
    request = WireRequest("GET", f"https://bucket.s3.amazonaws.com/f.csv?{query}", {"Accept": "text/csv"})
    assert _signer("s3").sign(request, _SUITE_MOMENT).request == request


def test_the_keys_of_the_machine() -> None:
    """They come with each request, and are secrets from then on."""
    redactor = Redactor()
    signer = Aws4Signer("auth", "us-east-1", "s3", None, redactor)
    keys = MachineKeys("AKIDEXAMPLE", "canary-of-the-machine", "canary-token")
    signed = signer.sign(WireRequest("GET", "https://h.example.com/"), SigningMoment(0.0, "", keys)).request
    assert accepts("canary-of-the-machine", "GET", "/", {**signed.headers, "host": "h.example.com"}, b"")
    signature = signed.headers["Authorization"].rpartition("=")[2]
    text = redactor.clean(f"{signature} canary-of-the-machine canary-token")
    assert text == "[redacted] [redacted] [redacted]"
    with pytest.raises(ValueError, match="machine"):
        signer.sign(WireRequest("GET", "https://h.example.com/"), _SUITE_MOMENT)


# --- specs ------------------------------------------------------------------------------------------------------------

HEAD = """
name = "demo"
title = "Demo"
base_url = "https://demo.${account.region}.amazonaws.com"

[account]
region = { help = "the region", example = "eu-west-1" }
credentials = { help = "whose keys", enum = ["keys", "machine"], default = "keys" }
access_key = { help = "the key", when = { credentials = "keys" }, example = "AKIDEXAMPLE" }
secret_key = { help = "the secret", secret = true, when = { credentials = "keys" }, example = "made up" }
session_token = { help = "a token", secret = true, required = false, when = { credentials = "keys" } }
"""
KEYS = """
[[auth]]
type = "aws4"
when = { credentials = "keys" }
region = "${account.region}"
service = "demo"
access_key = "${account.access_key}"
secret_key = "${account.secret_key}"
session_token = "${account.session_token}"
"""
MACHINE = """
[[auth]]
type = "aws4"
when = { credentials = "machine" }
credentials = "machine"
region = "${account.region}"
service = "demo"
"""
TAIL = SUBMIT + POLL + RESULTS


def test_an_account_has_the_keys_that_its_operator_wrote() -> None:
    """Its own, or those of the machine, which nobody gets without asking for them."""
    provider = provider_of(HEAD + KEYS + MACHINE + TAIL)
    given = {"region": "eu-west-1", "access_key": "AKIDEXAMPLE", "secret_key": "canary-secret"}
    own = provider.bind("a", given).auth.credentials.signer
    assert own is not None
    assert not own.uses_machine
    request = WireRequest("GET", "https://demo.eu-west-1.amazonaws.com/reports/1")
    signed = own.sign(request, _SUITE_MOMENT).request
    assert "AKIDEXAMPLE/20150830/eu-west-1/demo/aws4_request" in signed.headers["Authorization"]
    assert "X-Amz-Security-Token" not in signed.headers
    assert accepts(
        "canary-secret", "GET", "/reports/1", {**signed.headers, "host": "demo.eu-west-1.amazonaws.com"}, b""
    )
    with_token = provider.bind("a", {**given, "session_token": "t"}).auth.credentials.signer
    assert with_token is not None
    assert with_token.sign(request, _SUITE_MOMENT).request.headers["X-Amz-Security-Token"] == "t"
    machine = provider.bind("a", {"region": "eu-west-1", "credentials": "machine"}).auth.credentials.signer
    assert machine is not None
    assert machine.uses_machine
    with pytest.raises(SettingsError, match="access_key: is missing"):
        provider.bind("a", {"region": "eu-west-1"})


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(HEAD + KEYS + MACHINE, None, id="sound"),
        pytest.param(HEAD + KEYS.replace('access_key = "${account.access_key}"\n', "") + MACHINE,
            'auth[0]: needs access_key and secret_key, or credentials = "machine"', id="no key"),
        pytest.param(HEAD + KEYS + MACHINE + 'access_key = "x"\n',
            'auth[1]: credentials = "machine" has keys of its own: remove access_key', id="keys of two kinds"),
        pytest.param(HEAD + KEYS + MACHINE.replace('when = { credentials = "machine" }\n', ""),
            'auth[1]: credentials = "machine" is for accounts that say so: add a setting credentials with enum = '
            '["keys", "machine"], and when = { credentials = "machine" } here', id="without asking"),
        pytest.param((HEAD + KEYS + MACHINE).replace('default = "keys"', 'default = "machine"'),
            "auth[1].credentials: is used without a word of the operator: give account.credentials another default",
            id="by default"),
        pytest.param(HEAD + KEYS.replace("${account.region}", "${account.zone}") + MACHINE,
            "auth[0].region: refers to ${account.zone}, but there is no such setting", id="unknown setting"),
        pytest.param(HEAD + KEYS + MACHINE.replace('service = "demo"\n', ""),
            "auth[1].service: is missing", id="no service"),
    ],
)  # fmt: skip
def test_mistakes(text: str, fault: str | None) -> None:
    """Each names file and key, and says what to write instead."""
    found = faults_of(text + TAIL)
    if fault is None:
        assert found == []
    else:
        assert any(one.startswith(f"demo.toml: {fault}") for one in found), found


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account cannot be used, and the message says what to install."""
    monkeypatch.setitem(sys.modules, "botocore", None)
    for name in [
        name for name in sys.modules if name.startswith(("botocore.", "tidewaiter.providers.credentials.aws_signing"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    given = {"region": "eu-west-1", "access_key": "AKIDEXAMPLE", "secret_key": "canary-secret"}
    with pytest.raises(SettingsError, match=r"auth\[0\].type: needs the extra `aws`; in a clone, `uv tool install"):
        provider_of(HEAD + KEYS + MACHINE + TAIL).bind("a", given)


_BUCKET = """
[origins.bucket]
url = "https://s3.eu-west-1.amazonaws.com"
auth = "s3"

[auths.s3]
type = "several"

[[auths.s3.of]]
type = "aws4"
when = { credentials = "keys" }
region = "${account.region}"
service = "s3"
access_key = "${account.access_key}"
secret_key = "${account.secret_key}"

[[auths.s3.of]]
type = "aws4"
when = { credentials = "machine" }
credentials = "machine"
region = "${account.region}"
service = "s3"
"""


def test_another_service_for_another_origin() -> None:
    """A bucket beside the service that fills it has signatures of its own."""
    provider = provider_of(HEAD + KEYS + MACHINE + _BUCKET + TAIL)
    given = {"region": "eu-west-1", "access_key": "AKIDEXAMPLE", "secret_key": "canary-secret"}
    for settings, machine in ((given, False), ({"region": "eu-west-1", "credentials": "machine"}, True)):
        account = provider.bind("a", settings)
        signer = account.auth.named["s3"].signer
        assert signer is not None
        assert signer.uses_machine is machine
        assert account.origins.auth_for("https://s3.eu-west-1.amazonaws.com:443") == "s3"


_SEVERAL = """
[auth]
type = "several"

[[auth.of]]
type = "aws4"
region = "${account.region}"
service = "demo"
access_key = "a"
secret_key = "b"

[[auth.of]]
"""


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ('type = "header"\nname = "X-Api-Key"\nvalue = "${account.region}"\n', None),
        ('type = "bearer"\ntoken = "${account.region}"\n', "of[0] and of[1] both set the header Authorization"),
        ('type = "hmac"\nkey = "k"\nstring_to_sign = "x"\nheaders = { X-Sig = "${signature}" }\n',
            "of[0] and of[1] both sign the request; only one may"),
    ],
)  # fmt: skip
def test_a_signature_beside_other_credentials(other: str, fault: str | None) -> None:
    """A key in a header of its own stands beside a signature; what would spoil it is a fault."""
    found = faults_of(HEAD + _SEVERAL + other + TAIL)
    assert found == ([] if fault is None else [f"demo.toml: auth: {fault}"])


def test_a_key_beside_a_signature_is_signed() -> None:
    """Both are on the request, and the signature has the key among its headers."""
    other = 'type = "header"\nname = "X-Api-Key"\nvalue = "${account.region}"\n'
    account = provider_of(HEAD + _SEVERAL + other + TAIL).bind(
        "a", {"region": "r", "access_key": "a", "secret_key": "b"}
    )
    assert account.auth.credentials.headers == {"X-Api-Key": "r"}
    assert account.auth.credentials.signer is not None
