"""The newsletter provider of the catalogue, and settings of accounts on it."""

from tidewaiter.domain.http_values import Json
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.provider_registry import Registry

TOKEN: dict[str, Json] = {"server": "https://eu.example.com", "customer_id": 5004, "token": "t-0123456789"}


def symplify() -> Provider:
    """The provider, from the catalogue."""
    return Registry.load().get("symplify")


SETTINGS: dict[str, Json] = {"server": "https://eu-proxy-1.symplifymail.com", "customer_id": 5004, "token": "t-canary"}
