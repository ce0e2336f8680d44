"""The catalogue: every emulated API by its name, how to build it, and the account that a configuration needs for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field

from tidewaiter.clock import Clock
from tidewaiter.emulators.copernica import CopernicaEmulator, CopernicaVariants
from tidewaiter.emulators.copernica_login import CopernicaLogin, LoginVariants
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.oneall import OneAllEmulator, OneAllVariants
from tidewaiter.emulators.server import EmulatedServer
from tidewaiter.emulators.shareprogress import ShareProgressEmulator
from tidewaiter.emulators.socialgateway import SocialGatewayEmulator, SocialGatewayLogin, SocialGatewayVariants
from tidewaiter.emulators.symplify import SymplifyCustomer, SymplifyEmulator, SymplifyVariants, UrlForm

Value: TypeAlias = str | float | bool


@dataclass(frozen=True, slots=True)
class EmulatedAccount:
    """The tables of ``[accounts.NAME]`` that lead to an emulator; ``secrets`` names the settings that are secret."""

    provider: str
    settings: Mapping[str, Value]
    secrets: frozenset[str] = frozenset()
    limits: Mapping[str, Value] = field(default_factory=dict)
    schedule: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampleJob:
    """An example of a job for an emulator: its operation and parameters, and a name for tables."""

    operation: str
    params: Mapping[str, str]
    title: str


@dataclass(frozen=True, slots=True)
class ServedApi:
    """One emulated API that is not started yet.

    ``servers`` are started in this order, each with a name to display. Call ``account`` only when they run, because
    only then their ports are known.
    """

    servers: Mapping[str, EmulatedServer]
    account: Callable[[], EmulatedAccount]
    samples: Sequence[SampleJob]


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One emulator of the catalogue.

    ``options`` is a frozen dataclass: its fields are the options at the start. ``build`` takes the clock, the port
    of the API (0 for a free one) and such options.
    """

    name: str
    title: str
    options: type[Any]
    build: Callable[[Clock, int, Any], ServedApi]


@dataclass(frozen=True, slots=True)
class CopernicaOptions(CopernicaVariants):
    """The options at the start."""

    login: Annotated[LoginVariants, Field(description="What the login host does.")] = field(
        default_factory=LoginVariants
    )
    access_token: Annotated[str, Field(description="The access token that it expects.")] = "made-up-token"  # noqa: S105  # of an emulator


def _build_copernica(clock: Clock, port: int, options: CopernicaOptions) -> ServedApi:
    login = CopernicaLogin(clock=clock, access_token=options.access_token, variants=options.login)
    api = CopernicaEmulator(clock=clock, login=login, variants=options, port=port)
    samples = [
        SampleJob("subprofile_data", {"id": "17"}, "a subprofile"),
        SampleJob("profile_data", {"id": "4"}, "a profile"),
        SampleJob("email_data", {"id": "jane@example.org"}, "an e-mail address"),
    ]
    return ServedApi({"API": api, "login host": login}, lambda: copernica_account(api), samples)


def copernica_account(api: CopernicaEmulator, **settings: str) -> EmulatedAccount:
    """The account that leads to a running emulator; ``settings`` override its own."""
    own = {"base_url": api.base_url, "login_url": api.login.origin, "access_token": api.login.access_token}
    return EmulatedAccount(
        "copernica", {**own, **settings}, frozenset({"access_token"}), schedule={"first_delay_s": 1, "interval_s": 2}
    )


_COPERNICA: Final = CatalogueEntry(
    "copernica", "Copernica's data requests and its login host", CopernicaOptions, _build_copernica
)


@dataclass(frozen=True, slots=True)
class OneAllOptions(OneAllVariants):
    """The options at the start."""

    public_key: Annotated[str, Field(description="The public key that it expects.")] = "emulated-public-key"
    private_key: Annotated[str, Field(description="The private key that it expects.")] = "emulated-private-key"


def _build_oneall(clock: Clock, port: int, options: OneAllOptions) -> ServedApi:
    api = OneAllEmulator(
        clock=clock, public_key=options.public_key, private_key=options.private_key, variants=options, port=port
    )
    sample = SampleJob("snapshot", {"sharing_message_token": "221c7bdf-d2b7-4ee4-99f4-34d0d550ecf6"}, "one message")
    return ServedApi({"API": api}, lambda: oneall_account(api), [sample, SampleJob("snapshots", {}, "all snapshots")])


def oneall_account(api: OneAllEmulator) -> EmulatedAccount:
    """The account that leads to a running emulator."""
    settings = {
        "subdomain": "emulated",
        "base_url": api.origin,
        "public_key": api.public_key,
        "private_key": api.private_key,
    }
    return EmulatedAccount(
        "oneall", settings, frozenset({"private_key"}), schedule={"first_delay_s": 1, "interval_s": 2}
    )


_ONEALL: Final = CatalogueEntry("oneall", "OneAll's snapshots of sharing analytics", OneAllOptions, _build_oneall)


@dataclass(frozen=True, slots=True)
class ShareProgressOptions:
    """The options at the start."""

    pages: Annotated[int, Field(ge=0, description="How many pages the organisation begins with.")] = 60
    buttons: Annotated[int, Field(ge=0, description="How many buttons it begins with.")] = 5
    skew_s: Annotated[float, Field(description="How far ahead its clock is.")] = -60.0
    key: Annotated[str, Field(description="The key that it expects.")] = "emulated-key"


def _build_shareprogress(clock: Clock, port: int, options: ShareProgressOptions) -> ServedApi:
    api = ShareProgressEmulator(
        clock=clock, key=options.key, pages=options.pages, buttons=options.buttons, skew_s=options.skew_s, port=port
    )
    samples = [
        SampleJob("page_analytics", {"id": "10"}, "analytics of a page"),
        SampleJob("button_analytics", {"id": "10"}, "analytics of a button"),
        SampleJob("page_index", {}, "all pages"),
        SampleJob("account", {}, "the account"),
    ]
    return ServedApi({"API": api}, lambda: shareprogress_account(api), samples)


def shareprogress_account(api: ShareProgressEmulator) -> EmulatedAccount:
    """The account that leads to a running emulator."""
    return EmulatedAccount("shareprogress", {"server": api.origin, "key": api.key}, frozenset({"key"}))


_SHAREPROGRESS = CatalogueEntry(
    "shareprogress",
    "ShareProgress's pages, buttons, wrappers and their analytics",
    ShareProgressOptions,
    _build_shareprogress,
)


@dataclass(frozen=True, slots=True)
class SocialGatewayOptions:
    """The options at the start."""

    token_ttl_s: Annotated[float, Field(gt=0, description="How long a token is valid.")] = 3600.0
    utc_offset_minutes: Annotated[int, Field(gt=-1440, lt=1440, description="The domain's time zone.")] = -180
    campaigns: Annotated[int, Field(ge=0, description="How many campaigns the statistics have.")] = 3
    user_name: Annotated[str, Field(description="The user that it knows.")] = "api"
    api_key: Annotated[str, Field(description="The API key that it expects.")] = "emulated-api-key"
    password: Annotated[str, Field(description="The password that it expects.")] = "emulated-password"  # noqa: S105  # of an emulator


def _build_socialgateway(clock: Clock, port: int, options: SocialGatewayOptions) -> ServedApi:
    api = SocialGatewayEmulator(
        clock=clock,
        login=SocialGatewayLogin(options.user_name, options.api_key, options.password),
        variants=SocialGatewayVariants(token_ttl_s=options.token_ttl_s, utc_offset_minutes=options.utc_offset_minutes),
        campaigns=options.campaigns,
        resources={"segment/list": [{"id": 1, "name": "everybody"}], "echo": dict},
        port=port,
    )
    samples = [
        SampleJob("campaign_stats", {}, "statistics of all campaigns"),
        SampleJob("resource", {"path": "segment/list"}, "any other resource"),
    ]
    return ServedApi({"API": api}, lambda: socialgateway_account(api), samples)


def socialgateway_account(api: SocialGatewayEmulator) -> EmulatedAccount:
    """The account that leads to a running emulator."""
    settings = {
        "server": api.origin,
        "user_name": api.login.user_name,
        "api_key": api.login.api_key,
        "password": api.login.password,
    }
    return EmulatedAccount("socialgateway", settings, frozenset({"api_key", "password"}))


_SOCIALGATEWAY = CatalogueEntry(
    "socialgateway", "Social Gateway's campaign statistics, behind a login", SocialGatewayOptions, _build_socialgateway
)


@dataclass(frozen=True, slots=True)
class SymplifyOptions:
    """The options at the start."""

    build_s: Annotated[float, Field(ge=0, description="How long an export takes.")] = 10.0
    rows: Annotated[int, Field(ge=0, description="How many rows one has.")] = 500
    link_ttl_s: Annotated[float, Field(description="How long a signed URL is valid.")] = 300.0
    customer_id: Annotated[str, Field(description="The customer that the API knows.")] = "5004"
    url: Annotated[UrlForm, Field(description="How the URL of a result is written.")] = UrlForm.PLAIN
    token: Annotated[str, Field(description="The token that it expects.")] = "made-up-token"  # noqa: S105  # of an emulator


def _build_symplify(clock: Clock, port: int, options: SymplifyOptions) -> ServedApi:
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
    sample = SampleJob("statistics", {"export_type": "OPENS", "period": "LAST_DAY"}, "OPENS")
    return ServedApi({"API": api, "file host": files}, lambda: symplify_account(api), [sample])


def symplify_account(api: SymplifyEmulator, **settings: str) -> EmulatedAccount:
    """The account that leads to a running emulator; ``settings`` override its own."""
    own: Mapping[str, str] = {"server": api.origin, "customer_id": api.customer.id, "token": api.customer.token}
    return EmulatedAccount("symplify", {**own, **settings}, frozenset({"token"}), schedule=_SCHEDULE)


_SCHEDULE: Final = {"first_delay_s": 1, "interval_s": 2}

_SYMPLIFY: Final = CatalogueEntry(
    "symplify", "Symplify's statistic export and the file host that it links to", SymplifyOptions, _build_symplify
)


_ENTRIES: Final = (
    _COPERNICA,
    _ONEALL,
    _SHAREPROGRESS,
    _SOCIALGATEWAY,
    _SYMPLIFY,
)  # fmt: skip

CATALOGUE: Final[Mapping[str, CatalogueEntry]] = {entry.name: entry for entry in _ENTRIES}
