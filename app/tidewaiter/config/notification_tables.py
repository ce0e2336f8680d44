"""``[notifications.NAME]``: an endpoint that receives a webhook when a job ends."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from tidewaiter.config.value_types import AllowPrivate
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.domain.networks import PermittedNetworks, permitted_networks
from tidewaiter.domain.notification import NOTIFIABLE
from tidewaiter.domain.webhook_signature import SIGNING_KEY_PREFIX, keys_of
from tidewaiter.toml_table import Boolean, TomlTable

_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")
_WEB: Final = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@#\\ ]+$"
_SEPARATORS: Final = re.compile(r"[,\s]+")
_STATES: Final = ", ".join(state.value for state in State if state in NOTIFIABLE)


def _split_names(value: object) -> object:
    """Names in an array; one text, as in an environment variable, may name several."""
    if isinstance(value, str):
        return [name for name in _SEPARATORS.split(value) if name]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be an array of names in quotes")
    return value


def _known_states(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in NOTIFIABLE:
            raise ValueError(f"{name!r} is no state that can be notified; there are {_STATES}")
    return names


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("is empty, so nothing would ever be sent; leave it out for the default")
    return names


def _secret(secret: str) -> str:
    keys_of(secret)
    return secret


_StateName: TypeAlias = Literal["parked", "succeeded", "failed", "cancelled", "expired"]
_Names: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_names, json_schema_input_type=tuple[str, ...] | str),
    AfterValidator(_some),
]
_StateNames: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(
        _split_names,
        json_schema_input_type=tuple[_StateName, ...] | str,
    ),
    AfterValidator(_some),
    AfterValidator(_known_states),
]
_Url: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "pattern": _WEB})]
_Secret: TypeAlias = Annotated[
    str, AfterValidator(_secret), WithJsonSchema({"type": "string", "pattern": rf"^\s*{SIGNING_KEY_PREFIX}"})
]


class NotificationTable(TomlTable):
    """``[notifications.NAME]``: an endpoint that receives a signed webhook when a job ends."""

    allow_private: AllowPrivate = Field(
        default=False,
        description="private networks in which it may be, then also without TLS; written as for an account",
    )
    url: _Url = Field(
        description="address that webhooks are sent to; keep it in url_file if the address itself is secret",
        examples=["https://ops.example.com/tidewaiter"],
    )
    secret: _Secret = Field(
        repr=False,
        description="signs webhooks: whsec_ and 24 to 64 bytes in Base64; during a change the new one and the old one",
    )
    accounts: _Names | None = Field(
        default=None,
        description="accounts whose jobs it is notified about; without it all accounts",
        examples=[["newsletter"]],
    )
    states: _StateNames = Field(
        default=tuple(state.value for state in State if state in TERMINAL),
        description=f"states that it is notified about: {_STATES}",
    )

    batches: Boolean = Field(
        default=True,
        description="whether it is also notified when a batch with jobs of these accounts has ended",
    )

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str, info: ValidationInfo) -> str:
        parts = _parts_of(url)
        if parts is None:
            raise ValueError(
                "must be a whole https address without user name and fragment, such as https://ops.example.com/hook"
            )
        if parts.scheme == "http" and not (_is_loopback(parts.hostname or "") or info.data.get("allow_private")):
            raise ValueError(
                "is not encrypted; use https, or allow_private = true or its network inside of your own network"
            )
        return url

    @property
    def private_ok(self) -> PermittedNetworks:
        """Which private addresses it may have; an address of this machine's loopback interface is always permitted."""
        if _is_loopback(urlsplit(self.url).hostname or ""):
            return True
        return permitted_networks(self.allow_private)

    @property
    def secrets(self) -> Iterator[str]:
        """Values that must never be shown: each secret, with its prefix and without."""
        for secret in self.secret.split():
            yield secret
            yield secret.removeprefix(SIGNING_KEY_PREFIX)


def _parts_of(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if sound and _SENDABLE.fullmatch(url) and not any(sign in url for sign in "@#\\") else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
