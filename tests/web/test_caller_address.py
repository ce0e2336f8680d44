"""The address of a caller behind proxies: only what a trusted proxy has added counts."""

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from tidewaiter.web.rate_limits import address_of, rate_limit_key

TRUSTED = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
XFF, FORWARDED = "X-Forwarded-For", "Forwarded"


def _address(peer: str, *headers: tuple[str, str]) -> str:
    request = make_mocked_request("GET", "/", CIMultiDict(headers)).clone(remote=peer)
    return address_of(request, TRUSTED)


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("192.0.2.1", [(XFF, "198.51.100.7")], "192.0.2.1"),  # no trusted proxy: it may say what it likes
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "1.1.1.1, 198.51.100.7")], "198.51.100.7"),  # the left one came with the request
        ("10.0.0.1", [(XFF, "1.1.1.1"), (XFF, "198.51.100.7")], "198.51.100.7"),  # the field in two lines
        ("10.0.0.1", [(XFF, "198.51.100.7, 10.0.0.2")], "198.51.100.7"),  # through two proxies
        ("10.0.0.1", [(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ("10.0.0.1", [(XFF, "198.51.100.7, nonsense")], "10.0.0.1"),  # what cannot be read ends the chain
        ("10.0.0.1", [(XFF, "nonsense, 10.0.0.2")], "10.0.0.2"),
        ("10.0.0.1", [(XFF, "198.51.100.7:4711")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "[2001:db8::1]:4711")], "2001:db8::1"),
        ("10.0.0.1", [(XFF, "::ffff:198.51.100.7")], "198.51.100.7"),
        ("::ffff:10.0.0.1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, ""), (XFF, " , ")], "10.0.0.1"),
        ("10.0.0.1", [(FORWARDED, "for=198.51.100.7;proto=https")], "198.51.100.7"),
        ("10.0.0.1", [(FORWARDED, 'for=1.1.1.1, proto=http;For="[2001:db8::1]:4711"')], "2001:db8::1"),
        ("10.0.0.1", [(FORWARDED, "for=198.51.100.7, for=_hidden")], "10.0.0.1"),
        ("10.0.0.1", [(FORWARDED, "by=198.51.100.7")], "10.0.0.1"),
        # One of the two was passed on as the caller made it up.
        ("10.0.0.1", [(XFF, "1.1.1.1"), (FORWARDED, "for=198.51.100.7")], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7"), (FORWARDED, "for=198.51.100.7")], "198.51.100.7"),
    ],
)
def test_the_address_of_a_caller(peer: str, headers: list[tuple[str, str]], address: str) -> None:
    """The right-most address that is no trusted proxy, or the proxy itself where it does not say."""
    assert _address(peer, *headers) == address


def test_a_quote_of_the_caller_does_not_hide_the_proxy() -> None:
    """A caller cannot swallow what the proxy adds with an open quote. With aiohttp's `forwarded` it could.

    When the last line fails, aiohttp has changed: see whether `address_of` can use it.
    """
    joined = 'for=1.1.1.1;a=", for="[2001:db8::1]:4711"'  # the proxy has added the second member
    assert _address("10.0.0.1", (FORWARDED, joined)) == "2001:db8::1"
    request = make_mocked_request("GET", "/", CIMultiDict([(FORWARDED, joined)]))
    assert [one.get("for") for one in request.forwarded] == ["1.1.1.1"]


def test_one_subscriber_counts_once() -> None:
    """An IPv6 caller counts as its /64, for it has all of that; an IPv4 caller as itself."""
    assert rate_limit_key("2001:db8::1") == rate_limit_key("2001:db8::ffff:1") == "2001:db8::/64"
    assert rate_limit_key("2001:db8:0:1::1") != rate_limit_key("2001:db8::1")
    assert rate_limit_key("192.0.2.1") == "192.0.2.1"
    assert rate_limit_key("unknown") == "unknown"
