"""Code that reads foreign text takes linear time."""

import time
from collections.abc import Callable

import pytest

from tests.support.spec_samples import NOW, WHOLE, changed, job_with, operation_of
from tidewaiter.domain.file_names import file_name
from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.job import fraction_of
from tidewaiter.log import Redactor
from tidewaiter.providers.credentials.login_replies import as_moment
from tidewaiter.providers.errors import ParameterError
from tidewaiter.providers.replies.reply import Reading, excerpt
from tidewaiter.providers.replies.reply_headers import parse_http_date, parse_retry_after
from tidewaiter.providers.results.download_replies import is_html
from tidewaiter.providers.values.addresses import last_segment, origin_of, resolve_url
from tidewaiter.providers.values.texts import (
    as_count,
    as_handle,
    as_note,
    as_text,
    as_url,
    as_word,
    plain,
    quoted,
)

PIECES = [
    " ", "\t\n", "\u2028", "a", "0", "9.", "1/", "<", "<!", "https:", "https://a?", "a-", "-", "%41", "&amp;", "\\/",
    '"', "[", "{", "{\"a\":", ",", "\xef\xbb\xbf", "Mon, ", "..", "/", "\ud800", "token", "token.", "eyJ", "é", "\x00",
    "a=1&", "; rel=next, ",
]  # fmt: skip
OPERATION = operation_of()
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "plain": plain,
    "quoted": lambda text: quoted(text, Redactor(["a-secret-of-some-length"])),
    "excerpt": lambda text: excerpt(Reading(_reply(text)), Redactor()),
    "json": lambda text: Reading(_reply(text)).document(),
    "html": lambda text: is_html(text.encode("utf-8", "replace"), None, None),
    "as_text": as_text,
    "as_word": as_word,
    "as_note": as_note,
    "as_count": as_count,
    "as_handle": as_handle,
    "as_url": lambda text: as_url(text, "https://api.example.com/v1/"),
    "as_moment": lambda text: as_moment(text, NOW),
    "resolve_url": lambda text: resolve_url("https://api.example.com/", text),
    "origin_of": lambda text: origin_of(f"https://{text}"),
    "last_segment": last_segment,
    "http_date": lambda text: parse_http_date(text, NOW),
    "retry_after": lambda text: parse_retry_after(text, text, NOW),
    "file_name": lambda text: file_name(text, 0, 1, None, "file"),
    "fraction_of": lambda text: fraction_of(as_note(text)),
    "read_submit": lambda text: OPERATION.read_submit(job_with(), _reply(text), NOW),
    "read_poll": lambda text: OPERATION.read_poll(job_with(), _reply(text), NOW),
    "read_refusal": lambda text: OPERATION.read_poll(job_with(), _reply(text, 400), NOW),
}


def _reply(text: str, status: int = 200) -> WireReply:
    return WireReply(status, {}, text.encode("utf-8", "replace"))


@pytest.mark.fault(66)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_with_the_text(name: str) -> None:
    """Eight times the text takes no more than about eight times as long, whatever it is made of."""
    function = FUNCTIONS[name]

    def took(piece: str, length: int) -> float:
        text = (piece * (length // len(piece) + 1))[:length]
        best = 1e9
        for _ in range(2):
            begun = time.process_time()
            function(text)
            best = min(best, time.process_time() - begun)
        return best

    for piece in PIECES:
        assert took(piece, 524_288) < 24 * took(piece, 65_536) + 0.1, repr(piece)


@pytest.mark.parametrize(
    ("text", "handle"), [('"abc123"\n', "abc123"), ("OK", None), ("null", None), (" okay ", "okay"), ("true", None)]
)
def test_a_value_that_is_excluded_is_none(text: str, handle: str | None) -> None:
    """``excludes`` says of a value out of a reply what a look-ahead would say."""
    picked = "handle = { text = '^\\s*\"?([A-Za-z0-9_-]+)\"?\\s*$', excludes = '(?i)true|false|null|ok' }"
    operation = operation_of(changed('handle = "id"', picked))
    outcome = operation.read_submit(job_with(), WireReply(201, {}, text.encode()), NOW)
    assert getattr(outcome, "handle", None) == handle


def test_a_parameter_must_not_be_what_is_excluded() -> None:
    """``excludes`` expresses what ``pattern`` cannot."""
    spec = WHOLE + (
        "\n[operations.report.params]\npath = { help = 'x', pattern = '[a-z]+', excludes = 'admin|root' }\n"
    )
    operation = operation_of(spec)
    assert operation.check_params({"path": "adminx"}) == {"path": "adminx"}
    with pytest.raises(ParameterError, match=r"'admin' is not permitted: it matches admin\|root"):
        operation.check_params({"path": "admin"})
