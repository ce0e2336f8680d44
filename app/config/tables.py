"""The tables of the configuration file: which keys there are, what they may hold, and what they are when left out.

Each key's description is the one place where it is explained: the sample file, the reference and the schema for
editors come from it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from app.config.accounts import AccountTable, RecurringTable
from app.config.faults import Fault
from app.config.notifications import NotificationTable
from app.config.origin import Origin, Source
from app.config.storage import StorageTable
from app.config.values import (
    AccountName,
    AccountNames,
    BearerToken,
    DatabaseUrl,
    ListenAddress,
    Moment,
    Networks,
    NotificationName,
    Paths,
    PublicUrl,
    ResolvedPath,
    ScheduleName,
    SealingKeys,
    TokenName,
)
from app.toml_file import Count, FromOne, FromZero, Positive, TomlTable


class DatabaseTable(TomlTable):
    """``[database]``: where jobs are kept: a file of this machine, or a PostgreSQL for several daemons."""

    url: DatabaseUrl = Field(
        default="sqlite:///tidewaiter.db",
        repr=False,
        description="sqlite:/// and a path, or postgresql://user@host/name; a password is best kept in url_file",
    )
    key: SealingKeys | None = Field(
        default=None,
        repr=False,
        description="encrypts the stored links to files, which may be signed; best in key_file: one key or several, "
        "one a line, as `tidewaiter db new-key` makes them; the first encrypts, all decrypt; left out: stored plain",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """Each key."""
        return tuple((self.key or "").split())


class WorkerTable(TomlTable):
    """``[worker]``: the daemon's pace."""

    lease_s: FromOne = Field(
        default=15.0, description="how many seconds a daemon that has died keeps its accounts from others"
    )
    drain_s: FromZero = Field(
        default=30.0, description="how many seconds steps under way are given when the daemon is asked to stop"
    )
    polls: Count = Field(default=64, description="requests under way at once, for each account")
    downloads: Count = Field(default=4, description="files being downloaded at once, for each account")
    lookout_s: Positive = Field(
        default=1.0, description="every how many seconds the daemon looks for jobs that somebody submitted"
    )
    heartbeat_s: FromOne = Field(default=60.0, description="every how many seconds it logs how it is")


class RetentionTable(TomlTable):
    """``[retention]``: how long finished jobs, and the parts of broken-off downloads, are kept."""

    finished_days: Positive = Field(
        default=90.0, description="jobs that have ended are forgotten after so many days; their files stay"
    )
    partial_hours: Positive = Field(
        default=24.0, description="left-over parts of downloads are removed after so many hours"
    )


class LogTable(TomlTable):
    """``[log]``: what is logged on standard output, and how it looks."""

    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json, console, or auto: console on a terminal, json elsewhere"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="from which level on: debug, info, warning or error"
    )


class CallbacksTable(TomlTable):
    """``[callbacks]``: where providers can call back; without it nothing listens, and polling does all."""

    listen: ListenAddress | None = Field(
        default=None,
        description="address and port on which the daemon listens, without TLS: a proxy stands before it",
        examples=["127.0.0.1:8091"],
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="how providers get there, most often a proxy, which passes on POST /callbacks/...",
        examples=["https://tide.example.com"],
    )

    @field_validator("public_url")
    @classmethod
    def _with_listen(cls, public_url: str | None, info: ValidationInfo) -> str | None:
        if "listen" not in info.data:
            return public_url  # its own fault has been told
        if public_url is None and info.data["listen"] is not None:
            raise ValueError("is required where listen is given: providers are told this address")
        if public_url is not None and info.data["listen"] is None:
            raise ValueError("wants callbacks.listen beside it: an address to listen on, such as 127.0.0.1:8091")
        return public_url


class HttpTable(TomlTable):
    """``[http]``: where the HTTP API and the status page are; without ``listen`` there are none."""

    listen: ListenAddress | None = Field(
        default=None,
        description="address and port on which the daemon listens; one that others can reach wants a token",
        examples=["127.0.0.1:8090"],
    )
    public_url: PublicUrl | None = Field(
        default=None,
        description="how people and programs get there, where that is not the address itself: most often a proxy's",
        examples=["https://tide.example.com"],
    )
    tls_certificate: ResolvedPath | None = Field(
        default=None,
        description="path of the certificate, in PEM form, those up to its root after it; without it there is no TLS",
        examples=["/etc/tidewaiter/tls/tls.crt"],
    )
    tls_key: ResolvedPath | None = Field(
        default=None,
        description="path of the certificate's private key, in PEM form, without a passphrase",
        examples=["/etc/tidewaiter/tls/tls.key"],
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="networks of proxies whose X-Forwarded-For or Forwarded names the caller; others may make them up",
        examples=[["10.0.0.0/8"]],
    )


class TokenTable(TomlTable):
    """``[tokens.NAME]``: who may use the HTTP API."""

    role: Literal["read", "submit", "admin"] = Field(
        default="read",
        description="what its bearer may do: read; submit, which is to read and to make jobs; or admin, which is all",
    )
    accounts: AccountNames | None = Field(
        default=None,
        description="the only accounts that exist for its bearer; all of them where it is left out",
        examples=[["newsletter"]],
    )
    expires_at: Moment | None = Field(
        default=None,
        description="from this time on it opens nothing, and its sessions have ended; with an offset from UTC",
        examples=["2027-01-31T00:00:00Z"],
    )
    token: BearerToken = Field(repr=False, description="24 characters or more, out of a file only: token_file")
    next_token: BearerToken | None = Field(
        default=None,
        repr=False,
        description="the one that replaces it, out of a file only: next_token_file; until then both are good",
    )


class ProvidersTable(TomlTable):
    """``[providers]``: specs of your own, beside the built-in ones."""

    folders: Paths = Field(
        default=(),
        description="folders with specs of your own; one text may name several, separated as in PATH",
        examples=[["specs"]],
    )


class Config(TomlTable):
    """A configuration whose every value is well-formed and whose every path is absolute; :func:`app.config.load`."""

    database: DatabaseTable
    storage: StorageTable
    worker: WorkerTable
    retention: RetentionTable
    log: LogTable
    providers: ProvidersTable
    callbacks: CallbacksTable = CallbacksTable()
    http: HttpTable = HttpTable()
    tokens: Mapping[TokenName, TokenTable] = {}
    accounts: Mapping[AccountName, AccountTable]
    schedules: Mapping[ScheduleName, RecurringTable] = {}
    notifications: Mapping[NotificationName, NotificationTable] = {}

    _path: Path = PrivateAttr(default=Path())
    _origins: Mapping[tuple[str, ...], Origin] = PrivateAttr(default_factory=dict)
    _secrets: tuple[str, ...] = PrivateAttr(default=())

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        return self._path

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is secret whatever a provider says: the content of secret files and the database's password."""
        return self._secrets

    def origin_of(self, *key: str) -> Origin:
        """Where the value under that key was written, as in ``origin_of("accounts", "shop", "settings", "token")``."""
        exact = self._origins.get(key)
        inside = (origin for written, origin in self._origins.items() if written[: len(key)] == key)
        return exact or next(inside, None) or Origin(Source.DEFAULT, str(self._path))

    def fault_at(self, *key: str, reason: str) -> Fault:
        """A fault of the value under that key: of where it was written, or of the file that lacks it."""
        return Fault(self.origin_of(*key).name, ".".join(key), reason)

    def remember(self, path: Path, origins: Mapping[tuple[str, ...], Origin], secrets: tuple[str, ...]) -> Self:
        """Note where the values came from and which of them are secret; done once, by whoever read them."""
        self._path, self._origins, self._secrets = path, origins, secrets
        return self
