"""TLS of the HTTP listener: served, reloaded on SIGHUP, refused with a sentence, known to healthcheck and cookies."""

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.certificates import Authority
from tests.support.daemon_in_process import Stage
from tests.support.ports import free_port
from tidewaiter.web.tls import CertificateError, server_context

TOKEN = "canary-first-0123456789abcdef"


def _halves(folder: Path, made: str = "server.pem") -> tuple[Path, Path]:
    """A certificate and its key in two files; ``made`` is the file that has both."""
    text = (folder / made).read_text()
    cut = text.index("-----BEGIN PRIVATE KEY-----")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_text(text[:cut])
    key.write_text(text[cut:])
    key.chmod(0o600)
    return certificate, key


async def test_it_is_served_and_reloaded(stage: Stage, tmp_path: Path) -> None:
    """TLS 1.2 at least; after SIGHUP the new certificate is shown, a bad one is refused and the last one goes on."""
    authority = Authority.made(tmp_path)
    authority.server()
    _halves(tmp_path)
    port = free_port()
    listen = f'[http]\nlisten = "127.0.0.1:{port}"\n'
    http = f'{listen}tls_certificate = "{tmp_path}/tls.crt"\ntls_key = "{tmp_path}/tls.key"\n'
    (stage.folder / "one.bearer").write_text(TOKEN)
    token = '[tokens.one]\nrole = "admin"\ntoken_file = "one.bearer"\n'
    stage.write(stage.account("shop"), http + token)
    trusting = ssl.create_default_context(cafile=str(authority.file))

    async def shown() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        assert isinstance(certificate, bytes)
        return certificate

    async with stage.serving():
        first = await shown()
        await _check_cookie(port, trusting)
        await _check_old_versions(port)
        await _check_healthcheck(stage)

        authority.server()
        _halves(tmp_path)
        assert await shown() == first
        told = await stage.reload()
        assert (told["changed"], told["lanes"]) == (["http.tls_certificate"], 0)
        second = await shown()
        assert second != first

        (tmp_path / "tls.crt").write_text("no certificate")
        refused = await stage.reload()
        assert refused["key"] == "http.tls_certificate"
        assert str(refused["reason"]).startswith(f"{tmp_path}/tls.crt holds no certificate in PEM form")
        assert await shown() == second

        _halves(tmp_path)
        stage.write(stage.account("shop"), listen + token)
        assert (await stage.reload())["changed"] == []
        assert await shown() == second  # TLS is not taken off while the socket listens


async def _check_cookie(port: int, trusting: ssl.SSLContext) -> None:
    """A browser that came by TLS sends its session by TLS only."""
    async with aiohttp.ClientSession() as session:
        url, form = f"https://127.0.0.1:{port}/login", {"token": TOKEN}
        async with session.post(url, data=form, ssl=trusting, allow_redirects=False) as reply:
            assert reply.status == 303
            assert "Secure" in reply.headers["Set-Cookie"]
            assert "HttpOnly" in reply.headers["Set-Cookie"]


async def _check_old_versions(port: int) -> None:
    """Nothing older than TLS 1.2, and no plain HTTP."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=old)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        assert not (await reader.read()).startswith(b"HTTP/")
    writer.close()


async def _check_healthcheck(stage: Stage) -> None:
    """`tidewaiter healthcheck` asks by TLS."""
    command = Path(sys.executable).with_name("tidewaiter")
    asked = await asyncio.create_subprocess_exec(
        command, "--config", stage.folder / "tidewaiter.toml", "healthcheck",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await asked.communicate()
    assert (asked.returncode, out) == (0, b"ok: serving\n"), error


def test_what_cannot_be_used_is_said_with_its_remedy(tmp_path: Path) -> None:
    """Each fault names the file that is to blame and what to do about it."""
    authority = Authority.made(tmp_path)
    authority.server()
    certificate, key = _halves(tmp_path)
    server_context(certificate, key)
    other = tmp_path / "other.key"
    other.write_bytes(_pem(serialization.NoEncryption()))
    locked = tmp_path / "locked.key"
    locked.write_bytes(_pem(serialization.BestAvailableEncryption(b"secret")))
    cases = (
        (tmp_path / "none.crt", key, "none.crt cannot be read: No such file", False),
        (certificate, tmp_path / "none.key", "none.key cannot be read: No such file", True),
        (key, key, "tls.key holds no certificate in PEM form", False),
        (certificate, certificate, "tls.crt holds no private key in PEM form", True),
        (certificate, other, "other.key is not the key of", True),
        (certificate, locked, "locked.key is protected by a passphrase", True),
    )
    for one, two, reason, is_key in cases:
        with pytest.raises(CertificateError, match=reason) as caught:
            server_context(one, two)
        assert caught.value.is_key is is_key


def _pem(encryption: serialization.KeySerializationEncryption) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
