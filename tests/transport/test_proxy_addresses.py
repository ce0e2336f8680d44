"""Addresses of proxies, and of hosts that are reached without one; nothing is sent."""

import pytest

from tidewaiter.transport.proxies import Proxies, Proxy, proxy_exceptions


@pytest.mark.parametrize(
    ("without", "host", "direct"),
    [
        ("shop.test", "shop.test", True),
        ("shop.test", "api.shop.test", True),
        ("*.shop.test", "API.shop.test.", True),
        (".shop.test", "shop.test", True),
        ("shop.test", "webshop.test", False),
        ("10.0.0.0/8", "10.2.3.4", True),
        ("10.0.0.0/8", "0xA020304", True),
        ("10.0.0.0/8", "11.2.3.4", False),
        ("2001:db8::1", "2001:db8::1", True),
        ("10.0.0.0/8", "shop.test", False),
        ("*", "shop.test", True),
        ("*", "10.2.3.4", True),
        ("", "shop.test", False),
        ("", "127.0.0.1", True),
        ("", "::1", True),
        ("", "0.0.0.0", True),  # noqa: S104  # nothing listens there
        ("", "a.localhost", True),
    ],
)
def test_hosts_without_a_proxy(without: str, host: str, direct: bool) -> None:
    """no_proxy names hosts with their subdomains, addresses and networks; a name is never looked up for that."""
    proxy = Proxy("http://proxy.test:3128")
    assert Proxies(proxy, proxy, proxy_exceptions(without.split())).through("https", host) == (
        None if direct else proxy
    )


def test_exceptions_that_are_none() -> None:
    """What is no host is told, with the forms that there are."""
    for one in ("shop.test:443", "http://shop.test", "10.0.0.1/8", "", "a b"):
        with pytest.raises(ValueError, match="is no host; write a name such as"):
            proxy_exceptions([one])


def test_proxies_of_the_environment() -> None:
    """Names in lower case come first, a missing scheme is http, ports of NO_PROXY are left out."""
    environ = {
        "HTTP_PROXY": "http://upper.test:1",
        "http_proxy": "lower.test:2",
        "HTTPS_PROXY": "https://me:s3cret%40@secure.test",
        "NO_PROXY": "inner.test:8080, .corp.test,10.0.0.0/8",
    }
    proxies = Proxies.of_environment(environ, ["more.test"])
    assert proxies.http == Proxy("http://lower.test:2")
    assert proxies.https == Proxy("https://secure.test:443", "me", "s3cret@")
    assert proxies.exceptions == ("more.test", "inner.test", "corp.test", "10.0.0.0/8")
    assert proxies.secrets == ("s3cret@",)
    assert "s3cret" not in repr(proxies)
    assert Proxies.of_environment({}) == Proxies()
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        with pytest.raises(ValueError, match=f"{name} must be the http or https address of a proxy") as caught:
            Proxies.of_environment({name: "ftp://s3cret:s3cret@proxy.test"})
        assert "s3cret" not in str(caught.value)
    with pytest.raises(ValueError, match="HTTPS_PROXY names a SOCKS proxy"):
        Proxies.of_environment({"HTTPS_PROXY": "socks5://proxy.test"})
