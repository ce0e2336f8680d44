"""``tidewaiter healthcheck``: its request, its output, and its exit codes."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.command_shell import ROOT, CommandShell
from tidewaiter.cli.exit_codes import ExitCode

WELL = {"status": "ok", "phase": "serving"}


@contextmanager
def answering(status: int, body: bytes, asked: list[str]) -> Iterator[int]:
    """A server with one answer, on the port that is yielded; notes what it is asked."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def listen_at(shell: CommandShell, listen: str) -> None:
    """Configure the address."""
    shell.config.write_text(f'{shell.config.read_text()}\n[http]\nlisten = "{listen}"\n')


@pytest.mark.parametrize(("option", "path"), [([], "/healthz"), (["--ready"], "/readyz")])
def test_all_is_well(shell: CommandShell, option: list[str], path: str) -> None:
    """The one address for life and the other for readiness; a word on stdout, and 0."""
    asked: list[str] = []
    with answering(200, json.dumps(WELL).encode(), asked) as port:
        listen_at(shell, f"127.0.0.1:{port}")
        assert shell("healthcheck", *option).stdout == "ok: serving\n"
        assert shell.json("healthcheck", *option) == WELL
    assert asked == [path, path]


def test_what_listens_everywhere_is_asked_here(shell: CommandShell) -> None:
    """0.0.0.0 is where one listens, not where one asks."""
    with answering(200, json.dumps(WELL).encode(), []) as port:
        listen_at(shell, f"0.0.0.0:{port}")
        shell("healthcheck")


def test_the_environment_comes_first(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere in the configuration, in upper or lower case; no file is needed."""
    listen_at(shell, "127.0.0.1:1")
    with answering(200, json.dumps(WELL).encode(), []) as port:
        monkeypatch.setenv("tidewaiter__http__listen", f"127.0.0.1:{port}")
        shell("healthcheck")
        shell.config.unlink()
        shell("healthcheck")


def test_an_address_out_of_a_file(shell: CommandShell) -> None:
    """Any key may stand in a file of its own; the loader knows how to read it."""
    with answering(200, json.dumps(WELL).encode(), []) as port:
        (shell.folder / "address").write_text(f"127.0.0.1:{port}\n")
        shell.config.write_text(f'{shell.config.read_text()}\n[http]\nlisten_file = "address"\n')
        shell("healthcheck")


def test_not_ready_says_what_fails(shell: CommandShell) -> None:
    """1, with each thing that fails in one line on stderr; with --json the whole answer on stdout as well."""
    document = {"status": "unready", "failing": {"database": "It does not answer.", "lanes": "none"}}
    with answering(503, json.dumps(document).encode(), []) as port:
        listen_at(shell, f"127.0.0.1:{port}")
        result = shell("healthcheck", "--ready", code=ExitCode.FAILED)
        assert result.stderr == "tidewaiter: database: It does not answer.; lanes: none\n"
        result = shell("healthcheck", "--ready", "--json", code=ExitCode.FAILED)
        assert json.loads(result.stdout) == document


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff\xfe", b""])
def test_somebody_else_answers(shell: CommandShell, body: bytes) -> None:
    """Another program at that port is no daemon that is well."""
    with answering(200, body, []) as port:
        listen_at(shell, f"127.0.0.1:{port}")
        result = shell("healthcheck", code=ExitCode.FAILED)
    assert "is not Tidewaiter" in result.stderr


@pytest.mark.fault(8)
def test_nobody_answers(shell: CommandShell) -> None:
    """1 and one line, whether the port is shut or silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listen_at(shell, f"127.0.0.1:{silent.getsockname()[1]}")
        result = shell("healthcheck", "--timeout", "0.2", code=ExitCode.FAILED)
        assert result.stderr.count("\n") == 1
        assert "within 0.2 seconds" in result.stderr
    result = shell("healthcheck", code=ExitCode.FAILED)
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize("listen", [None, "127.0.0.1:0", "nonsense"])
def test_no_address_is_configured(shell: CommandShell, listen: str | None) -> None:
    """78, and what to write; a port that the system chooses is none that could be asked."""
    if listen is not None:
        listen_at(shell, listen)
    result = shell("healthcheck", code=ExitCode.CONFIG)
    assert "[http]" in result.stderr


def test_no_configuration_at_all(shell: CommandShell) -> None:
    """78, as for every command."""
    shell.config.unlink()
    assert "there is no configuration" in shell("healthcheck", code=ExitCode.CONFIG).stderr


def test_it_loads_little(shell: CommandShell) -> None:
    """It runs every few seconds for months, so neither the database's library nor pydantic is loaded."""
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom tidewaiter.cli.main import main\n"
        "assert CliRunner().invoke(main, ['healthcheck']).exit_code == 0\n"
        "print(sorted({'sqlalchemy', 'pydantic', 'aiohttp', 'structlog', 'rich'} & set(sys.modules)))"
    )
    with answering(200, json.dumps(WELL).encode(), []) as port:
        listen_at(shell, f"127.0.0.1:{port}")
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=shell.folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[]\n", "")
