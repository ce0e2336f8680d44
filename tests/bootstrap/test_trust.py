"""``[network] ca_file``: it is used beside the system's authorities, checked, and read again on SIGHUP."""

from pathlib import Path

import pytest

from tests.support.byte_servers import answering, reply, serving
from tests.support.certificates import Authority, self_signed
from tests.support.configurations import write
from tests.support.daemon_in_process import DaemonSetup
from tidewaiter.bootstrap import faults_of
from tidewaiter.bootstrap.start_checks import connections_of
from tidewaiter.config import load
from tidewaiter.domain.http_values import WireRequest
from tidewaiter.transport.aiohttp_wire import AiohttpWire
from tidewaiter.transport.connection_settings import Trust
from tidewaiter.transport.wire import Timeouts, TlsError

PATIENT = Timeouts(connect_s=5.0, read_s=5.0, overall_s=5.0)


async def asked(wire: AiohttpWire, url: str) -> bytes:
    """What a server answers."""
    async with wire.open(WireRequest("GET", url), private_ok=True, timeouts=PATIENT, stream=False) as answered:
        return (await answered.read(100))[0]


async def test_a_private_authority(tmp_path: Path) -> None:
    """Its servers are trusted with the file, on kept connections too, and no longer when the file is taken away."""
    authority = Authority.made(tmp_path)
    config = load(write(tmp_path, '[network]\nca_file = "authority.pem"'), {})
    connections = connections_of(config)
    assert config.secrets == ()  # a public file, and not a secret's
    async with serving(answering(reply(200, b"safe")), authority.server()) as server, AiohttpWire() as wire:
        with pytest.raises(TlsError):
            await asked(wire, server.origin + "/")
        wire.reconfigure(connections)
        assert await asked(wire, server.origin + "/") == b"safe"
        wire.reconfigure(connections_of(config))  # the same content: the connection is kept
        assert await asked(wire, server.origin + "/") == b"safe"
        assert server.connections == 1
        wire.reconfigure(connections_of(load(write(tmp_path, ""), {})))
        with pytest.raises(TlsError):
            await asked(wire, server.origin + "/")


async def test_the_system_is_trusted_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file adds authorities; those of the system, or of SSL_CERT_FILE, stay."""
    company, known = Authority.made(tmp_path), self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "self-signed.pem"))
    connections = connections_of(load(write(tmp_path, f'[network]\nca_file = "{company.file}"'), {}))
    async with AiohttpWire(connections=connections) as wire:
        for tls in (known, company.server()):
            async with serving(answering(reply(200, b"safe")), tls) as server:
                assert await asked(wire, server.origin + "/") == b"safe"


def test_the_systems_authorities_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that trust no others share them; a file of our own, or another place of the system's, is read by itself."""
    shared = Trust().context
    assert Trust().context is shared
    assert Trust.of(Authority.made(tmp_path).file).context is not shared
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert Trust().context is not shared


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory; name a file that this user may read"),
        ("no certificate", "holds no certificate in PEM form"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "has a certificate that cannot be read"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, content: str | None, reason: str) -> None:
    """check-config names the key, the file and the remedy."""
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    (fault,) = faults_of(load(write(tmp_path, '[network]\nca_file = "ca.pem"'), {}))
    assert fault.key == "network.ca_file"
    assert fault.reason.startswith(f"{tmp_path}/ca.pem {reason}")


async def test_it_is_read_again(setup: DaemonSetup, tmp_path: Path) -> None:
    """SIGHUP takes another file, and another content of the same file; a bad one is refused and the last one stays."""
    authority = Authority.made(tmp_path)
    (setup.folder / "ca.pem").write_bytes(authority.file.read_bytes())
    setup.write(setup.account("shop"))
    async with setup.serving():
        setup.write(setup.account("shop"), '[network]\nca_file = "ca.pem"\n')
        told = await setup.reload()
        assert (told["changed"], told["lanes"]) == (["network.ca_file"], 0)
        assert (await setup.reload())["changed"] == []
        (setup.folder / "ca.pem").write_bytes(Authority.made(tmp_path).file.read_bytes())
        assert (await setup.reload())["changed"] == ["network.ca_file"]
        (setup.folder / "ca.pem").write_text("nothing")
        assert (await setup.reload())["key"] == "network.ca_file"
    assert setup.code == 0
