"""``tidewaiter top`` as a process: on a terminal, through a pipe, beside a daemon, without its database."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.cli.command_shell import ROOT, CommandShell
from tests.cli.terminal import Terminal, terminal
from tests.support.postgres import Postgres
from tidewaiter.cli.exit_codes import ExitCode

ENTER, LEAVE, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


@contextmanager
def on_screen(
    shell: CommandShell, *arguments: str, lines: int = 24, columns: int = 80, **environ: str
) -> Iterator[Terminal]:
    """The command on a terminal of its own."""
    command = [sys.executable, "-m", "tidewaiter.cli.main", "top", *arguments]
    with terminal(command, shell.folder, {"PYTHONPATH": str(ROOT), **environ}, lines=lines, columns=columns) as screen:
        yield screen


@pytest.mark.slow
def test_on_a_terminal(shell: CommandShell) -> None:
    """It draws on a screen of its own, obeys `q`, and leaves the terminal as it was, with exit code 0."""
    with on_screen(shell, "--every", "200ms") as screen:
        before = screen.settings()
        screen.wait_for(ENTER)
        screen.wait_for("tidewaiter top")
        screen.wait_for("no daemon is running")
        assert screen.settings() != before  # keys are read one by one, and not shown
        screen.type("x")
        screen.wait_for("q ends it")
        screen.type("q")
        assert screen.process.wait(30) == 0
        assert screen.settings() == before
        rest = screen.rest()
        assert SHOW_CURSOR in rest
        assert LEAVE in rest
        assert rest.partition(LEAVE)[2].strip("\r\n") in ("", SHOW_CURSOR)  # nothing is left behind below the prompt


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\x03", signal.SIGTERM, signal.SIGHUP])
def test_other_ends(shell: CommandShell, end: str | signal.Signals) -> None:
    """Ctrl-C, a signal and a closed terminal end it just as well."""
    with on_screen(shell) as screen:
        before = screen.settings()
        screen.wait_for("q ends it")
        if isinstance(end, str):
            screen.type(end)
        else:
            screen.process.send_signal(end)
        assert screen.process.wait(30) == 0
        assert screen.settings() == before
        assert LEAVE in screen.rest()


@pytest.mark.slow
def test_a_new_size(shell: CommandShell) -> None:
    """When the terminal changes its size it is drawn anew at once, not with the next snapshot."""
    with on_screen(shell, "--every", "1h") as screen:
        screen.wait_for("q ends it")
        screen.resize(40, 140)
        drawn = screen.wait_for("q ends it")
        assert "▁" * 60 in drawn
        screen.resize(24, 80)
        assert "▁" * 21 not in screen.wait_for("q ends it")
        screen.type("q")
        assert screen.process.wait(30) == 0


@pytest.mark.slow
def test_no_colour(shell: CommandShell) -> None:
    """NO_COLOR applies to the screen, too; a dumb terminal gets one screen as text."""
    with on_screen(shell, NO_COLOR="1") as screen:
        drawn = screen.wait_for("q ends it")
        screen.type("q")
        assert screen.process.wait(30) == 0
    assert "\x1b[31" not in drawn
    assert "\x1b[1;31" not in drawn
    with on_screen(shell, TERM="dumb") as screen:
        screen.wait_for("no daemon is running")
        assert screen.process.wait(30) == 0
        assert "\x1b" not in screen.rest()


@pytest.mark.slow
def test_once_on_a_terminal(shell: CommandShell) -> None:
    """--once prints below the prompt, on no screen of its own."""
    with on_screen(shell, "--once") as screen:
        shown = screen.wait_for("landed")
        assert screen.process.wait(30) == 0
        assert ENTER not in shown + screen.rest()


@pytest.mark.slow
def test_once_at_80_columns(shell: CommandShell) -> None:
    """The name of a lane is whole."""
    name = "newsletter-of-the-north-and-the-south"
    shell.config.write_text(shell.config.read_text().replace("accounts.shop", f"accounts.{name}"))
    shell("submit", name, "statistics", "-p", "export_type=OPENS")
    with on_screen(shell, "--once") as screen:
        screen.wait_for(f"\n{name} ")
        assert screen.process.wait(30) == 0


@pytest.mark.slow
def test_beside_a_daemon(emulated: CommandShell) -> None:
    """It shows the daemon, its lane, the job that landed and its file; as JSON the same."""
    with emulated.process("serve") as daemon:
        job = emulated.json("submit", "shop", "statistics", "-p", "export_type=OPENS", "--wait", "--timeout", "30")
        text = emulated("top", "--once").stdout
        document = emulated.json("top", "--account", "shop")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    (artifact,) = job["artifacts"]
    assert f":{daemon.pid} (" in text
    assert "1 succeeded" in text
    assert artifact["name"] in text
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert [one["pid"] for one in document["daemons"]] == [daemon.pid]
    (lane,) = document["lanes"]
    assert (lane["account"], lane["provider"], lane["condition"]) == ("shop", "symplify", "open")
    assert lane["requests"]["most"] == 1000
    assert sum(one["ended"].get("succeeded", 0) for one in document["minutes"]) == 1
    (landed,) = document["landed"]
    assert (landed["job"], landed["name"], landed["size"]) == (job["id"], artifact["name"], artifact["size"])


@pytest.mark.slow
def test_one_dashboard_after_the_other(shell: CommandShell) -> None:
    """Through a pipe --every prints one object a line until somebody ends it, with 0."""
    shell("submit", "shop", "statistics", "-p", "export_type=OPENS")
    with shell.process("top", "--json", "--every", "100ms") as process:
        first, second = json.loads(line_of(process)), json.loads(line_of(process))
        assert second["at"] > first["at"]
        assert first["jobs"]["queued"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_a_database_that_goes_and_comes_back(shell: CommandShell, postgres: Postgres, postgres_url: str) -> None:
    """While it is away every state says so; when it is back they are whole again. One state alone ends with 69."""
    shell.config.write_text(f'[database]\nurl = "{postgres_url}"\n{shell.config.read_text()}')
    with shell.process("top", "--json", "--every", "100ms") as process:
        assert json.loads(line_of(process))["jobs"] is not None
        postgres.kill()
        try:
            error = next(picture["error"] for picture in pictures(process) if picture["error"])
            assert error.startswith("The database")
            result = shell("top", code=ExitCode.UNAVAILABLE)
            assert result.stderr.startswith("tidewaiter: The database")
        finally:
            postgres.start()
        assert next(picture for picture in pictures(process) if not picture["error"])["jobs"]["queued"] == 0


@pytest.mark.slow
def test_a_database_that_accepts_no_writes(shell: CommandShell) -> None:
    """What can be read is shown, and above it why nothing moves."""
    shell("db", "upgrade")
    with closing(sqlite3.connect(shell.folder / "tidewaiter.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        document = shell.json("top")
        text = shell("top", "--once").stdout
        other.execute("ROLLBACK")
    assert "is held by another program" in document["writes"]
    assert (document["error"], document["jobs"]["queued"]) == (None, 0)
    assert text.splitlines()[1].startswith("No writes, so no job moves. The database is held by another program")
    assert shell.json("top")["writes"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--every", "soon"), "'soon' is no time; write it as 2s, 500ms or 1min"),
        (("--every", "1ms"), "'1ms' is not between 100ms and 24h"),
        (("--every", "2s", "--once"), "--every is for more than one snapshot, --once for one"),
        (("--account", "nobody"), "unknown account 'nobody'; configured: shop"),
    ],
)
def test_usage(shell: CommandShell, arguments: tuple[str, ...], message: str) -> None:
    """What cannot be is told in a sentence, with 2."""
    assert message in shell("top", *arguments, code=ExitCode.USAGE).stderr


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def pictures(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """The pictures that a process prints from now on."""
    assert process.stdout is not None
    return map(json.loads, process.stdout)
