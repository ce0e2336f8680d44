"""Headers that show the rest of a rate limit, and the messages about their table."""

import pytest

from tests.support.spec_samples import NOW, WHOLE, faults_of, provider_of
from tidewaiter.domain.backoff_and_limits import Limits
from tidewaiter.providers.replies.limit_spent import LimitReader, LimitSpent
from tidewaiter.providers.replies.reply_limits import limit_headers
from tidewaiter.providers.spec.limits_spec import LimitHeadersSpec

SPEC = (
    WHOLE
    + """
[limits]
requests = 30
[limits.headers]
limit = "X-RateLimit-Limit"
remaining = "X-RateLimit-Remaining"
reset = "X-RateLimit-Reset"
"""
)
DATE = "Tue, 14 Nov 2023 22:12:20 GMT"
"""A minute before ``NOW``."""
ALL = "the provider says that nothing is left of the 30 requests that it permits"
SOME = "the provider says that nothing is left of the requests that it permits"


def _headers(**values: str) -> dict[str, str]:
    return {f"x-ratelimit-{name}": value for name, value in values.items()}


def _compiled(text: str = SPEC) -> LimitReader:
    found = provider_of(text).bind("shop", {}).limit_headers
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (200, _headers(limit="30", remaining="1", reset=f"{NOW + 9:.0f}"), None),
        (200, _headers(limit="30", remaining="0", reset=f"{NOW + 9:.0f}"), LimitSpent(9.0, ALL, False)),
        (200, _headers(remaining="0", reset=f"{NOW + 9:.0f}"), LimitSpent(9.0, SOME, False)),
        (200, {**_headers(remaining="0", reset=f"{NOW - 51:.0f}"), "date": DATE}, LimitSpent(9.0, SOME, False)),
        (200, _headers(remaining="-1", reset=f"{NOW + 9:.0f}"), LimitSpent(9.0, SOME, False)),
        (200, _headers(remaining="0;w=60", reset=f"{NOW + 9:.0f}.5"), LimitSpent(9.0, SOME, False)),
        (200, _headers(remaining="0", reset=f"{NOW + 900:.0f}"), LimitSpent(60.0, SOME, False)),
        (200, _headers(remaining="0", reset=f"{NOW - 900:.0f}"), LimitSpent(0.0, SOME, False)),
        (200, _headers(remaining="0"), None),
        (200, _headers(remaining="0", reset="soon"), None),
        (200, _headers(remaining="none", reset=f"{NOW + 9:.0f}"), None),
        (200, {}, None),
        (429, _headers(reset=f"{NOW + 9:.0f}"), LimitSpent(9.0, SOME, True)),
        (429, {**_headers(reset=f"{NOW + 9:.0f}"), "retry-after": "5"}, None),
        (429, {**_headers(reset=f"{NOW + 9:.0f}"), "retry-after": "soon"}, LimitSpent(9.0, SOME, True)),
        (429, {}, None),
    ],
)
def test_what_a_reply_says(status: int, headers: dict[str, str], text: LimitSpent | None) -> None:
    """Nothing left and until when: by the server's own clock, and no longer than the period of its limit."""
    assert _compiled().read(status, headers, NOW) == text


def test_a_reset_in_seconds() -> None:
    """Some count down instead."""
    limit = _compiled(SPEC + 'reset_is = "seconds"\n').read(200, _headers(remaining="0", reset="9"), NOW)
    assert limit == LimitSpent(9.0, SOME, False)


def test_without_a_limit_of_our_own_an_hour_is_believed() -> None:
    """The headers work where the spec knows no numbers."""
    headers = limit_headers(LimitHeadersSpec(remaining="A", reset="B"), Limits())
    assert headers is not None
    assert headers.read(200, {"a": "0", "b": f"{NOW + 99_999:.0f}"}, NOW) == LimitSpent(3600.0, SOME, False)
    assert limit_headers(None, Limits()) is None


FORMS = [
    ('remaining = "X Y"\nreset = "R"\nreset_is = "ms"\n', [
        "demo.toml: limits.headers.remaining: does not match the pattern ^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        "demo.toml: limits.headers.reset_is: must be 'epoch' or 'seconds'",
    ]),
    ('remaining = "A"\n', [
        "demo.toml: limits.headers: needs reset, the header with the time, or rate_limit, the field of the IETF draft",
    ]),
    ('rate_limit = "RateLimit"\nremaining = "A"\nreset = "B"\n', [
        "demo.toml: limits.headers: rate_limit says all that remaining, reset would: remove one of both forms",
    ]),
    ('reset = "B"\npolicy = "RateLimit-Policy"\n', [
        'demo.toml: limits.headers: policy describes what rate_limit counts: add rate_limit = "RateLimit"',
    ]),
    ('rate_limit = "RateLimit"\npolicy = "RateLimit-Policy"\n', []),
]  # fmt: skip


@pytest.mark.parametrize(("table", "faults"), FORMS)
def test_messages(table: str, faults: list[str]) -> None:
    """Mistakes in the table are told with their keys, and a table has one of the two forms."""
    assert faults_of(f"{WHOLE}[limits.headers]\n{table}") == faults
