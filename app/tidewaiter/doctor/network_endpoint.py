"""A host and port that is checked, and what its certificate or its refusal means."""

import os
import ssl
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from tidewaiter.doctor.findings import CheckResult, failure, ok, warning

_DAY_S: Final = 86_400.0
_FEW_DAYS: Final = 14
_PORTS: Final = {"http": 80, "https": 443}

# https://docs.openssl.org/3.0/man1/openssl-verification-options: the codes of X509_verify_cert_error_string.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})


@dataclass(frozen=True, slots=True)
class NetworkEndpoint:
    """The host and port of an address, and whether it uses TLS."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Self:
        """The endpoint of an http or https address."""
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return cls(parts.hostname or "", parts.port or _PORTS[scheme], scheme == "https")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def certificate_result(not_after: str, now: float, version: str) -> CheckResult:
    """For how long a valid certificate stays valid; ``now`` is epoch seconds."""
    days = int((ssl.cert_time_to_seconds(not_after) - now) // _DAY_S)
    message = f"{version}; the certificate is valid for {days:,} more day{'s' * (days != 1)}"
    if days < _FEW_DAYS:
        return warning(message, "check that the server's operator renews it in time")
    return ok(message)


def tls_result(error: ssl.SSLError, host: str, key: str) -> CheckResult:
    """What is wrong with the certificate or the protocol, after a handshake that failed."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = (error.reason or "unknown").replace("_", " ").lower()
        remedy = f"check that {key} is https where it should be, and that the server speaks TLS 1.2 or newer"
        return failure(f"the TLS handshake failed: {reason}", remedy)
    code = error.verify_code
    if code == _EXPIRED:
        return failure("its certificate has expired", "the server's operator must renew it")
    if code == _NOT_YET_VALID:
        return failure("its certificate is not valid yet", "check this machine's clock, then the server's")
    if code in _OTHER_NAME:
        remedy = f"write the name of the certificate into {key}, or get a certificate for this name"
        return failure(f"its certificate is not for {host}", remedy)
    if code in _UNKNOWN_AUTHORITY:
        remedy = "if that is right, add it to the file of network.ca_file, or to the authorities of this machine"
        return failure(f"its certificate is from an unknown authority ({error.verify_message})", remedy)
    return failure(f"its certificate was refused: {error.verify_message}", "the server's operator must repair it")


def words_of(error: Exception) -> str:
    """Why a connection failed, in the system's words."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error) or type(error).__name__
