"""``tidewaiter healthcheck``: ask the running daemon how it is, for a container that does so every few seconds.

It begins quickly, so it reads no more of the configuration than it needs: the address of ``[http]``, by itself where it
is written plainly, and by the loader otherwise.
"""

import http.client
import json
import os
from typing import Any, Final

import click

from app.cli.errors import CommandError, ExitCode
from app.cli.session import Session, config_option, example, pass_session
from app.toml_file import TomlError, parse, read_text

_VARIABLE: Final = "TIDEWAITER__HTTP__LISTEN"
_CERTIFICATE: Final = "TIDEWAITER__HTTP__TLS_CERTIFICATE"
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # where one listens, and where one asks
_LARGEST_BODY: Final = 65_536
_NO_ADDRESS: Final = (
    'there is no address to ask: add listen = "127.0.0.1:8090" to [http] of the configuration, with a port of its own'
)


@click.command(
    epilog=example(
        "tidewaiter healthcheck",
        "tidewaiter healthcheck --ready --json",
        'HEALTHCHECK CMD ["tidewaiter", "healthcheck"]',
    )
)
@click.option("--ready", is_flag=True, help="Ask whether new work would be done, not only whether the daemon lives.")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0.1, 60.0), default=3.0, show_default=True, metavar="SECONDS",
    help="How long to wait for the answer.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@config_option
@pass_session
def healthcheck(session: Session, /, *, ready: bool, timeout_s: float, as_json: bool) -> None:
    """Ask the running daemon how it is.

    It asks the address of [http] listen on this machine, and needs no token. Exit codes: 0 when all is well; 1 when it
    is not, or nobody answers; 78 when [http] names no address.
    """
    host, port = _address(session)
    connection = _connection(host, port, timeout_s, is_tls=_has_certificate(session))
    status, told = _ask(connection, "/readyz" if ready else "/healthz", timeout_s)
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif status == http.HTTPStatus.OK:
        click.echo(f"{told.get('status', 'ok')}: {told.get('phase', 'unknown')}")
    if status != http.HTTPStatus.OK:
        raise CommandError(ExitCode.FAILED, _reason(status, told))


def _address(session: Session) -> tuple[str, int]:
    """Where the daemon of this configuration answers.

    Raises:
        CommandError: it listens nowhere, or on a port that nobody knows.
        ConfigError: the configuration cannot be used.
    """
    listen = _plainly_written(session)
    if listen is None:
        listen = session.load().http.listen
    host, _, port = (listen or "").rpartition(":")
    if not port.isdecimal() or int(port) == 0:
        raise CommandError(ExitCode.CONFIG, _NO_ADDRESS)
    bare = host.removeprefix("[").removesuffix("]")
    return _EVERY_ADDRESS.get(bare, bare), int(port)


def _plainly_written(session: Session) -> str | None:
    """The address as the environment or the file has it, without loading the rest; ``None`` where it takes more."""
    for name, value in os.environ.items():
        if name.upper() == _VARIABLE:
            return value
    path = session.find_config()
    if path is None:
        return None
    try:
        table = parse(read_text(path)).get("http", {})
    except TomlError:
        return None  # the loader says what is wrong
    listen = table.get("listen") if isinstance(table, dict) else None
    return listen if isinstance(listen, str) else None


def _has_certificate(session: Session) -> bool:
    """Whether the daemon of this configuration speaks TLS there."""
    if any(name.upper() == _CERTIFICATE and value for name, value in os.environ.items()):
        return True
    path = session.find_config()
    try:
        table = {} if path is None else parse(read_text(path)).get("http", {})
    except TomlError:
        return False
    return isinstance(table, dict) and "tls_certificate" in table


def _connection(host: str, port: int, timeout_s: float, *, is_tls: bool) -> http.client.HTTPConnection:
    if not is_tls:
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    import ssl  # noqa: PLC0415  # few need it

    # It is our own socket on this machine, nothing secret is sent, and the certificate is for another name.
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
        reason = f"nobody answered at {host}:{port} within {timeout_s:g} seconds"
        raise CommandError(ExitCode.FAILED, reason) from None
    except (OSError, http.client.HTTPException) as error:
        told = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CommandError(ExitCode.FAILED, f"nobody answers at {host}:{port}: {told}") from None
    finally:
        connection.close()
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise CommandError(ExitCode.FAILED, f"what answers at {host}:{port} is not Tidewaiter: HTTP {status}")
    return status, told


def _reason(status: int, told: dict[str, Any]) -> str:
    """Why the daemon is not well, in one line."""
    failing = told.get("failing")
    if isinstance(failing, dict) and failing:
        return "; ".join(f"{what}: {why}" for what, why in failing.items())
    return str(told.get("reason") or told.get("detail") or told.get("title") or f"HTTP {status}")
