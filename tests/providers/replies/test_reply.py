"""Replies as rules see them: strict JSON or none, and excerpts without secrets."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.domain.http_values import WireReply
from tidewaiter.log import Redactor
from tidewaiter.providers.replies.reply import Reading, excerpt
from tidewaiter.providers.values.texts import EXCERPT_LENGTH, plain


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b'{"a": 1',
        b'{"a": NaN}',
        b"[Infinity]",
        b'"\xff"',
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    """Truncation, NaN, broken UTF-8, nesting and numbers without end: no document, and no exception."""
    reading = Reading(WireReply(200, {}, body))
    assert not reading.malformed
    assert reading.document() is None
    assert reading.malformed


def test_the_beginning_of_a_body_is_not_taken_for_the_whole() -> None:
    """The first digits of a number are a number too, so a truncated body is never parsed."""
    reading = Reading(WireReply(200, {}, b"12", truncated=True))
    assert reading.document() is None
    assert reading.malformed


def test_66_a_number_of_very_many_digits() -> None:
    """It is not read, and the reason says so: the time to read it would grow with the square of its digits."""
    reading = Reading(WireReply(200, {}, b'{"rows": ' + b"7" * 5000 + b"}"))
    assert reading.document() is None
    assert reading.fault == "its JSON holds a number of 5000 digits"


def test_67_more_values_than_are_permitted() -> None:
    """They are not read, and the reason names the key that permits more."""
    reading = Reading(WireReply(200, {}, b"[1, 2, 3]"), most_values=3)
    assert reading.document() == [1, 2, 3]
    reading = Reading(WireReply(200, {}, b"[1, 2, 3, 4]"), most_values=3)
    assert reading.document() is None
    assert "most_values" in (reading.fault or "")


def test_null_is_json() -> None:
    """A document that is null is well-formed."""
    reading = Reading(WireReply(200, {}, b" null "))
    assert reading.document() is None
    assert not reading.malformed


def test_an_excerpt_is_one_short_line() -> None:
    """Blanks and controls are folded, what is not UTF-8 is replaced, and the cut shows."""
    assert (
        excerpt(Reading(WireReply(500, {}, b"<html>\r\n\x00\t<b>no\xff</b>")), Redactor()) == "<html> <b>no\ufffd</b>"
    )
    long = excerpt(Reading(WireReply(500, {}, b"x" * 9000)), Redactor())
    assert len(long) == EXCERPT_LENGTH
    assert long.endswith("x…")


@pytest.mark.parametrize(
    "text",
    [
        "key is s3cr/t+ö now",
        "key is s3cr%2Ft%2B%C3%B6 now",
        f"key is {json.dumps('s3cr/t+ö')} now",
        'key is s3cr/t+ö, "s3cr/t+ö"',
    ],
)
def test_secrets_are_taken_out_in_every_spelling(text: str) -> None:
    """As it is, as a URL writes it, as JSON writes it."""
    clean = Redactor(["s3cr/t+ö", ""]).clean_quote(text)
    assert "s3cr" not in clean
    assert "[redacted]" in clean


def test_of_two_secrets_the_longer_goes_first() -> None:
    """Otherwise the rest of the longer one would stay."""
    assert Redactor(["abcd", "abcdef"]).clean_quote("abcdef abcd") == "[redacted] [redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "see https://files.example.com/a.json?Expires=1&Signature=AbC%2B end",
        '{"url": "https://files.example.com/a.json?Signature=AbC"}',
        '{"url": "https:\\/\\/files.example.com\\/a.json?Signature=AbC"}',
    ],
)
def test_the_query_of_any_url_is_taken_out(text: str) -> None:
    """A signed URL is a credential for the file."""
    clean = Redactor([]).clean_quote(text)
    assert "AbC" not in clean
    assert "a.json?[redacted]" in clean


def test_a_secret_that_a_cut_divides_does_not_show_in_part() -> None:
    """Redaction comes before any cut."""
    body = b"x" * (EXCERPT_LENGTH - 6) + b"very-secret-value"
    assert "very" not in excerpt(Reading(WireReply(500, {}, body)), Redactor(["very-secret-value"]))


@settings(deadline=None)
@given(st.text())
def test_plain_text_fits_anywhere(text: str) -> None:
    """No controls, one line, and valid UTF-8: fit for a log line and for PostgreSQL."""
    clean = plain(text)
    clean.encode()
    assert "\x00" not in clean
    assert len(clean.splitlines()) <= 1
