"""Types of single values: names, addresses, paths, times, and JSON."""

import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from tidewaiter.database.database_url import DatabaseAddress
from tidewaiter.domain.networks import network_of
from tidewaiter.toml_table import TRUTH_WORDS, VariableText, unquoted

_LARGEST_PORT: Final = 65_535
_NAME: Final = "[a-z0-9][a-z0-9_-]{0,63}"
_SHORTEST_TOKEN: Final = 24
_BEARER_TOKEN: Final = rf"[A-Za-z0-9._~+/-]{{{_SHORTEST_TOKEN},512}}=*"
_SEALING_KEY: Final = "[A-Za-z0-9_-]{43}="
_LISTEN: Final = r"^(\[[^\[\]/@ ]+\]|[^:/@ ]+):[0-9]{1,5}$"
_WEB_URL: Final = "^[Hh][Tt][Tt][Pp][Ss]?://[^?#@ ]+$"
_SEPARATORS: Final = re.compile(r"[,\s]+")
_NETWORK: Final = r"^[0-9A-Fa-f:.]+/[0-9]{1,3}$"
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATABASE_URL: Final = r"^(sqlite:///|postgresql(\+psycopg)?://)"


def from_folder(path: Path, info: ValidationInfo) -> Path:
    """The path, resolved from the configuration file's folder, which ``load`` passes as context."""
    folder: Path = info.context["folder"] if info.context else Path.cwd()
    return folder / path


def _split_paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _allow_private(value: object) -> bool | tuple[str, ...]:
    """``true``, ``false``, or networks; one text, as in an environment variable, may name several."""
    match value:
        case bool():
            return value
        case VariableText() if value.strip().lower() in TRUTH_WORDS:
            return TRUTH_WORDS[value.strip().lower()]
        case str() if "." in value or ":" in value:
            return tuple(str(network_of(one)) for one in _SEPARATORS.split(value) if one)
        case list() | tuple() if all(isinstance(one, str) for one in value):
            return tuple(str(network_of(str(one))) for one in value)
        case _:
            must = 'must be true or false, or an array of networks in quotes, such as ["10.0.0.0/8"]'
            if isinstance(value, str) and value.strip().lower() in TRUTH_WORDS:
                must = unquoted(value, "must be true or false")
            raise ValueError(must)


def named(what: str) -> Callable[[str], str]:
    """Checks the name that an operator gives to ``what``, such as "an account"."""

    def check(name: str) -> str:
        if not re.fullmatch(_NAME, name):
            raise ValueError(
                f"{what}'s name is made of lower-case letters, digits, - and _, begins with a letter or a digit, "
                "and has at most 64 characters"
            )
        return name

    return check


def _bearer_token(token: str) -> str:
    """A token as RFC 6750 permits, and too long to be guessed."""
    if not re.fullmatch(_BEARER_TOKEN, token):
        raise ValueError(
            f"must have {_SHORTEST_TOKEN} to 512 letters, digits and -._~+/= signs; make one with: openssl rand -hex 32"
        )
    return token


def _sealing_keys(text: str) -> str:
    """Keys of Fernet (https://github.com/fernet/spec): 32 bytes each, in URL-safe Base64."""
    keys = text.split()
    if not keys or not all(re.fullmatch(_SEALING_KEY, key) for key in keys):
        raise ValueError(
            "must hold one or more keys, one per line, each 32 bytes in URL-safe Base64; "
            "make one with: tidewaiter db new-key"
        )
    return text


def _zone_name(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; names are such as Europe/Amsterdam") from None
    return name


def _database_url(url: str, info: ValidationInfo) -> str:
    try:
        address = DatabaseAddress.parse(url)
    except ValueError:  # its text may quote a part of the password
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
        ValueError: it is no such address.
    """
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
    is_host = bool(bare) and (":" not in bare or bare != host) and not any(sign in bare for sign in "/@ ")
    if not (colon and is_host and port.isascii() and port.isdigit() and int(port) <= _LARGEST_PORT):
        raise ValueError("must be an address and a port to listen on, such as 127.0.0.1:8091 or [::1]:8091")
    return bare, int(port)


def _public_url(text: str) -> str:
    """The address that others call, without a slash at its end."""
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


def _account_names(value: object) -> object:
    """Names of accounts; one text, as in an environment variable, may name several, separated by commas."""
    names = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names or not all(isinstance(one, str) and one for one in names):
        raise ValueError('must be an array of names of accounts, such as ["newsletter"]; leave it out for all accounts')
    return tuple(names)


def _networks(value: object) -> object:
    """Networks in CIDR notation; one text, as in an environment variable, may name several, separated by commas."""
    given = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError('must be an array of networks, such as ["10.0.0.0/8"]')  # noqa: TRY004  # pydantic collects these
    for one in given:
        try:
            ip_network(one if isinstance(one, str) else "")
        except ValueError as error:
            fault = str(error) if isinstance(one, str) and "host bits" in str(error) else f"{one!r} is no network"
            raise ValueError(f"{fault}; networks are such as 10.0.0.0/8, fd00::/8 or 127.0.0.1/32") from None
    return tuple(given)


def _moment(value: object) -> object:
    """A time with its offset from UTC, as a text or as TOML writes it."""
    text = value.isoformat() if isinstance(value, datetime) else value
    if isinstance(text, str) and _MOMENT.fullmatch(text):
        with suppress(ValueError, OverflowError):
            epoch_of(text)
            return text
    raise ValueError("must be a time with its offset from UTC (RFC 3339), such as 2027-01-31T00:00:00Z")


def epoch_of(moment: str) -> float:
    """The epoch seconds of a :data:`Moment`.

    Raises:
        ValueError, OverflowError: it is no time.
    """
    return datetime.fromisoformat(moment.upper()).astimezone(UTC).timestamp()


def _plain(value: object) -> object:
    """A setting as JSON: dates and non-finite numbers of TOML are refused."""
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


ResolvedPath: TypeAlias = Annotated[Path, AfterValidator(from_folder)]
Paths: TypeAlias = Annotated[
    tuple[ResolvedPath, ...], BeforeValidator(_split_paths, json_schema_input_type=tuple[Path, ...] | str)
]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
Plain: TypeAlias = Annotated[Any, AfterValidator(_plain)]
ZoneName: TypeAlias = Annotated[str, AfterValidator(_zone_name)]

AllowPrivate: TypeAlias = Annotated[
    bool | tuple[str, ...],
    BeforeValidator(_allow_private),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string", "pattern": _NETWORK}},
                {"type": "string"},
            ]
        }
    ),
]
AccountName: TypeAlias = Annotated[str, AfterValidator(named("an account")), WithJsonSchema({"pattern": f"^{_NAME}$"})]
ScheduleName: TypeAlias = Annotated[str, AfterValidator(named("a schedule")), WithJsonSchema({"pattern": f"^{_NAME}$"})]
NotificationName: TypeAlias = Annotated[
    str, AfterValidator(named("a notification")), WithJsonSchema({"pattern": f"^{_NAME}$"})
]
TokenName: TypeAlias = Annotated[str, AfterValidator(named("a token")), WithJsonSchema({"pattern": f"^{_NAME}$"})]
BearerToken: TypeAlias = Annotated[
    str, AfterValidator(_bearer_token), WithJsonSchema({"type": "string", "pattern": f"^{_BEARER_TOKEN}$"})
]
SealingKeys: TypeAlias = Annotated[
    str,
    AfterValidator(_sealing_keys),
    WithJsonSchema({"type": "string", "pattern": rf"^\s*{_SEALING_KEY}(\s+{_SEALING_KEY})*\s*$"}),
]
ListenAddress: TypeAlias = Annotated[
    str, AfterValidator(_listen_address), WithJsonSchema({"type": "string", "pattern": _LISTEN})
]
PublicUrl: TypeAlias = Annotated[
    str, AfterValidator(_public_url), WithJsonSchema({"type": "string", "pattern": _WEB_URL})
]
AccountNames: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_account_names, json_schema_input_type=tuple[str, ...] | str)
]
Networks: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_networks, json_schema_input_type=tuple[str, ...] | str)
]
Moment: TypeAlias = Annotated[str, BeforeValidator(_moment, json_schema_input_type=str)]
DatabaseUrl: TypeAlias = Annotated[
    str, AfterValidator(_database_url), WithJsonSchema({"type": "string", "pattern": _DATABASE_URL})
]
