"""Symplify's statistic export with the file host that it links to, as an entry of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from app.clock import Clock
from app.emulators.catalogue.entry import Account, Entry, Served, Wish
from app.emulators.files import FileHost
from app.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants, UrlForm


@dataclass(frozen=True, slots=True)
class Options:
    """The options at the start."""

    build_s: Annotated[float, Field(ge=0, description="How long an export takes.")] = 10.0
    rows: Annotated[int, Field(ge=0, description="How many rows one has.")] = 500
    link_ttl_s: Annotated[float, Field(description="How long a signed URL is good for.")] = 300.0
    customer_id: Annotated[str, Field(description="The customer that the API knows.")] = "5004"
    url: Annotated[UrlForm, Field(description="How the URL of a result is written.")] = UrlForm.PLAIN
    token: Annotated[str, Field(description="The token that it expects.")] = "emulated-token"  # noqa: S105  # of an emulator


def _build(clock: Clock, port: int, options: Options) -> Served:
    files = FileHost(clock=clock, secrets=[options.token])
    api = SymplifyEmulator(
        clock=clock,
        files=files,
        customer=SymplifyCustomer(options.token, options.customer_id),
        variants=SymplifyVariants(
            build_s=options.build_s, rows=options.rows, link_ttl_s=options.link_ttl_s, url=options.url
        ),
        port=port,
    )
    wish = Wish("statistics", {"export_type": "OPENS", "period": "LAST_DAY"}, "OPENS")
    return Served({"API": api, "file host": files}, lambda: account_of(api), [wish])


def account_of(api: SymplifyEmulator, **settings: str) -> Account:
    """The account that leads to a running emulator; ``settings`` go before its own."""
    told: Mapping[str, str] = {"server": api.origin, "customer_id": api.customer.id, "token": api.customer.token}
    return Account("symplify", {**told, **settings}, frozenset({"token"}), schedule=_SCHEDULE)


_SCHEDULE: Final = {"first_delay_s": 1, "interval_s": 2}

ENTRY: Final = Entry("symplify", "Symplify's statistic export and the file host that it links to", Options, _build)
