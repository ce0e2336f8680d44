"""TLS of the HTTP listener: a certificate and its key from files, replaced while connections stay open."""

import ssl
from pathlib import Path
from typing import Final

from tidewaiter.file_access import reason_of

_BEGIN_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_PRIVATE_KEY: Final = "PRIVATE KEY-----"
_LARGEST: Final = 1_048_576


class CertificateError(Exception):
    """A certificate or its key cannot be used; ``is_key`` says which of the two files is at fault."""

    def __init__(self, reason: str, *, is_key: bool = False) -> None:
        super().__init__(reason)
        self.is_key = is_key


class Certificate:
    """The certificate that the listener presents, with TLS 1.2 or later.

    Args:
        context: the first certificate with its key, made by :func:`server_context`; the listener uses this context.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._current = self.context = context
        # Loading another certificate into the same context would leave it half loaded, for good if that fails.
        self.context.sni_callback = self._choose

    def reconfigure(self, context: ssl.SSLContext) -> None:
        """Present the certificate of this context, made by :func:`server_context`, on later connections."""
        self._current = context

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """The context with this certificate and its key.

    Args:
        certificate: the file of the certificate, in PEM form, followed by its intermediate certificates.
        key: the file of its private key, in PEM form, without a passphrase.

    Raises:
        CertificateError: one of the files cannot be used; the message says what to do.
    """
    _check(certificate, _BEGIN_CERTIFICATE, "certificate", is_key=False)
    text = _check(key, _PRIVATE_KEY, "private key", is_key=True)
    if "ENCRYPTED" in text:
        reason = f"{key} is protected by a passphrase, which cannot be entered here; openssl pkey removes it"
        raise CertificateError(reason, is_key=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # without it OpenSSL would ask at the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(f"{key} is not the key of {certificate}; configure two files that belong together",
                                   is_key=True) from None  # fmt: skip
        reason = f"{certificate} with {key} cannot be used: {error.reason or error}; both must be in PEM form"
        raise CertificateError(reason) from None
    except OSError as error:
        raise CertificateError(f"{certificate} cannot be read: {error.strerror or error}") from None
    return context


def identity_of(certificate: Path, key: Path) -> bytes:
    """The content of both files, to detect a change.

    Raises:
        OSError: one of them cannot be read.
    """
    return certificate.read_bytes() + key.read_bytes()


def _check(path: Path, mark: str, what: str, *, is_key: bool) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace")
    except OSError as error:
        reason = f"{path} cannot be read: {reason_of(error, path)}; name a file that this user may read"
        raise CertificateError(reason, is_key=is_key) from None
    if mark not in text:
        raise CertificateError(f"{path} holds no {what} in PEM form ({mark.strip('-')})", is_key=is_key)
    return text
