"""URLs from providers: kept, made absolute, or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidewaiter.providers.values.addresses import last_segment, origin_of, resolve_url, url_fault

BASE = "https://api.example.com/v1/"


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.com/a%2fb/%7Euser?Signature=a%2Bb/c%3D&Expires=1&&x=%zz#f",
        "HTTPS://Files.Example.COM:443/x",
        'http://files.example.com/{a}|b^`"<>',
        "https://files.example.com/a/../b/./c//d?..",
        "https://user@files.example.com/x",
        "http://[2001:DB8::1]:8080/x",
    ],
)
def test_an_absolute_url_is_kept_byte_for_byte(url: str) -> None:
    """A signed URL does not survive a re-encoding, so nothing of it is touched."""
    assert resolve_url(BASE, url) == url
    assert resolve_url(BASE, f" \r\n{url}\n") == url


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("jobs/1", "https://api.example.com/v1/jobs/1"),
        ("/jobs/1?a=%2F", "https://api.example.com/jobs/1?a=%2F"),
        ("//other.example.com/x", "https://other.example.com/x"),
        ("?page=2", "https://api.example.com/v1/?page=2"),
        ("https://files.example.com/a b/ä", "https://files.example.com/a%20b/%C3%A4"),
        ("https://files.example.com/a\\b", "https://files.example.com/a%5Cb"),
        ("https://files.example.com/x?", "https://files.example.com/x?"),
        ("?", "https://api.example.com/v1/?"),
        ("jobs/1?", "https://api.example.com/v1/jobs/1?"),
        ("#part", "https://api.example.com/v1/#part"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("//BÜCHER.example:8443/x", "https://xn--bcher-kva.example:8443/x"),
        ("https://b%C3%BCcher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://straße.example/x", "https://xn--strae-oqa.example/x"),
        ("https://files.example.com/" + "a" * 20_000, "https://files.example.com/" + "a" * 20_000),
    ],
)
def test_relative_urls_follow_the_base_and_the_unsendable_is_encoded(reference: str, url: str) -> None:
    """RFC 3986 says what a reference means; blanks and non-ASCII could not be sent otherwise."""
    assert resolve_url(BASE, reference) == url


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "   ",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "ftp://files.example.com/x",
        "https://",
        "https:///x",
        "http://[::1/x",
        "http://files.example.com:notaport/x",
        "https://files.example.com/a\r\nHost: evil",
        "https://files.example.com/\x00",
        "https://files.example.com/\ud800",
        "https://files.example.com/" + "a" * 70_000,
    ],
)
def test_what_is_no_web_address_is_refused(reference: str) -> None:
    """Another scheme, no host, a broken port, controls, or no end: no link."""
    assert resolve_url(BASE, reference) is None


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.Example.com/x", "https://api.example.com:443"),
        ("http://api.example.com", "http://api.example.com:80"),
        ("https://api.example.com:8443/x?y", "https://api.example.com:8443"),
        ("https://user:pw@api.example.com/", "https://api.example.com:443"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("/x", ""),
        ("https://", ""),
        ("https://api.example.com:99999/", ""),
        ("mailto:a@example.com", ""),
    ],
)
def test_origins_compare_whatever_their_spelling(url: str, origin: str) -> None:
    """Scheme, host and port decide, with the default port written out."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("", "it is empty"),
        ("ftp://x.example/a", "its scheme is 'ftp', not http or https"),
        ("https:x", "it names no host"),
        ("https:///x", "it names no host"),
        ("https://x.example:99999/", "its port is no number from 1 to 65535"),
        ("https://x.example/\x07", "it holds a control character"),
        ("https://x.example/\ud800", "it holds a lone surrogate, which is no character"),
        ("https://x.example/" + "a" * 70_000, "it is longer than 65536 characters"),
    ],
)
def test_why_an_address_cannot_be_used(reference: str, why: str) -> None:
    """The true cause, in words that end a sentence."""
    assert url_fault(BASE, reference) == why


@pytest.mark.parametrize("host", ["☃.example", "b..ü.example", "ü" * 70 + ".example", "%ff.example"])
def test_a_host_that_is_no_name(host: str) -> None:
    """It is named, with what the RFC has against it."""
    assert f"its host {host!r} " in (url_fault(BASE, f"https://{host}/x") or "")


def test_an_internationalised_host_is_one_origin_however_it_is_written() -> None:
    """RFC 5891: the two forms of a label are equivalent."""
    assert origin_of("https://Bücher.example/x") == origin_of("https://xn--bcher-kva.example:443") != ""


def test_the_last_segment_is_what_a_file_may_be_called() -> None:
    """Query, fragment and a slash at the end do not count."""
    assert last_segment("https://files.example.com/r/3232465_result.json?Expires=1/2#x/y") == "3232465_result.json"
    assert last_segment("https://files.example.com/a%20b/") == "a b"


@settings(deadline=None)
@given(st.text())
def test_no_reference_breaks_it(reference: str) -> None:
    """Whatever stands in a reply, the answer is nothing or a URL that can be sent."""
    url = resolve_url(BASE, reference)
    assert url is None or (url.isascii() and url.isprintable() and " " not in url and origin_of(url))
