"""``tidewaiter healthcheck``: what it asks, what it says, and with which code it ends."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.command_folder import ROOT, CommandFolder
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


def listen_at(place: CommandFolder, listen: str) -> None:
    """Configure the address."""
    place.config.write_text(f'{place.config.read_text()}\n[http]\nlisten = "{listen}"\n')


@pytest.mark.parametrize(("option", "path"), [([], "/healthz"), (["--ready"], "/readyz")])
def test_all_is_well(place: CommandFolder, option: list[str], path: str) -> None:
    """The one address for life and the other for readiness; a word on stdout, and 0."""
    asked: list[str] = []
    with answering(200, json.dumps(WELL).encode(), asked) as port:
        listen_at(place, f"127.0.0.1:{port}")
        assert place("healthcheck", *option).stdout == "ok: serving\n"
        assert place.json("healthcheck", *option) == WELL
    assert asked == [path, path]


def test_what_listens_everywhere_is_asked_here(place: CommandFolder) -> None:
    """0.0.0.0 is where one listens, not where one asks."""
    with answering(200, json.dumps(WELL).encode(), []) as port:
        listen_at(place, f"0.0.0.0:{port}")
        place("healthcheck")


def test_the_environment_comes_first(place: CommandFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere in the configuration, in upper or lower case; no file is needed."""
    listen_at(place, "127.0.0.1:1")
    with answering(200, json.dumps(WELL).encode(), []) as port:
        monkeypatch.setenv("tidewaiter__http__listen", f"127.0.0.1:{port}")
        place("healthcheck")
        place.config.unlink()
        place("healthcheck")


def test_an_address_out_of_a_file(place: CommandFolder) -> None:
    """Any key may stand in a file of its own; the loader knows how to read it."""
    with answering(200, json.dumps(WELL).encode(), []) as port:
        (place.folder / "address").write_text(f"127.0.0.1:{port}\n")
        place.config.write_text(f'{place.config.read_text()}\n[http]\nlisten_file = "address"\n')
        place("healthcheck")


def test_not_ready_says_what_fails(place: CommandFolder) -> None:
    """1, with each thing that fails in one line on stderr; with --json the whole answer on stdout as well."""
    told = {"status": "unready", "failing": {"database": "It does not answer.", "lanes": "none"}}
    with answering(503, json.dumps(told).encode(), []) as port:
        listen_at(place, f"127.0.0.1:{port}")
        result = place("healthcheck", "--ready", code=ExitCode.FAILED)
        assert result.stderr == "tidewaiter: database: It does not answer.; lanes: none\n"
        result = place("healthcheck", "--ready", "--json", code=ExitCode.FAILED)
        assert json.loads(result.stdout) == told


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff\xfe", b""])
def test_somebody_else_answers(place: CommandFolder, body: bytes) -> None:
    """Another program at that port is no daemon that is well."""
    with answering(200, body, []) as port:
        listen_at(place, f"127.0.0.1:{port}")
        result = place("healthcheck", code=ExitCode.FAILED)
    assert "is not Tidewaiter" in result.stderr


def test_nobody_answers(place: CommandFolder) -> None:
    """1 and one line, whether the port is shut or silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listen_at(place, f"127.0.0.1:{silent.getsockname()[1]}")
        result = place("healthcheck", "--timeout", "0.2", code=ExitCode.FAILED)
        assert result.stderr.count("\n") == 1
        assert "within 0.2 seconds" in result.stderr
    result = place("healthcheck", code=ExitCode.FAILED)
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize("listen", [None, "127.0.0.1:0", "nonsense"])
def test_no_address_is_configured(place: CommandFolder, listen: str | None) -> None:
    """78, and what to write; a port that the system chooses is none that could be asked."""
    if listen is not None:
        listen_at(place, listen)
    result = place("healthcheck", code=ExitCode.CONFIG)
    assert "[http]" in result.stderr


def test_no_configuration_at_all(place: CommandFolder) -> None:
    """78, as for every command."""
    place.config.unlink()
    assert "there is no configuration" in place("healthcheck", code=ExitCode.CONFIG).stderr


def test_it_loads_little(place: CommandFolder) -> None:
    """It runs every few seconds for months, so neither the database's library nor pydantic is loaded."""
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom tidewaiter.cli.main import main\n"
        "assert CliRunner().invoke(main, ['healthcheck']).exit_code == 0\n"
        "print(sorted({'sqlalchemy', 'pydantic', 'aiohttp', 'structlog', 'rich'} & set(sys.modules)))"
    )
    with answering(200, json.dumps(WELL).encode(), []) as port:
        listen_at(place, f"127.0.0.1:{port}")
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=place.folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[]\n", "")
