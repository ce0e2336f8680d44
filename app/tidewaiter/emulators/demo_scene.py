"""The demo: every emulated API, each with a difficulty, and the jobs that run on them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tidewaiter.clock import Clock
from tidewaiter.emulators import catalogue
from tidewaiter.emulators.catalogue import EmulatedAccount, SampleJob
from tidewaiter.emulators.controls import FaultKind, FaultRule, InjectedFault
from tidewaiter.emulators.copernica import CopernicaEmulator, CopernicaVariants
from tidewaiter.emulators.copernica_login import CopernicaLogin, LoginVariants
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.oneall import OneAllEmulator, OneAllVariants
from tidewaiter.emulators.server import EmulatedServer
from tidewaiter.emulators.shareprogress import ShareProgressEmulator
from tidewaiter.emulators.socialgateway import SocialGatewayEmulator, SocialGatewayLogin
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants

_SECRET: Final = "demo-{}"  # noqa: S105  # of emulators on this machine
_SCHEDULE: Final = {"first_delay_s": 0.5, "interval_s": 1, "factor": 1.0, "cap_s": 1}
_MESSAGE: Final = "221c7bdf-d2b7-4ee4-99f4-34d0d550ecf6"
_PAGES: Final = 6
_REQUESTS: Final = 3
_PERIOD_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class DemoJob:
    """One job of the demo: its account, and what is special about it."""

    account: str
    sample: SampleJob
    what: str


@dataclass(frozen=True, slots=True)
class DemoScene:
    """Servers in the order of their start, and the accounts by name, which are known once the servers run.

    ``summary`` returns sentences about the requests that the servers received.
    """

    servers: Sequence[EmulatedServer]
    accounts: Callable[[], Mapping[str, EmulatedAccount]]
    parts: Sequence[DemoJob]
    summary: Callable[[], Sequence[str]]


class _Servers:
    """The servers of the scene."""

    def __init__(self, clock: Clock) -> None:
        token = _SECRET.format("token")
        self.files = FileHost(clock=clock, secrets=[token])
        self.exports = SymplifyEmulator(
            clock=clock,
            files=self.files,
            customer=SymplifyCustomer(token),
            variants=SymplifyVariants(build_s=4.0, rows=12_000),
            faults=[FaultRule("url", 1, InjectedFault(FaultKind.LINK_EXPIRED))],
        )
        self.snapshots = OneAllEmulator(
            clock=clock,
            public_key="demo-public",
            private_key=_SECRET.format("private"),
            variants=OneAllVariants(build_s=6.0, duplicate_token=False),
        )
        self.login = CopernicaLogin(
            clock=clock, access_token=_SECRET.format("access"), variants=LoginVariants(lifetime_s=3.0)
        )
        self.requests = CopernicaEmulator(
            clock=clock, login=self.login, variants=CopernicaVariants(build_s=7.0, mime_bytes=5_000_000)
        )
        self.pages = ShareProgressEmulator(clock=clock, key=_SECRET.format("key"), pages=_PAGES)
        self.campaigns = SocialGatewayEmulator(
            clock=clock,
            login=SocialGatewayLogin("demo", _SECRET.format("api-key"), _SECRET.format("password")),
            campaigns=40,
        )

    def accounts(self) -> Mapping[str, EmulatedAccount]:
        """The accounts that lead to the servers, by name."""
        found = {
            "symplify": catalogue.symplify_account(self.exports, result="url"),
            "oneall": catalogue.oneall_account(self.snapshots),
            "copernica": catalogue.copernica_account(self.requests),
            "socialgateway": catalogue.socialgateway_account(self.campaigns),
            "shareprogress": catalogue.shareprogress_account(self.pages),
        }
        limits = {"requests": _REQUESTS, "period_s": _PERIOD_S}
        with_short_waits = {name: replace(account, schedule=_SCHEDULE) for name, account in found.items()}
        return {**with_short_waits, "shareprogress": replace(with_short_waits["shareprogress"], limits=limits)}

    def summary(self) -> Iterator[str]:
        """Sentences about the requests that the servers received."""
        yield f"{self.exports.count('url')} signed URLs were requested: the first one had already expired"
        made = len(self.snapshots.snapshots)
        yield f"{made} snapshot was made for two jobs: the second received 207, found it in the list and shared it"
        yield "a callback ended the wait; without it the first poll would have come after a quarter of an hour"
        yield f"{self.login.count('login')} logins renewed a token that is valid for three seconds"
        busiest = self.pages.busiest_window(_PERIOD_S)
        requests = len(self.pages.requests)
        limit = f"{_REQUESTS} requests in {_PERIOD_S:g} s"
        yield f"{requests} pages were read within a limit of {limit}: never more than {busiest}"


def demonstration(clock: Clock) -> DemoScene:
    """The servers and jobs of ``tidewaiter demo``."""
    servers = _Servers(clock)
    snapshot = {"sharing_message_token": _MESSAGE}
    statistics = {"export_type": "OPENS", "period": "LAST_DAY"}
    parts = [
        DemoJob("symplify", SampleJob("statistics", statistics, "batch export"), "a signed URL"),
        DemoJob("oneall", SampleJob("snapshot", snapshot, "snapshot"), "with a callback"),
        DemoJob("oneall", SampleJob("snapshot", snapshot, "the same again"), "shares the first"),
        DemoJob("copernica", SampleJob("subprofile_data", {"id": "17"}, "data request"), "short-lived tokens"),
        DemoJob("socialgateway", SampleJob("campaign_stats", {}, "campaign stats"), "behind a login"),
    ]
    for number in range(_PAGES):
        page = SampleJob("page_read", {"id": str(10 + number)}, f"page {10 + number}")
        parts.append(DemoJob("shareprogress", page, "within the limit"))
    started = (
        servers.files,
        servers.exports,
        servers.snapshots,
        servers.login,
        servers.requests,
        servers.pages,
        servers.campaigns,
    )
    return DemoScene(started, servers.accounts, parts, lambda: list(servers.summary()))
