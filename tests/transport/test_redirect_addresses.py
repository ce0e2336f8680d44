"""The targets of redirects, without IO."""

import pytest
from multidict import CIMultiDict

from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.request_urls import (
    UrlOrigins,
    headers_for_other_origin,
    leads_on,
    location_of,
    next_address,
    redirected,
)
from tidewaiter.transport.wire import RedirectRefusedError

ASKED = "https://api.example.com:8443/rest/7/result?token=s3cret"


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("https://s3.example/k?Sig=a%2Bb+c%2f&X=~", "https://s3.example/k?Sig=a%2Bb+c%2f&X=~"),
        ("HTTPS://S3.Example/a/../b?x=%7e", "HTTPS://S3.Example/a/../b?x=%7e"),
        ("/files//a/../b?c=%2F", "https://api.example.com:8443/files//a/../b?c=%2F"),
        ("//s3.example/k", "https://s3.example/k"),
        ("url", "https://api.example.com:8443/rest/7/url"),
        ("?again=1", "https://api.example.com:8443/rest/7/result?again=1"),
        ("  /padded\t", "https://api.example.com:8443/padded"),
        ("/é ü", "https://api.example.com:8443/%C3%A9%20%C3%BC"),
        ("/latin-\udce9", "https://api.example.com:8443/latin-%E9"),
        ("/page#part", "https://api.example.com:8443/page"),
        ("#part", ASKED),
        ("", ASKED),
        ("?", "https://api.example.com:8443/rest/7/result?"),
        ("https://s3.example/k?", "https://s3.example/k?"),
        ("/a\\b", "https://api.example.com:8443/a%5Cb"),
        ("https://bücher.example/k", "https://xn--bcher-kva.example/k"),
        ("//b%C3%BCcher.example/k", "https://xn--bcher-kva.example/k"),
    ],
)
def test_where_it_leads(location: str, leads_to: str) -> None:
    """Absolute addresses stay byte for byte, for they may be signed; relative ones resolve; the rest is encoded."""
    assert next_address(ASKED, location) == leads_to


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "location",
    [
        "http://api.example.com:8443/rest",
        "http://s3.example/k",
        "ftp://s3.example/k",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:/s3.example/k",
        "https:k",
        "https://",
        "https:///k",
        "//",
        "https://s3.example:99999/k",
        "https://s3.example:0/k",
        "https://user:word@s3.example/k",
        "https://api.example.com:8443\\@s3.example/k",
        "https://☃.example/k",
    ],
)
def test_where_it_does_not_lead(location: str) -> None:
    """A downgrade, another scheme, a user name, or nonsense is refused, and the refusal shows no query."""
    with pytest.raises(RedirectRefusedError) as caught:
        next_address(ASKED, location)
    assert "s3cret" not in str(caught.value)


def test_from_http_to_https_is_fine() -> None:
    """Only the way down is refused."""
    assert next_address("http://api.example.com/a", "https://api.example.com/a") == "https://api.example.com/a"
    assert next_address("http://api.example.com/a", "http://other.example/a") == "http://other.example/a"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_only_get_and_head_are_led_on(status: int) -> None:
    """A submit is never sent again by a redirect."""
    headers = {"location": "/x"}
    assert leads_on("GET", status, headers)
    assert leads_on("HEAD", status, headers)
    assert not any(leads_on(method, status, headers) for method in ("POST", "PUT", "PATCH", "DELETE"))


@pytest.mark.parametrize("status", [200, 201, 300, 304, 305, 400])
def test_what_is_no_redirect(status: int) -> None:
    """Other replies with a Location, and a redirect without one, are replies for the rules to read."""
    assert not leads_on("GET", status, {"location": "/x"})
    assert not leads_on("GET", 302, {})
    assert not leads_on("GET", 302, {"location": ""})
    assert not leads_on("GET", 302, {"location": "  "})


def test_a_location_that_comes_twice() -> None:
    """The same twice is one; two different ones are refused, for nobody can tell which is meant."""
    assert location_of(ASKED, CIMultiDict([("Location", "/a"), ("location", " /a ")])) == "/a"
    with pytest.raises(RedirectRefusedError, match="redirects to 2 different addresses at a time"):
        location_of(ASKED, CIMultiDict([("Location", "/a"), ("Location", "/b")]))


def test_a_refusal_names_its_cause() -> None:
    """Not "no address" alone."""
    with pytest.raises(RedirectRefusedError, match="no address of HTTP: its scheme is 'ftp', not http or https"):
        next_address(ASKED, "ftp://s3.example/k")


@pytest.mark.parametrize(
    ("url", "within"),
    [
        ("https://api.example.com/a", True),
        ("https://api.example.com", True),
        ("https://api.example.com?a", True),
        ("https://API.EXAMPLE.com:443/a", True),
        ("HTTPS://api.example.com/a", True),
        ("http://api.example.com/a", False),
        ("https://api.example.com:8443/a", False),
        ("https://api.example.com.evil.example/", False),
        ("https://api.example.com@evil.example/", False),
        ("https://api.example.com\\@evil.example/", False),
        ("https://evil.example/https://api.example.com/", False),
        ("https://api.example.com:99999/", False),
        ("/a", False),
        ("", False),
    ],
)
def test_what_lies_within_an_origin(url: str, within: bool) -> None:
    """Scheme, host and port decide (RFC 6454), not how an address begins."""
    for written in ("https://api.example.com", "https://API.example.com:443/"):
        assert UrlOrigins(written).covers(url) is within


def test_what_is_no_origin() -> None:
    """A wrong configuration is noticed when it is read."""
    with pytest.raises(ValueError, match="origin"):
        UrlOrigins("api.example.com")


def test_which_headers_may_cross() -> None:
    """The list names what may go; whatever a spec invents stays home."""
    kept = {"accept": "*/*", "Accept-Encoding": "identity", "RANGE": "bytes=1-", "If-Range": '"a"', "User-Agent": "t"}
    secret = {"Authorization": "Bearer s3cret", "Cookie": "s3cret", "X-Carma-Authentication-Token": "s3cret"}
    assert headers_for_other_origin({**kept, **secret, "Referer": "https://api.example.com/?token=s3cret"}) == kept


@pytest.mark.parametrize("status", [307, 308])
def test_36_no_body_goes_to_another_origin(status: int) -> None:
    """A repeatable POST follows a redirect within the provider's origin only."""
    post = WireRequest("POST", "https://api.example.com/x", {}, b"rows=all")
    assert redirected(post, "https://api.example.com/y", status, own=True).body == b"rows=all"
    with pytest.raises(RedirectRefusedError, match="which does not get it"):
        redirected(post, "https://files.example.org/y", status, own=False)
