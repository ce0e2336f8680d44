"""TLS of the HTTP listener: a certificate and its key out of files, exchanged while connections go on."""

import ssl
from pathlib import Path
from typing import Final

_BEGIN_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_PRIVATE_KEY: Final = "PRIVATE KEY-----"
_LARGEST: Final = 1_048_576


class CertificateError(Exception):
    """A certificate or its key cannot be used; ``is_key`` says which of the two files is to blame."""

    def __init__(self, reason: str, *, is_key: bool = False) -> None:
        super().__init__(reason)
        self.is_key = is_key


class Certificate:
    """What the listener shows to those who connect. TLS 1.2 at least.

    Args:
        context: the certificate with its key, as :func:`server_context` loads them; the listener uses this one.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._shown = self.context = context
        # A context that is loaded anew in place would be half loaded for a moment, and for good where that fails.
        self.context.sni_callback = self._choose

    def reconfigure(self, shown: ssl.SSLContext) -> None:
        """Show the certificate of this context, made by :func:`server_context`, on every later connection."""
        self._shown = shown

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._shown


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """The context with this certificate and its key.

    Args:
        certificate: the file of the certificate, in PEM form, with those between it and its root after it.
        key: the file of its private key, in PEM form, without a passphrase.

    Raises:
        CertificateError: one of the files cannot be used; in one sentence, with what to do.
    """
    _check(certificate, _BEGIN_CERTIFICATE, "certificate", is_key=False)
    text = _check(key, _PRIVATE_KEY, "private key", is_key=True)
    if "ENCRYPTED" in text:
        reason = f"{key} is protected by a passphrase, which nobody can type here; openssl pkey takes it off"
        raise CertificateError(reason, is_key=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # or it would ask at the terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(f"{key} is not the key of {certificate}; name the two that belong together",
                                   is_key=True) from None  # fmt: skip
        reason = f"{certificate} with {key} cannot be used: {error.reason or error}; both must be in PEM form"
        raise CertificateError(reason) from None
    except OSError as error:
        raise CertificateError(f"{certificate} cannot be read: {error.strerror or error}") from None
    return context


def identity_of(certificate: Path, key: Path) -> bytes:
    """The content of both files, by which a change shows.

    Raises:
        OSError: one of them cannot be read.
    """
    return certificate.read_bytes() + key.read_bytes()


def _check(path: Path, mark: str, what: str, *, is_key: bool) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace")
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror or error}; name a file that this user may read"
        raise CertificateError(reason, is_key=is_key) from None
    if mark not in text:
        raise CertificateError(f"{path} holds no {what} in PEM form ({mark.strip('-')})", is_key=is_key)
    return text
