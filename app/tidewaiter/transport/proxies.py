"""The HTTP proxies that requests go through, the hosts that are reached without one, and how they are written.

A proxy is named by its scheme, host and port. Its user name and password are kept apart, so that no error and no log
line can show them.
"""

import base64
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Self, TypeAlias
from urllib.parse import quote, unquote, urlsplit

ENVIRONMENT: Final = "environment"
"""The value of ``network.proxy`` that stands for the proxies of the environment."""

VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_EVERY_HOST: Final = "*"
# A cloud gives a machine its credentials there, and only to the machine itself.
_OF_THIS_MACHINE: Final = (
    "localhost",
    "127.0.0.0/8",
    "::1",
    "169.254.0.0/16",
    "fd00:ec2::254",
    "metadata.google.internal",
)

_Exception: TypeAlias = str | IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; ``url`` is its scheme, host and port."""

    url: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The proxy that an address names.

        Raises:
            ValueError: it is no address of an HTTP proxy; the message does not quote it.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        scheme, host = parts.scheme.lower(), parts.hostname
        if scheme.startswith("socks"):
            raise ValueError(
                "names a SOCKS proxy, which is not supported; use an HTTP proxy (http:// or https://), without a "
                "sign-in or with Basic"
            )
        is_host = bool(host) and (":" in (host or "") or _NAME.fullmatch(host or "") is not None)
        if scheme not in _PORTS or host is None or not is_host or parts.path not in ("", "/") or parts.query:
            raise ValueError("must be the http or https address of a proxy, such as http://proxy.example:3128")
        shown = f"[{host}]" if ":" in host else host
        user = None if parts.username is None else unquote(parts.username)
        return cls(f"{scheme}://{shown}:{port or _PORTS[scheme]}", user, unquote(parts.password or ""))

    @property
    def place(self) -> tuple[str, int]:
        """Its host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    @property
    def is_tls(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.url.startswith("https:")

    @property
    def headers(self) -> Mapping[str, str]:
        """The fields that sign in to it (RFC 9110, section 11.7.2)."""
        if self.user is None:
            return {}
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {token}"}

    @property
    def full_url(self) -> str:
        """Its address with user name and password, for other clients; a secret."""
        scheme, _, place = self.url.partition("://")
        user = "" if self.user is None else f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return f"{scheme}://{user}{place}"


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy a request goes through, by its scheme; ``exceptions`` are the hosts that are reached without one.

    ``localhost`` and loopback addresses are always reached without one: a proxy would take them for its own.
    """

    http: Proxy | None = None
    https: Proxy | None = None
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], exceptions: Iterable[str] = ()) -> Self:
        """The proxies of ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``; names in lower case come first.

        Raises:
            ValueError: one of them cannot be used; the message names it.
        """
        found: dict[str, Proxy | None] = {}
        for name in VARIABLES[:2]:
            text = _variable(environ, name)
            try:
                found[name] = Proxy.parse(text if "://" in text else f"http://{text}") if text else None
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        try:
            given = [_without_port(one) for one in re.split(r"[,\s]+", _variable(environ, "NO_PROXY")) if one]
            without = proxy_exceptions([*exceptions, *given])
        except ValueError as error:
            raise ValueError(f"NO_PROXY: {error}") from None
        return cls(found["HTTP_PROXY"], found["HTTPS_PROXY"], without)

    def through(self, scheme: str, host: str) -> Proxy | None:
        """The proxy for requests to a host, which is an address or a name in ASCII, if any."""
        proxy = self.https if scheme.lower() == "https" else self.http
        return None if proxy is None or self._is_direct(host) else proxy

    @property
    def for_buckets(self) -> str:
        """The exceptions as the client of a bucket reads them, with the machine's own addresses."""
        return ",".join((*_OF_THIS_MACHINE, *self.exceptions))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The passwords of the proxies."""
        return tuple(one.password for one in (self.http, self.https) if one is not None and one.password)

    def _is_direct(self, host: str) -> bool:
        name = host.rstrip(".").lower()
        numeric = numeric_address(name)
        if numeric is None:
            return name == "localhost" or name.endswith(".localhost") or self._is_named(name)
        address = ip_address(numeric)
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback or address.is_unspecified:
            return True
        read = [_read(one) for one in self.exceptions]
        return _EVERY_HOST in read or any(not isinstance(one, str) and address in one for one in read)

    def _is_named(self, name: str) -> bool:
        return any(one in (_EVERY_HOST, name) or name.endswith(f".{one}") for one in self.exceptions)


def proxy_exceptions(given: Iterable[str]) -> tuple[str, ...]:
    """Hosts that are reached without a proxy, as :class:`Proxies` takes them: each once, in lower case.

    Args:
        given: names, each with its subdomains; addresses; networks; or ``*`` for every host.

    Raises:
        ValueError: one of them is none of these.
    """
    found: list[str] = []
    for one in given:
        try:
            read = _read(one.strip().lower().removeprefix("*.").removeprefix(".").rstrip("."))
        except ValueError:
            raise ValueError(
                f"{one!r} is no host; write a name such as example.com, an address, a network such as 10.0.0.0/8, or *"
            ) from None
        found.append(str(read))
    return tuple(dict.fromkeys(found))


def _read(text: str) -> _Exception:
    """An exception: a network, of one address perhaps, or a name; raises ``ValueError``."""
    try:
        return ip_network(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        if text != _EVERY_HOST and not _NAME.fullmatch(text):
            raise
        return text


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name.lower()) or environ.get(name) or "").strip()


def _without_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    return host if colon and port.isdigit() and (":" not in host or host.endswith("]")) else text


def numeric_address(host: str) -> str | None:
    """The address that a host is, in any notation that name lookups read, such as ``127.1``; ``None`` for a name."""
    with suppress(ValueError):
        return str(ip_address(host))
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None
