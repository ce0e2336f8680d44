"""The fields of the IETF's draft for rate limits: what they make an account wait, and what they cannot."""

from collections.abc import Mapping

import pytest

from tests.support.spec_samples import NOW, WHOLE, provider_of
from tidewaiter.domain.http_values import HeaderFields
from tidewaiter.providers.replies.limit_spent import LimitReader, LimitSpent

SPEC = """
[limits.headers]
rate_limit = "RateLimit"
policy = "RateLimit-Policy"
"""
SOME = "the provider says that nothing is left of the requests that it permits"
HUNDRED = "the provider says that nothing is left of the 100 requests that it permits"


def _reader(text: str = SPEC) -> LimitReader:
    found = provider_of(WHOLE + text).bind("shop", {}).limit_headers
    assert found is not None
    return found


def _read(limit: str | list[str], policy: str | None = None, status: int = 200, **more: str) -> LimitSpent | None:
    every = {"ratelimit": [limit] if isinstance(limit, str) else limit, **{name: [one] for name, one in more.items()}}
    if policy is not None:
        every["ratelimit-policy"] = [policy]
    headers: Mapping[str, str] = HeaderFields({name.replace("_", "-"): values for name, values in every.items()})
    return _reader().read(status, headers, NOW)


@pytest.mark.parametrize(
    ("limit", "policy", "spent"),
    [
        ('"default";r=50;t=30', '"default";q=100;w=60', None),
        ('"default";r=0;t=30', None, LimitSpent(30.0, SOME, False)),
        ('"default";r=0;t=30', '"default";q=100;w=60', LimitSpent(30.0, HUNDRED, False)),
        ("default;r=0;t=30", "default;q=100;w=60", LimitSpent(30.0, HUNDRED, False)),
        # Several limits: the one that lasts longest.
        ('"min";r=0;t=9,"hour";r=0;t=300', '"min";q=10;w=60,"hour";q=100;w=3600', LimitSpent(300.0, HUNDRED, False)),
        ('"min";r=0;t=9,"hour";r=7;t=300', '"min";q=100;w=60,"hour";q=9;w=3600', LimitSpent(9.0, HUNDRED, False)),
        (['"min";r=0;t=9', '"hour";r=0;t=300'], None, LimitSpent(300.0, SOME, False)),
        # The same limit twice, for two partitions.
        ('"a";r=5;t=1;pk=:YQ==:,"a";r=0;t=8;pk=:Yg==:', None, LimitSpent(8.0, SOME, False)),
        # Lies and nonsense: never longer than the window, or an hour; and a field with a mistake says nothing.
        ('"a";r=0;t=1000000000', None, LimitSpent(3600.0, SOME, False)),
        ('"a";r=0;t=1000000000', '"a";q=100;w=60', LimitSpent(60.0, HUNDRED, False)),
        ('"a";r=0;t=1000000000', '"a";q=100;w=999999999', LimitSpent(3600.0, HUNDRED, False)),
        ('"a";r=0;t=30', '"a";q=100;w=0', LimitSpent(30.0, HUNDRED, False)),
        ('"a";r=0;t=30', '"a";q=-100;w=-60', LimitSpent(30.0, SOME, False)),
        ('"a";r=0;t=30', "nonsense(", LimitSpent(30.0, SOME, False)),
        ('"a";r=0;t=30', '"b";q=100;w=9', LimitSpent(30.0, SOME, False)),
        ('"a";r=0;t=1e9', None, None),
        ('"a";r=0;t=-5', None, None),
        ('"a";r=0;t="30"', None, None),
        ('"a";r=0;t', None, None),
        ('"a";r=?0;t=30', None, None),
        ('"a";r=0.0;t=30', None, None),
        ('"a";r=-1;t=30', None, None),
        ('"a";r=0', '"a";q=100;w=60', None),
        ('"a";t=30', None, None),
        ('"a";r=0;t=30,', None, None),
        ("limit=100, remaining=0, reset=30", None, None),
        ("0", None, None),
        ("", None, None),
        # Other units: bytes make wait, requests at one time do not.
        ('"a";r=0;t=30', '"a";q=100;qu="content-bytes";w=60',
            LimitSpent(30.0, "the provider says that nothing is left of the limit that it reports", False)),
        ('"a";r=0;t=30', '"a";q=100;qu="concurrent-requests"', None),
    ],
)  # fmt: skip
def test_what_a_reply_says(limit: str | list[str], policy: str | None, spent: LimitSpent | None) -> None:
    """The account waits where nothing is left, and no longer than that can be true."""
    assert _read(limit, policy) == spent


def test_a_refusal() -> None:
    """For a 429 the fields say until when, unless it has a Retry-After, which the draft puts first."""
    assert _read('"a";r=0;t=30', status=429) == LimitSpent(30.0, SOME, True)
    assert _read('"a";r=0;t=30', status=429, retry_after="5") is None
    assert _read('"a";r=3;t=30', status=429) is None


def test_fields_that_the_spec_does_not_name_are_not_read() -> None:
    """Opt-in: without the table nothing is read, and without policy no window counts."""
    assert provider_of(WHOLE).bind("shop", {}).limit_headers is None
    reader = _reader('[limits]\nrequests = 10\nperiod_s = 20\n[limits.headers]\nrate_limit = "X-Limits"\n')
    headers = {"x-limits": '"a";r=0;t=30', "ratelimit": '"a";r=0;t=50', "ratelimit-policy": '"a";q=1;w=1'}
    assert reader.read(200, headers, NOW) == LimitSpent(20.0, SOME, False)
    assert reader.read(200, {"ratelimit": '"a";r=0;t=50'}, NOW) is None
