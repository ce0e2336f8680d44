"""Copernica's data requests with the login host, as an entry of the catalogue."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

from app.clock import Clock
from app.emulators.catalogue.entry import Account, Entry, Served, Wish
from app.emulators.copernica import CopernicaEmulator, CopernicaVariants
from app.emulators.copernica_login import CopernicaLogin, LoginVariants


@dataclass(frozen=True, slots=True)
class Options(CopernicaVariants):
    """The options at the start."""

    login: Annotated[LoginVariants, Field(description="What the login host does.")] = field(
        default_factory=LoginVariants
    )
    access_token: Annotated[str, Field(description="The access token that it expects.")] = "emulated-token"  # noqa: S105  # of an emulator


def _build(clock: Clock, port: int, options: Options) -> Served:
    login = CopernicaLogin(clock=clock, access_token=options.access_token, variants=options.login)
    api = CopernicaEmulator(clock=clock, login=login, variants=options, port=port)
    wishes = [
        Wish("subprofile_data", {"id": "17"}, "a subprofile"),
        Wish("profile_data", {"id": "4"}, "a profile"),
        Wish("email_data", {"id": "jane@example.org"}, "an e-mail address"),
    ]
    return Served({"API": api, "login host": login}, lambda: account_of(api), wishes)


def account_of(api: CopernicaEmulator, **settings: str) -> Account:
    """The account that leads to a running emulator; ``settings`` go before its own."""
    told = {"base_url": api.base_url, "login_url": api.login.origin, "access_token": api.login.access_token}
    return Account(
        "copernica", {**told, **settings}, frozenset({"access_token"}), schedule={"first_delay_s": 1, "interval_s": 2}
    )


ENTRY: Final = Entry("copernica", "Copernica's data requests and its login host", Options, _build)
