"""The tables of the configuration file: which keys there are, what they may hold, and their defaults.

Each key's description is the only place where the key is explained: the sample file, the reference and the schema for
editors are made from it. The tables of storage and notifications are in separate files.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator

from tidewaiter.config.network_table import NetworkTable
from tidewaiter.config.notification_tables import NotificationTable
from tidewaiter.config.origins import ConfigFault, ValueOrigin, ValueSource
from tidewaiter.config.storage_tables import StorageTable
from tidewaiter.config.value_types import (
    AccountName,
    AccountNames,
    AllowPrivate,
    BearerToken,
    DatabaseUrl,
    ListenAddress,
    Moment,
    Networks,
    NotificationName,
    Paths,
    Plain,
    PublicUrl,
    ResolvedPath,
    ScheduleName,
    SealingKeys,
    Text,
    TokenName,
    ZoneName,
)
from tidewaiter.domain.backoff_and_limits import USUAL_BOUNDS
from tidewaiter.domain.networks import PermittedNetworks, permitted_networks
from tidewaiter.providers.spec.account_overrides import LimitsOverride, ScheduleOverride
from tidewaiter.recurrence import check_cron, check_templates
from tidewaiter.toml_table import Boolean, Count, FromOne, FromZero, Positive, TomlTable
from tidewaiter.transport.proxies import ENVIRONMENT, Proxies, Proxy


class BoundsTable(TomlTable):
    """``[accounts.NAME.bounds]``: how much of a provider's replies is accepted; a job that meets more fails."""

    most_files: Annotated[Count, Field(le=100_000)] = Field(
        default=USUAL_BOUNDS.most_files, description="most files that one reply may list; up to 100,000"
    )
    most_pages: Count = Field(default=USUAL_BOUNDS.most_pages, description="most pages of one list")
    most_values: Count = Field(
        default=USUAL_BOUNDS.most_values,
        description="most values in the JSON of one reply, counted by its commas and opening brackets",
    )
    largest_file_bytes: Count = Field(
        default=USUAL_BOUNDS.largest_file_bytes, description="most bytes of one file, unpacked; by default 1 TiB"
    )
    largest_reply_bytes: Annotated[Count, Field(ge=65_536, le=1 << 26)] = Field(
        default=USUAL_BOUNDS.largest_reply_bytes,
        description="most bytes of one reply that are read as JSON or XML, such as a page of a list; files are not "
        "bounded by it. While it is read it needs about nine times as much memory, and 64 MiB, the most, hold the "
        "daemon up for a second or two; by default 8 MiB",
    )
    largest_upload_bytes: Annotated[Count, Field(le=1 << 31)] = Field(
        default=USUAL_BOUNDS.largest_upload_bytes,
        description="most bytes of the files that one request sends, which are held in memory; by default 64 MiB",
    )


class AccountTable(TomlTable):
    """``[accounts.NAME]``: one set of credentials on a provider, whose spec checks the ``settings``."""

    provider: Text = Field(description="the kind of remote API; `tidewaiter providers list` names them")
    allow_private: AllowPrivate = Field(
        default=False,
        description='private networks that requests may reach, such as ["10.0.0.0/8", "127.0.0.1/32"]; true: every '
        "private and loopback address, but no link-local one and no cloud's metadata service",
    )
    clean: Boolean | None = Field(
        default=None,
        description="whether the remote job is deleted once its files have landed; without it as the spec says",
        examples=[False],
    )
    shards: Annotated[Count, Field(le=64)] = Field(
        default=1, description="lanes of the account, so that several daemons can share its work, and its limits"
    )
    uploads: Paths = Field(
        default=(),
        description="folders whose files may be sent to the provider, if its spec sends a file that a job names; who "
        "may submit jobs can send any of them",
        examples=[["/srv/in"]],
    )
    settings: Mapping[str, Plain] = Field(
        default={}, repr=False, description="what the provider needs; `tidewaiter providers show NAME` lists them"
    )
    limits: LimitsOverride = Field(default=LimitsOverride(), description="replaces the limits of the provider's spec")
    bounds: BoundsTable = Field(default=BoundsTable(), description="how much of a provider's replies is accepted")
    schedule: ScheduleOverride = Field(
        default=ScheduleOverride(), description="replaces the polling times and time limits of the provider's spec"
    )

    @property
    def private_ok(self) -> PermittedNetworks:
        """Which addresses outside the public internet may be reached."""
        return permitted_networks(self.allow_private)


class RecurringTable(TomlTable):
    """``[schedules.NAME]``: a recurring job: exactly one for each tick, however many daemons run."""

    account: Text = Field(description="the name of a configured account", examples=["newsletter"])
    operation: Text = Field(
        description="what the job requests; `tidewaiter providers show PROVIDER` lists the operations",
        examples=["statistics"],
    )
    cron: Annotated[str, AfterValidator(check_cron)] = Field(
        description="minute, hour, day of the month, month, day of the week", examples=["15 4 * * *"]
    )
    timezone: ZoneName = Field(
        default="UTC", description="time zone of the cron expression", examples=["Europe/Amsterdam"]
    )
    catch_up: Literal["skip", "last", "all"] = Field(
        default="last",
        description="which ticks that passed while no daemon ran, or in a pause, are served: "
        "skip (none), last (the latest), or all",
    )
    params: Mapping[str, Annotated[Plain, AfterValidator(check_templates)]] = Field(
        default={},
        description="the operation's parameters; dates are ${today}, ${yesterday}, ${week}, ${month}, ${year}, "
        "with an offset and a format, as in ${today-7d:%Y%m%d}",
        examples=[{"day": "${yesterday}"}],
    )


class DatabaseTable(TomlTable):
    """``[database]``: where jobs are stored: an SQLite file on this machine, or PostgreSQL for several daemons."""

    url: DatabaseUrl = Field(
        default="sqlite:///tidewaiter.db",
        repr=False,
        description="sqlite:/// and a path, or postgresql://user@host/name; keep a password in url_file",
    )
    key: SealingKeys | None = Field(
        default=None,
        repr=False,
        description="encrypts stored links to files, which may be signed, secret parameters and refresh tokens; best "
        "in key_file: one or more keys, one per line, made by `tidewaiter db new-key`; the first encrypts, all "
        "decrypt; without it links and secret parameters are stored as plain text, and accounts whose provider "
        "replaces refresh tokens are refused",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """Each key."""
        return tuple((self.key or "").split())


class WorkerTable(TomlTable):
    """``[worker]``: how fast the daemon works."""

    lease_s: FromOne = Field(
        default=15.0, description="seconds until other daemons take over the accounts of a daemon that died"
    )
    drain_s: FromZero = Field(
        default=30.0, description="seconds that running steps get to end when the daemon is asked to stop"
    )
    polls: Count = Field(default=64, description="requests in flight at once, for each account")
    downloads: Count = Field(default=4, description="files downloaded at once, for each account")
    lookout_s: Positive = Field(default=1.0, description="seconds between two reads of new jobs from the database")
    heartbeat_s: FromOne = Field(default=60.0, description="seconds between two log lines about its status")


class RetentionTable(TomlTable):
    """``[retention]``: how long ended jobs, and parts of incomplete downloads, are kept."""

    finished_days: Positive = Field(
        default=90.0, description="days after which ended jobs are deleted; their files stay"
    )
    partial_hours: Positive = Field(
        default=24.0, description="hours after which left-over parts of downloads are deleted"
    )


class LogTable(TomlTable):
    """``[log]``: what is logged on standard output, and in which format."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json, console, or auto: console on a terminal, json elsewhere"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the lowest level that is logged: debug, info, warning or error"
    )


class CallbacksTable(TomlTable):
    """``[callbacks]``: where providers can call back; without it nothing listens, and jobs are only polled."""

    listen: ListenAddress | None = Field(
        default=None,
        description="address and port on which the daemon listens, without TLS: put a proxy in front of it",
        examples=["127.0.0.1:8091"],
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="the address that providers call, usually a proxy's, which passes on POST /callbacks/...",
        examples=["https://tide.example.com"],
    )

    @field_validator("public_url")
    @classmethod
    def _with_listen(cls, public_url: str | None, info: ValidationInfo) -> str | None:
        if "listen" not in info.data:
            return public_url  # listen has a fault, which is reported already
        if public_url is None and info.data["listen"] is not None:
            raise ValueError("is required where listen is given: it is the address that providers call")
        if public_url is not None and info.data["listen"] is None:
            raise ValueError("needs callbacks.listen as well: an address to listen on, such as 127.0.0.1:8091")
        return public_url


class HttpTable(TomlTable):
    """``[http]``: where the HTTP API and the status page are served; without ``listen`` there are none."""

    listen: ListenAddress | None = Field(
        default=None,
        description="address and port on which the daemon listens; if other machines can reach it, a token is required",
        examples=["127.0.0.1:8090"],
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="the address that people and programs use, if it differs from listen: usually a proxy's",
        examples=["https://tide.example.com"],
    )
    tls_certificate: ResolvedPath | None = Field(
        default=None,
        description="path of the certificate in PEM form, then its intermediate certificates; without it no TLS",
        examples=["/etc/tidewaiter/tls/tls.crt"],
    )
    tls_key: ResolvedPath | None = Field(
        default=None,
        description="path of the certificate's private key in PEM form, without a passphrase",
        examples=["/etc/tidewaiter/tls/tls.key"],
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="networks of proxies whose X-Forwarded-For or Forwarded header is used",
        examples=[["10.0.0.0/8"]],
    )
    metrics_accounts: Count = Field(
        default=1000,
        description="most accounts with series of their own at /metrics; those of all others are added up in "
        'account="other"',
    )

    def page_url(self, listen: str) -> str:
        """The address of the status page for browsers, if the daemon listens at ``listen``."""
        scheme = "http" if self.tls_certificate is None else "https"
        return f"{(self.public_url or f'{scheme}://{listen}').rstrip('/')}/"


class TokenTable(TomlTable):
    """``[tokens.NAME]``: who may use the HTTP API."""

    role: Literal["read", "submit", "admin"] = Field(
        default="read",
        description="what its bearer may do: read, submit (also submit jobs), or admin (everything)",
    )
    accounts: AccountNames | None = Field(
        default=None,
        description="the accounts that its bearer can see; without it all of them",
        examples=[["newsletter"]],
    )
    expires_at: Moment | None = Field(
        default=None,
        description="when it expires, and its sessions end; with an offset from UTC",
        examples=["2027-01-31T00:00:00Z"],
    )
    token: BearerToken = Field(repr=False, description="at least 24 characters, only from a file: token_file")
    next_token: BearerToken | None = Field(
        default=None,
        repr=False,
        description="its successor, only from a file: next_token_file; meanwhile both are valid",
    )


class ProvidersTable(TomlTable):
    """``[providers]``: your own specs, in addition to the built-in ones."""

    folders: Paths = Field(
        default=(),
        description="folders with your own specs; one text may name several, separated as in PATH",
        examples=[["specs"]],
    )


class Config(TomlTable):
    """A configuration whose every value is well-formed and whose every path is absolute."""

    database: DatabaseTable
    storage: StorageTable
    worker: WorkerTable
    retention: RetentionTable
    log: LogTable
    providers: ProvidersTable
    network: NetworkTable = NetworkTable()
    callbacks: CallbacksTable = CallbacksTable()
    http: HttpTable = HttpTable()
    tokens: Mapping[TokenName, TokenTable] = {}
    accounts: Mapping[AccountName, AccountTable]
    schedules: Mapping[ScheduleName, RecurringTable] = {}
    notifications: Mapping[NotificationName, NotificationTable] = {}

    _path: Path = PrivateAttr(default=Path())
    _origins: Mapping[tuple[str, ...], ValueOrigin] = PrivateAttr(default_factory=dict)
    _secrets: tuple[str, ...] = PrivateAttr(default=())
    _environ: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        return self._path

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets that no provider's spec has to declare: the content of secret files and the database's password."""
        return self._secrets

    def origin_of(self, *key: str) -> ValueOrigin:
        """Where the value under that key was written, as in ``origin_of("accounts", "shop", "settings", "token")``."""
        exact = self._origins.get(key)
        inside = (origin for written, origin in self._origins.items() if written[: len(key)] == key)
        return exact or next(inside, None) or ValueOrigin(ValueSource.DEFAULT, str(self._path))

    def fault_at(self, *key: str, reason: str) -> ConfigFault:
        """A fault of the value under that key, with the place where it was written, or the file that lacks it."""
        return ConfigFault(self.origin_of(*key).name, ".".join(key), reason)

    @property
    def proxies(self) -> Proxies:
        """The proxies that requests go through.

        Raises:
            ValueError: a variable of the environment that ``network.proxy`` asks for cannot be used.
        """
        network = self.network
        if network.proxy == ENVIRONMENT:
            return Proxies.of_environment(self._environ, network.no_proxy)
        if network.proxy is None:
            return Proxies()
        proxy = Proxy(network.proxy, network.proxy_user, network.proxy_password or "")
        return Proxies(proxy, proxy, network.no_proxy)

    def remember(
        self,
        path: Path,
        origins: Mapping[tuple[str, ...], ValueOrigin],
        secrets: tuple[str, ...],
        environ: Mapping[str, str],
    ) -> Self:
        """Note where the values came from, which are secret, and the environment; the loader does this once."""
        self._path, self._origins, self._secrets, self._environ = path, origins, secrets, environ
        return self
