"""OneAll's sharing analytics as an entry of the catalogue."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from app.clock import Clock
from app.emulators.catalogue.entry import Account, Entry, Served, Wish
from app.emulators.oneall import OneAllEmulator, OneAllVariants


@dataclass(frozen=True, slots=True)
class Options(OneAllVariants):
    """The options at the start."""

    public_key: Annotated[str, Field(description="The public key that it expects.")] = "emulated-public-key"
    private_key: Annotated[str, Field(description="The private key that it expects.")] = "emulated-private-key"


def _build(clock: Clock, port: int, options: Options) -> Served:
    api = OneAllEmulator(
        clock=clock, public_key=options.public_key, private_key=options.private_key, variants=options, port=port
    )
    wish = Wish("snapshot", {"sharing_message_token": "221c7bdf-d2b7-4ee4-99f4-34d0d550ecf6"}, "one message")
    return Served({"API": api}, lambda: account_of(api), [wish, Wish("snapshots", {}, "all snapshots")])


def account_of(api: OneAllEmulator) -> Account:
    """The account that leads to a running emulator."""
    settings = {
        "subdomain": "emulated",
        "base_url": api.origin,
        "public_key": api.public_key,
        "private_key": api.private_key,
    }
    return Account("oneall", settings, frozenset({"private_key"}), schedule={"first_delay_s": 1, "interval_s": 2})


ENTRY: Final = Entry("oneall", "OneAll's snapshots of sharing analytics", Options, _build)
