"""``tidewaiter healthcheck``: checks the running daemon, for a container that does so every few seconds.

It must start quickly, so it reads no more than the address of ``[http]`` from the configuration. It uses the loader
only if the address is not written plainly.
"""

import http.client
import json
import os
from typing import Any, Final

import click

from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, config_option, example, pass_invocation
from tidewaiter.toml_file import TomlError, parse, read_text

_VARIABLE: Final = "TIDEWAITER__HTTP__LISTEN"
_CERTIFICATE: Final = "TIDEWAITER__HTTP__TLS_CERTIFICATE"
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # the address to listen on, and the one to connect to
_LARGEST_BODY: Final = 65_536
_NO_ADDRESS: Final = (
    'no address is configured: add listen = "127.0.0.1:8090" to [http] of the configuration, with a port of its own'
)


@click.command(
    epilog=example(
        "tidewaiter healthcheck",
        "tidewaiter healthcheck --ready --json",
        'HEALTHCHECK CMD ["tidewaiter", "healthcheck"]',
    )
)
@click.option("--ready", is_flag=True, help="Check whether new work is done, not only whether the daemon is alive.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 60.0), default=3.0, show_default=True, metavar="SECONDS",
    help="How long to wait for the reply.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@config_option
@pass_invocation
def healthcheck(invocation: Invocation, /, *, ready: bool, timeout_s: float, as_json: bool) -> None:
    """Check the health of the running daemon.

    It sends a request to the address of [http] listen on this machine, and needs no token. Exit codes: 0 if the daemon
    is healthy; 1 if it is not, or does not answer; 78 if [http] names no address.
    """
    host, port = _address(invocation)
    connection = _connection(host, port, timeout_s, is_tls=_has_certificate(invocation))
    status, reply = _ask(connection, "/readyz" if ready else "/healthz", timeout_s)
    if as_json:
        click.echo(json.dumps(reply, indent=2, ensure_ascii=False))
    elif status == http.HTTPStatus.OK:
        click.echo(f"{reply.get('status', 'ok')}: {reply.get('phase', 'unknown')}")
    if status != http.HTTPStatus.OK:
        raise CommandError(ExitCode.FAILED, _reason(status, reply))


def _address(invocation: Invocation) -> tuple[str, int]:
    """The address of the daemon of this configuration.

    Raises:
        CommandError: it does not listen, or its port is not known.
        ConfigError: the configuration cannot be used.
    """
    listen = _plainly_written(invocation)
    if listen is None:
        listen = invocation.load().http.listen
    host, _, port = (listen or "").rpartition(":")
    if not port.isdecimal() or int(port) == 0:
        raise CommandError(ExitCode.CONFIG, _NO_ADDRESS)
    bare = host.removeprefix("[").removesuffix("]")
    return _EVERY_ADDRESS.get(bare, bare), int(port)


def _plainly_written(invocation: Invocation) -> str | None:
    """The address from the environment or the file, without loading the rest; ``None`` if the loader is needed."""
    for name, value in os.environ.items():
        if name.upper() == _VARIABLE:
            return value
    path = invocation.find_config()
    if path is None:
        return None
    try:
        table = parse(read_text(path)).get("http", {})
    except TomlError:
        return None  # the loader reports the error
    listen = table.get("listen") if isinstance(table, dict) else None
    return listen if isinstance(listen, str) else None


def _has_certificate(invocation: Invocation) -> bool:
    """Whether the daemon of this configuration speaks TLS there."""
    if any(name.upper() == _CERTIFICATE and value for name, value in os.environ.items()):
        return True
    path = invocation.find_config()
    try:
        table = {} if path is None else parse(read_text(path)).get("http", {})
    except TomlError:
        return False
    return isinstance(table, dict) and "tls_certificate" in table


def _connection(host: str, port: int, timeout_s: float, *, is_tls: bool) -> http.client.HTTPConnection:
    if not is_tls:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    import ssl  # noqa: PLC0415  # few need it

    # The socket is on this machine, nothing secret is sent, and the certificate is for another name.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _ask(connection: http.client.HTTPConnection, path: str, timeout_s: float) -> tuple[int, dict[str, Any]]:
    host, port = connection.host, connection.port
    try:
        connection.request("GET", path, headers={"Connection": "close", "User-Agent": "tidewaiter-healthcheck"})
        with connection.getresponse() as response:
            status, body = response.status, response.read(_LARGEST_BODY)
    except TimeoutError:
        reason = f"no reply from {host}:{port} within {timeout_s:g} seconds"
        raise CommandError(ExitCode.FAILED, reason) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CommandError(ExitCode.FAILED, f"no reply from {host}:{port}: {reason}") from None
    finally:
        connection.close()
    try:
        reply = json.loads(body)
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        raise CommandError(ExitCode.FAILED, f"the server at {host}:{port} is not Tidewaiter: HTTP {status}")
    return status, reply


def _reason(status: int, reply: dict[str, Any]) -> str:
    """Why the daemon is not healthy, in one line."""
    failing = reply.get("failing")
    if isinstance(failing, dict) and failing:
        return "; ".join(f"{what}: {why}" for what, why in failing.items())
    return str(reply.get("reason") or reply.get("detail") or reply.get("title") or f"HTTP {status}")
