"""The tables of the configuration file: which keys there are, what they may hold, and what they are when left out."""

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.config.base import Table, from_folder
from app.config.faults import Fault
from app.config.storage import StorageTable
from app.recurrence import check_cron, check_templates
from app.store.address import Address

_LARGEST_PORT: Final = 65_535
_SHORTEST_TOKEN: Final = 24
_BEARER_TOKEN: Final = re.compile(rf"[A-Za-z0-9._~+/-]{{{_SHORTEST_TOKEN},512}}=*")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Source(StrEnum):
    """The kind of place where a value was written."""

    FILE = "file"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"  # noqa: S105  # a kind of place
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from; ``name`` is a file's path or a variable's name, and what a fault points at."""

    source: Source
    name: str


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic collects ValueErrors
    return value


def _split_paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _name_of(what: str) -> Callable[[str], str]:
    """Checks the names of tables that people name."""

    def check(name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{what}'s name is made of lower-case letters, digits, - and _, begins with a letter or a digit, "
                "and has at most 64 characters"
            )
        return name

    return check


def _bearer_token(token: str) -> str:
    """What RFC 6750 permits, and long enough that nobody guesses it."""
    if not _BEARER_TOKEN.fullmatch(token):
        raise ValueError(
            f"must have {_SHORTEST_TOKEN} to 512 letters, digits and -._~+/= signs; make one with: openssl rand -hex 32"
        )
    return token


def _zone_name(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; names are such as Europe/Amsterdam") from None
    return name


def _database_url(url: str, info: ValidationInfo) -> str:
    try:
        address = Address.parse(url)
    except ValueError:  # whose text may quote a piece of the password
        raise ValueError(
            "must be a URL such as sqlite:///tidewaiter.db, which names a file, or postgresql://user@host/name"
        ) from None
    return url if address.file is None else f"sqlite:///{from_folder(address.file, info)}"


def _listen_address(text: str) -> str:
    host_and_port(text)
    return text


def host_and_port(listen: str) -> tuple[str, int]:
    """The host and the port of an address to listen on.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
    is_host = bool(bare) and (":" not in bare or bare != host) and not any(sign in bare for sign in "/@ ")
    if not (colon and is_host and port.isascii() and port.isdigit() and int(port) <= _LARGEST_PORT):
        raise ValueError("must be an address and a port to listen on, such as 127.0.0.1:8091 or [::1]:8091")
    return bare, int(port)


def _public_url(text: str) -> str:
    """The address that providers call, without the slash at its end."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not text.isascii() or any(sign in text for sign in "?#@ "):
        raise ValueError(
            "must be an http or https address without user name, query and fragment, such as https://tide.example.com"
        )
    return text.rstrip("/")


def _plain(value: object) -> object:
    """A setting, which is JSON: TOML's dates are refused, and the numbers that JSON lacks."""
    match value:
        case str() | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case float():
            raise ValueError("must be a finite number")
        case _:
            raise ValueError("must be text, a number, true or false, an array or a table; dates go in quotes")


_ResolvedPath: TypeAlias = Annotated[Path, AfterValidator(from_folder)]
_Number: TypeAlias = Annotated[float, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False)]
_Positive: TypeAlias = Annotated[_Number, Field(gt=0)]
_FromZero: TypeAlias = Annotated[_Number, Field(ge=0)]
_FromOne: TypeAlias = Annotated[_Number, Field(ge=1)]
_Count: TypeAlias = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1)]


class DatabaseTable(Table):
    """``[database]``: ``sqlite:///`` and an absolute path, or a ``postgresql://`` URL, which may hold a password."""

    url: Annotated[str, AfterValidator(_database_url), Field(repr=False)] = "sqlite:///tidewaiter.db"


class WorkerTable(Table):
    """``[worker]``: the daemon's pace.

    ``polls`` and ``downloads`` bound what each lane has under way; ``lookout_s`` is how often it looks for new jobs.
    """

    lease_s: _FromOne = 15.0
    drain_s: _FromZero = 30.0
    polls: _Count = 64
    downloads: _Count = 4
    lookout_s: _Positive = 1.0
    heartbeat_s: _FromOne = 60.0


class RetentionTable(Table):
    """``[retention]``: how long finished jobs, and the parts of broken-off downloads, are kept."""

    finished_days: _Positive = 90.0
    partial_hours: _Positive = 24.0


class LogTable(Table):
    """``[log]``: ``auto`` is the console's format on a terminal and JSON elsewhere."""

    format: Literal["auto", "json", "console"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class CallbacksTable(Table):
    """``[callbacks]``: where providers can call back; without it nothing listens, and polling does all.

    ``listen`` is where the daemon listens, ``public_url`` how providers get there: most often a proxy's address.
    """

    listen: Annotated[str, AfterValidator(_listen_address)] | None = None
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None

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


class HttpTable(Table):
    """``[http]``: where the HTTP API and the status page are; without ``listen`` there are none.

    ``public_url`` is how people and programs get there, where that is not the address itself: most often a proxy's.
    """

    listen: Annotated[str, AfterValidator(_listen_address)] | None = None
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None


class TokenTable(Table):
    """``[tokens.NAME]``: who may use the HTTP API; the ``token`` itself comes out of a file, by ``token_file``."""

    role: Literal["read", "admin"] = "read"
    token: Annotated[str, AfterValidator(_bearer_token), Field(repr=False)]


class ProvidersTable(Table):
    """``[providers]``: folders with the operator's own specs; one text may name several, separated as in PATH."""

    folders: Annotated[tuple[_ResolvedPath, ...], BeforeValidator(_split_paths)] = ()


class LimitsTable(Table):
    """``[accounts.NAME.limits]``: what replaces the provider's own limits; ``None`` leaves them as they are."""

    requests: _Count | None = None
    period_s: _Positive | None = None
    spacing_s: _FromZero | None = None
    concurrency: _Count | None = None
    remote_jobs: _Count | None = None


class ScheduleTable(Table):
    """``[accounts.NAME.schedule]``: what replaces the provider's own schedule; ``None`` leaves it as it is."""

    first_delay_s: _FromZero | None = None
    interval_s: _Positive | None = None
    factor: _FromOne | None = None
    cap_s: _Positive | None = None
    deadline_s: _Positive | None = None

    @model_validator(mode="after")
    def _interval_below_cap(self) -> Self:
        if self.interval_s is not None and self.cap_s is not None and self.cap_s < self.interval_s:
            raise ValueError("cap_s must not be below interval_s")
        return self


class AccountTable(Table):
    """``[accounts.NAME]``: one set of credentials on a provider, which is who checks the ``settings``."""

    provider: Annotated[str, Field(min_length=1)]
    allow_private: bool = False
    clean: bool | None = None
    shards: Annotated[_Count, Field(le=64)] = 1
    settings: Annotated[Mapping[str, Annotated[Any, AfterValidator(_plain)]], Field(repr=False)] = {}
    limits: LimitsTable = LimitsTable()
    schedule: ScheduleTable = ScheduleTable()


class RecurringTable(Table):
    """``[schedules.NAME]``: a job that recurs; its ``params`` may hold dates such as ``${yesterday}``."""

    account: Annotated[str, Field(min_length=1)]
    operation: Annotated[str, Field(min_length=1)]
    cron: Annotated[str, AfterValidator(check_cron)]
    timezone: Annotated[str, AfterValidator(_zone_name)] = "UTC"
    catch_up: Literal["skip", "last", "all"] = "last"
    params: Mapping[str, Annotated[Any, AfterValidator(_plain), AfterValidator(check_templates)]] = {}


class Config(Table):
    """A configuration whose every value is well-formed and whose every path is absolute; :func:`app.config.load`."""

    database: DatabaseTable
    storage: StorageTable
    worker: WorkerTable
    retention: RetentionTable
    log: LogTable
    providers: ProvidersTable
    callbacks: CallbacksTable = CallbacksTable()
    http: HttpTable = HttpTable()
    tokens: Mapping[Annotated[str, AfterValidator(_name_of("a token"))], TokenTable] = {}
    accounts: Mapping[Annotated[str, AfterValidator(_name_of("an account"))], AccountTable]
    schedules: Mapping[Annotated[str, AfterValidator(_name_of("a schedule"))], RecurringTable] = {}

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
        return self._origins.get(key) or Origin(Source.DEFAULT, str(self._path))

    def fault_at(self, *key: str, reason: str) -> Fault:
        """A fault of the value under that key: of where it was written, or of the file that lacks it."""
        return Fault(self.origin_of(*key).name, ".".join(key), reason)

    def remember(self, path: Path, origins: Mapping[tuple[str, ...], Origin], secrets: tuple[str, ...]) -> Self:
        """Note where the values came from and which of them are secret; done once, by whoever read them."""
        self._path, self._origins, self._secrets = path, origins, secrets
        return self
