"""What the log redacts: configured secrets in every form, the shapes of credentials, and nested fields."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log.log_stream import LogStream
from tidewaiter.log import REDACTED, Redactor

SIGNED = "https://bucket.s3.amazonaws.com/r/1.json?Expires=1791000000&AWSAccessKeyId=AKIAEXAMPLE&Signature=abc%2Fdef%3D"


# --- redaction --------------------------------------------------------------------------------------------------------


@pytest.mark.fault(58)
@pytest.mark.invariant(10)
def test_known_secrets_in_every_form() -> None:
    """A configured secret is found plain and as URLs, JSON, HTML and Basic credentials show it, wherever it stands."""
    secret = 'p&ss/"wörd+1'
    redactor = Redactor([secret])
    for prefix in ("", "u:", "us:", "usr:"):
        basic = base64.b64encode(f"{prefix}{secret}!".encode()).decode()
        for text in (
            basic,
            f"x {secret} y",
            quote(secret, safe=""),
            quote(secret, safe="").lower(),
            json.dumps(secret),
        ):
            cleaned = redactor.clean(text)
            assert REDACTED in cleaned
            assert "rd+1" not in cleaned
    assert redactor.clean(base64.b64encode(b"u:short").decode()) != REDACTED


@given(st.text(min_size=4, max_size=40), st.text(max_size=7), st.text(max_size=7))
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    """Whatever the secret and its surroundings, neither it nor its URL form is left."""
    secret = secret.encode(errors="replace").decode()
    redactor = Redactor([secret])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        cleaned = redactor.clean(f"{before}{form}{after}")
        assert form in REDACTED or form not in cleaned.replace(REDACTED, "\0")


def test_short_values_are_no_secrets() -> None:
    """A value of three characters would blot out half of every line."""
    assert Redactor(["abc", ""]).clean("abc and more") == "abc and more"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            SIGNED,
            "https://bucket.s3.amazonaws.com/r/1.json?Expires=1791000000&AWSAccessKeyId=[redacted]&Signature=[redacted]",
        ),
        (
            "https://h/f?X-Amz-Credential=A%2Fb&X-Amz-Security-Token=FQo/x&x-amz-signature=00ff, 403",
            "https://h/f?X-Amz-Credential=[redacted]&X-Amz-Security-Token=[redacted]&x-amz-signature=[redacted] 403",
        ),
        ("https://h/x?sig=a%3D&key=b&token=c#d", "https://h/x?sig=[redacted]&key=[redacted]&token=[redacted]#d"),
        (
            "https://h/?next=https%3A%2F%2Fx%3Ftoken%3Dabc%26a%3D1",
            "https://h/?next=https%3A%2F%2Fx%3Ftoken%3D[redacted]%26a%3D1",
        ),
        ("access_token=abc&x=1", "access_token=[redacted]&x=1"),
        ("postgresql://tide:pw@db/x", "postgresql://[redacted]@db/x"),
        ("HTTPS://ghp_abc@host/p", "HTTPS://[redacted]@host/p"),
        ("Authorization: Basic dTpw", "Authorization: [redacted]"),
        (
            "{'Authorization': 'AWS4 Credential=a, Signature=b', 'Accept': 'x'}",
            "{'Authorization': '[redacted]', 'Accept': 'x'}",
        ),
        ("X-Carma-Authentication-Token: abc", "X-Carma-Authentication-Token: [redacted]"),
        ("set-cookie: a=b; c=d", "set-cookie: [redacted]"),
        ("sent Bearer abc.def-ghi", "sent Bearer [redacted]"),
        ("got Basic dXNlcjpwYXNz back", "got Basic [redacted] back"),
        (
            '{"success":true,"access_token":"0a1b\\"2c","expires":"x"}',
            '{"success":true,"access_token":"[redacted]","expires":"x"}',
        ),
        ('{"password": "cut off he', '{"password": "[redacted]"'),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s-1", "[redacted]"),
    ],
)
def test_shapes_of_credentials(text: str, clean: str) -> None:
    """A credential that nobody configured is known by where it stands; what helps to find the fault stays."""
    assert Redactor().clean(text) == clean
    assert Redactor().clean(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "the bearer token has expired",
        "Basic authentication is required",
        "404: Can't find that page, key=7",
        "https://host/path@2x.png?page=2&tokens=3",
        "monkey=1 turkey: 2",
        "user@example.com wrote to postgresql://db/x",
    ],
)
def test_prose_stays(text: str) -> None:
    """What only sounds like a credential is left to be read."""
    assert Redactor().clean(text) == text


@pytest.mark.fault(66)
def test_redaction_is_quick_on_hostile_text() -> None:
    """A long body made to send the patterns astray is cleaned in linear time; quadratic would run into the timeout."""
    for text in ("a-" * 100_000, "a." * 100_000, "a://" * 50_000, '"token":"' + "\\" * 200_000, "?key=" * 50_000):
        Redactor(["secret-value"]).clean(text)


def test_nested_fields_are_cleaned() -> None:
    """A secret in a list in a mapping, in a name, in bytes or in an exception's text is found as well."""
    stream = LogStream(secrets=["canary-1"])
    stream.log.add_secrets(["canary-2"])
    stream.log.emit(
        "heartbeat",
        jobs={"canary-1": [1, ("x canary-2", b"canary-1")]},
        breakers=ValueError(f"canary-1 at {SIGNED}"),
        lanes={"deep": [[[[[[[[[["canary-2"]]]]]]]]]]},
    )
    text = stream.stream.getvalue()
    assert "canary" not in text
    assert "abc%2Fdef" not in text
    assert text.count(REDACTED) == 7
