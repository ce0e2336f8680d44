"""Redaction of secrets in a provider's text: every encoding, mixed encodings, any position, in linear time."""

import base64
import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.effort import examples
from tidewaiter.log import REDACTED, Redactor
from tidewaiter.log.redactor import LONGEST_TEXT

SECRET = "kEy/9+a&b'<c>\"=Zq7"
_CHARACTERS: tuple[Callable[[str], str], ...] = (
    lambda one: one,
    lambda one: quote(one, safe="") if not one.isalnum() else f"%{ord(one):02X}",
    lambda one: f"%{ord(one):02x}",
    lambda one: f"%25{ord(one):02X}",
    lambda one: f"&#{ord(one)};",
    lambda one: f"&#0{ord(one)};",
    lambda one: f"&#x{ord(one):x};",
    lambda one: f"&#X{ord(one):04X};",
    html.escape,
    lambda one: f"\\u{ord(one):04x}",
    lambda one: "\\/" if one == "/" else one,
    lambda one: f"{one}\r\n ",
    lambda one: f"{one}\n",
)
_RUN = 8


def _runs(secret: str) -> list[str]:
    return [secret[at : at + _RUN] for at in range(len(secret) - _RUN + 1)]


@pytest.mark.fault(58)
@settings(max_examples=examples(400), deadline=None)
@given(st.data(), st.text(max_size=12), st.text(max_size=12))
def test_no_mix_of_encodings_hides_a_secret(data: st.DataObject, before: str, after: str) -> None:
    """Each character of the secret in an encoding of its own, in any text: no eight characters of it are left."""
    written = "".join(data.draw(st.sampled_from(_CHARACTERS))(one) for one in SECRET)
    clean = Redactor([SECRET]).clean(f"{before}{written}{after}")
    assert REDACTED in clean
    for kept in (clean, html.unescape(clean), "".join(clean.split())):
        assert not [run for run in _runs(SECRET) if run in kept]


@settings(max_examples=examples(300), deadline=None)
@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=8, max_size=40),
    st.binary(max_size=7),
    st.binary(max_size=7),
    st.booleans(),
    st.integers(8, 76),
)
def test_no_base64_and_no_hexadecimal_hides_a_secret(
    secret: str, before: bytes, after: bytes, in_url: bool, width: int
) -> None:
    """Either alphabet, any alignment, wrapped after any number of characters; hexadecimal in both cases."""
    encode = base64.urlsafe_b64encode if in_url else base64.b64encode
    whole = encode(before + secret.encode() + after).decode()
    wrapped = "\r\n".join(whole[at : at + width] for at in range(0, len(whole), width))
    redactor = Redactor([secret])
    for written in (whole, wrapped, whole.replace("/", "\\/"), quote(whole, safe="")):
        assert REDACTED in redactor.clean(f"echo: {written}")
    for written in (secret.encode().hex(), secret.encode().hex().upper()):
        assert secret.encode().hex() not in redactor.clean(written).lower()


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(SECRET).replace("/", "\\/"),
        html.escape(SECRET),
        quote(quote(SECRET, safe=""), safe=""),
        "kEy%2F9+a&amp;b&#39;&lt;c%3E\\u0022=Zq7",
        "kEy&sol;9&plus;a&amp;b&apos;&lt;c&gt;&quot;&equals;Zq7",
        SECRET.replace("&", "\\u0026"),
        "kEy/9+a&b'\n    <c>\"=Zq7",
    ],
)
def test_what_programs_write(written: str) -> None:
    """PHP's JSON, Python's HTML, a URL in a URL, all mixed, named entities, Go's JSON, a wrapped line."""
    assert Redactor([SECRET]).clean(f"the key {written} is unknown") in (
        f"the key {REDACTED} is unknown",
        f'the key "{REDACTED}" is unknown',
    )


@pytest.mark.parametrize("before", ["%", "%4", "%2", "%25", "&#", "&#x", "&", "\\", "\\u00", "\\u", "&#4"])
@pytest.mark.parametrize("secret", ["41abcdef0123456789", "amp41;deadbeef99", "u0041u0042u0043"])
def test_a_beginning_of_an_escape_before_a_secret_does_not_hide_it(before: str, secret: str) -> None:
    """What stands before a secret may take a few of its characters for an escape; the rest is found all the same."""
    written = "".join(f"%{ord(one):02x}" if at % 3 == 2 else one for at, one in enumerate(secret))
    clean = Redactor([secret]).clean(f"say {before}{written} end")
    assert REDACTED in clean


def test_a_secret_that_the_bound_divides_leaves_no_beginning() -> None:
    """A text is cut first; what is left of a secret at the cut is taken out too, and so it is of a quote."""
    redactor = Redactor([SECRET, "s" * 2000 + "end"])
    for shown in range(1, len(SECRET) + 1):
        clean = redactor.clean("x" * (LONGEST_TEXT - shown) + SECRET)
        assert not [run for run in _runs(SECRET) if run in clean]
        assert "kEy" not in redactor.clean("x" * 100 + SECRET[:shown], cut=True)


def test_secrets_come_and_go() -> None:
    """A session's tokens are known until it brings others, a callback's for some thousands of others."""
    redactor = Redactor(["standing-secret"])
    redactor.add_temporary("session 1", {"token-number-one", "standing-secret"})
    redactor.add_temporary("session 1", {"token-number-two"})
    redactor.add_recent("token-of-a-callback")
    assert redactor.clean("token-number-one") == "token-number-one"
    for known in ("token-number-two", "standing-secret", "token-of-a-callback"):
        assert redactor.clean(known) == REDACTED


@pytest.mark.slow
def test_a_secret_in_use_is_not_forgotten_for_others() -> None:
    """Neither while it is held, however many others come, nor if it was used again before they came."""
    redactor = Redactor()
    redactor.add_recent("of-a-short-step")
    with redactor.holding(["of-a-long-step"]):
        for number in range(4090):
            redactor.add_recent(f"{number:08d}-callback")
        redactor.add_recent("of-a-short-step")
        for number in range(4090, 4200):
            redactor.add_recent(f"{number:08d}-callback")
        assert redactor.clean("of-a-long-step, of-a-short-step") == f"{REDACTED}, {REDACTED}"
        assert redactor.clean("00000000-callback") == "00000000-callback"
    assert redactor.clean("of-a-long-step") == REDACTED


def test_a_text_that_was_clean_before_is_searched_for_a_secret_that_came_later() -> None:
    """A status word comes with every poll; the token that it contains may be made between two of them."""
    shared = Redactor(["another-secret"])
    account = Redactor(["own-secret"])
    account.join(shared)
    text = "waits for sess-12345678"
    assert account.clean_quote(text) == text
    shared.add_temporary("lane", ["sess-12345678"])
    assert account.clean_quote(text) == f"waits for {REDACTED}"
    shared.add_temporary("lane", ["sess-87654321"])
    assert account.clean_quote(text) == text
    account.add(["sess-12345678"])
    assert account.clean_quote(text) == f"waits for {REDACTED}"


def test_an_account_knows_what_the_process_knows() -> None:
    """A redactor that has joined another knows its secrets, of today and of later, and brings its own."""
    shared, own = Redactor(["of-the-process"]), Redactor(["of-the-account"])
    own.join(shared)
    shared.add_temporary("session 1", {"a-live-token"})
    for text in ("of-the-process", "of-the-account", "a-live-token"):
        assert own.clean(text) == REDACTED
        assert shared.clean(text) == REDACTED


def test_a_long_secret_is_known_in_all_of_its_length() -> None:
    """A private key or a token of thousands of characters leaves nothing, however it is written."""
    key = "".join(f"{number:x}-" for number in range(2000))
    redactor = Redactor([key])
    for written in (key, quote(key, safe=""), key.replace("-", "&#45;"), key.replace("-", "-\n")):
        clean = redactor.clean(f"before {written} after")
        assert clean.startswith("before ")
        assert len(clean) < 100
    encoded = base64.b64encode(b"xy" + key.encode()).decode()
    assert sum(map(len, redactor.clean(encoded).split(REDACTED))) < len(encoded) / 20


@pytest.mark.fault(66)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "%41",
            "%25",
            "&amp;",
            "https:",
            "https://a?",
            " ",
            "\\u0041",
            "bearer ",
            "eyJaaaaaaaa-",
            '"token": "',
            "a-",
            "&",
        ),
        *("http://", "x", "kEy/9+a&", "cookie:", "basic ", "\r\n", "unexpected token", "%", "\\", "'password':'"),
    ],
)
@pytest.mark.slow
def test_time_grows_with_the_text(piece: str) -> None:
    """Four times the text takes about four times as long, whatever it is made of, and the most is bounded."""
    redactor = Redactor([SECRET, "eyJhbGciOiJIUzI1NiJ9." + "a" * 300, "x" * 16_000])

    def took(length: int, enough: float = 0.0) -> float:
        """The CPU time of the quickest of three attempts; none follows one that is quick enough."""
        text = (piece * (length // len(piece) + 1))[:length]
        best = 1e9
        for _ in range(3):
            begun = time.process_time()
            redactor.clean_quote(text)
            best = min(best, time.process_time() - begun)
            if best < enough:
                break
        return best

    for length, smaller in ((64_000, 16_000), (8_000_000, 64_000)):
        most = 12 * took(smaller) + 0.05
        assert took(length, most) < most
