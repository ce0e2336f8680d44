"""Certificates for one test: trusted or not, for a name, until a day."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; ``file`` is its own one, to be trusted."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        """A new authority, whose files go into that folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("an authority of this test")
        basic = x509.BasicConstraints(ca=True, path_length=None)
        certificate = _builder(name, name, key, -1.0, 3650.0).add_extension(basic, critical=True)
        made = cls(folder, key, certificate.sign(key, hashes.SHA256()))
        made.file.write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
        return made

    @property
    def file(self) -> Path:
        """Its certificate, as PEM."""
        return self.folder / "authority.pem"

    def server(self, address: str = "127.0.0.1", *, since: float = -400.0, days: float = 90.0) -> ssl.SSLContext:
        """A server's side of TLS: its certificate is for an address or a name, from and to so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        is_name = address[-1:].isalpha()
        general = x509.DNSName(address) if is_name else x509.IPAddress(ipaddress.ip_address(address))
        names = x509.SubjectAlternativeName([general])
        builder = _builder(_name("a server"), self.certificate.subject, key, since, days)
        certificate = builder.add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        return _context(self.folder / "server.pem", certificate, key)


def self_signed(folder: Path) -> ssl.SSLContext:
    """What a server speaks with that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("a server on its own")
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = _builder(name, name, key, -1.0, 90.0).add_extension(names, critical=False).sign(key, hashes.SHA256())
    return _context(folder / "self-signed.pem", certificate, key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, since: float, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now + timedelta(days=since)).not_valid_after(now + timedelta(days=days))


def _context(file: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> ssl.SSLContext:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
