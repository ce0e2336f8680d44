"""Social Gateway as an entry of the catalogue."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from app.clock import Clock
from app.emulators.catalogue.entry import Account, Entry, Served, Wish
from app.emulators.socialgateway import SocialGatewayEmulator, SocialGatewayLogin, SocialGatewayVariants


@dataclass(frozen=True, slots=True)
class Options:
    """The options at the start."""

    token_ttl_s: Annotated[float, Field(gt=0, description="How long a token is good for.")] = 3600.0
    utc_offset_minutes: Annotated[int, Field(gt=-1440, lt=1440, description="The domain's time zone.")] = -180
    campaigns: Annotated[int, Field(ge=0, description="How many campaigns the statistics tell of.")] = 3
    user_name: Annotated[str, Field(description="The user that it knows.")] = "api"
    api_key: Annotated[str, Field(description="The API key that it expects.")] = "emulated-api-key"
    password: Annotated[str, Field(description="The password that it expects.")] = "emulated-password"  # noqa: S105  # of an emulator


def _build(clock: Clock, port: int, options: Options) -> Served:
    api = SocialGatewayEmulator(
        clock=clock,
        login=SocialGatewayLogin(options.user_name, options.api_key, options.password),
        variants=SocialGatewayVariants(token_ttl_s=options.token_ttl_s, utc_offset_minutes=options.utc_offset_minutes),
        campaigns=options.campaigns,
        resources={"segment/list": [{"id": 1, "name": "everybody"}], "echo": dict},
        port=port,
    )
    wishes = [
        Wish("campaign_stats", {}, "statistics of all campaigns"),
        Wish("resource", {"path": "segment/list"}, "any other resource"),
    ]
    return Served({"API": api}, lambda: account_of(api), wishes)


def account_of(api: SocialGatewayEmulator) -> Account:
    """The account that leads to a running emulator."""
    settings = {
        "server": api.origin,
        "user_name": api.login.user_name,
        "api_key": api.login.api_key,
        "password": api.login.password,
    }
    return Account("socialgateway", settings, frozenset({"api_key", "password"}))


ENTRY = Entry("socialgateway", "Social Gateway's campaign statistics, behind a login", Options, _build)
