"""Which origins belong to a provider, and which credentials may go there."""

import pytest

from tidewaiter.domain.own_origins import DeclaredOrigin, OwnOrigins

MAIN = "https://api.example.com:443"
FILES = DeclaredOrigin("https://files.example.com:443", False)
MANY = DeclaredOrigin("https://*.store.example.com:443", "store")
SPECIAL = DeclaredOrigin("https://eu.store.example.com:443")
OWN = OwnOrigins(MAIN, (FILES, MANY, SPECIAL))


@pytest.mark.parametrize(
    ("origin", "auth"),
    [
        (MAIN, True),
        ("https://files.example.com:443", False),
        ("https://a-1.store.example.com:443", "store"),
        ("https://eu.store.example.com:443", True),
    ],
)
def test_own_origins(origin: str, auth: bool | str) -> None:
    """A fixed origin counts before one with a star."""
    assert OWN.has(origin)
    assert OWN.auth_for(origin) == auth


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "http://api.example.com:443",
        "https://api.example.com:8443",
        "https://api.example.com.evil.example:443",
        "https://store.example.com:443",
        "https://.store.example.com:443",
        "https://a.b.store.example.com:443",
        "https://evil.example/.store.example.com:443",
        "https://-.store.example.com:443",
        "https://a-.store.example.com:443",
        "https://a%2e.store.example.com:443",
        "https://a@b.store.example.com:443",
        "http://a.store.example.com:443",
        "https://a.store.example.com:444",
        "https://a.store.example.com:443.evil.example:443",
        "https://astore.example.com:443",
        "https://*.store.example.com.evil.example:443",
    ],
)
def test_other_origins(origin: str) -> None:
    """A star is one label of a host name, and nothing else of the origin is free."""
    assert not OWN.has(origin)
    assert OWN.auth_for(origin) is False


def test_without_declared_origins() -> None:
    """Only the main one counts; nothing belongs to nobody."""
    assert OwnOrigins(MAIN).has(MAIN)
    assert not OwnOrigins(MAIN).has("")
