"""How outgoing connections are made: what they trust, through which proxy they go, and from which address."""

import hashlib
import os
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from tidewaiter.file_access import reason_of
from tidewaiter.transport.proxies import Proxies

_BEGIN_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_LARGEST_CA_FILE: Final = 8 * 2**20
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class TrustError(Exception):
    """A file of authorities cannot be used; the message says what to do."""


def _system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _shared_system() -> ssl.SSLContext:
    """One for all that trust only the system's: reading them takes tens of milliseconds."""
    return _read_system(*map(os.environ.get, _CA_VARIABLES))


@lru_cache(maxsize=1)
def _read_system(*_places: str | None) -> ssl.SSLContext:
    return _system()


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificate authorities that connections trust; two are equal if their file has the same content.

    The system's authorities are those that OpenSSL finds; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace them.
    They are read once, and shared by all that trust no others.
    """

    context: ssl.SSLContext = field(default_factory=_shared_system, compare=False, repr=False)
    digest: bytes = b""

    @classmethod
    def of(cls, ca_file: Path | None) -> Self:
        """The system's authorities, and those of a file in PEM form.

        Raises:
            TrustError: the file cannot be used.
        """
        if ca_file is None:
            return cls()
        content = _authorities_in(ca_file)
        context = _system()
        try:
            # As text: the file is read once, so that what was checked is what is used.
            context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise TrustError(
                f"{ca_file} has a certificate that cannot be read ({reason}); name a file of whole certificates"
            ) from None
        return cls(context, hashlib.sha256(content).digest())


def _authorities_in(ca_file: Path) -> bytes:
    try:
        with ca_file.open("rb") as file:
            content = file.read(_LARGEST_CA_FILE + 1)
    except OSError as error:
        raise TrustError(
            f"{ca_file} cannot be read: {reason_of(error, ca_file)}; name a file that this user may read"
        ) from None
    if len(content) > _LARGEST_CA_FILE:
        raise TrustError(f"{ca_file} is larger than 8 MiB; name a file that holds only certificates")
    if _BEGIN_CERTIFICATE not in content:
        raise TrustError(
            f"{ca_file} holds no certificate in PEM form (BEGIN CERTIFICATE); openssl x509 -inform der makes one of DER"
        )
    return content


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Certificate authorities, proxies, and the address of this machine that connections come from, if it is fixed."""

    trust: Trust = field(default_factory=Trust)
    proxies: Proxies = field(default_factory=Proxies)
    source_address: str | None = None

    @property
    def local_address(self) -> tuple[str, int] | None:
        """The address that a socket is bound to before it connects."""
        return None if self.source_address is None else (self.source_address, 0)
