"""ShareProgress as an entry of the catalogue."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from app.clock import Clock
from app.emulators.catalogue.entry import Account, Entry, Served, Wish
from app.emulators.shareprogress import ShareProgressEmulator


@dataclass(frozen=True, slots=True)
class Options:
    """The options at the start."""

    pages: Annotated[int, Field(ge=0, description="How many pages the organisation begins with.")] = 60
    buttons: Annotated[int, Field(ge=0, description="How many buttons it begins with.")] = 5
    skew_s: Annotated[float, Field(description="How far ahead its clock is.")] = -60.0
    key: Annotated[str, Field(description="The key that it expects.")] = "emulated-key"


def _build(clock: Clock, port: int, options: Options) -> Served:
    api = ShareProgressEmulator(
        clock=clock, key=options.key, pages=options.pages, buttons=options.buttons, skew_s=options.skew_s, port=port
    )
    wishes = [
        Wish("page_analytics", {"id": "10"}, "analytics of a page"),
        Wish("button_analytics", {"id": "10"}, "analytics of a button"),
        Wish("page_index", {}, "all pages"),
        Wish("account", {}, "the account"),
    ]
    return Served({"API": api}, lambda: account_of(api), wishes)


def account_of(api: ShareProgressEmulator) -> Account:
    """The account that leads to a running emulator."""
    return Account("shareprogress", {"server": api.origin, "key": api.key}, frozenset({"key"}))


ENTRY = Entry("shareprogress", "ShareProgress's pages, buttons, wrappers and their analytics", Options, _build)
