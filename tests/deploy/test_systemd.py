"""The systemd unit: its command exists, and it handles the exit codes."""

import shlex
import socket
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY
from tests.support.command_lines import fault_of
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.invocation import CONFIG_PLACES, CONFIG_VARIABLE
from tidewaiter.config.config_tables import WorkerTable

PROGRAM = "/opt/tidewaiter/bin/tidewaiter"


def _settings() -> dict[str, list[str]]:
    """The unit's settings, each with every value that it is given."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "tidewaiter.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def _command(program: Path | str) -> list[str]:
    """What the unit runs, with another path of the program."""
    unit = _settings()
    assert "ExecStartPre" not in unit  # its exit code would not prevent a restart
    (line,) = unit["ExecStart"]
    return shlex.split(line.replace(PROGRAM, str(program)))


def test_commands_exist() -> None:
    """Both commands of the line exist, and the configuration is where the program looks for it."""
    shell, option, script = _command(PROGRAM)
    assert (shell, option) == ("/bin/sh", "-c")
    lines = [shlex.split(one)[1:] for one in script.replace("exec ", "").partition("; ")[2].split(" && ")]
    assert lines == [["db", "upgrade"], ["serve"]]
    assert [fault_of(line) for line in lines] == [None, None]
    assert f"{CONFIG_VARIABLE}={CONFIG_PLACES[-1]}" in _settings()["Environment"]


@pytest.mark.slow
def test_a_faulty_configuration_stays_down(tmp_path: Path) -> None:
    """The main process ends with the code that prevents a restart, although the upgrade found the fault."""
    file = tmp_path / "tidewaiter.toml"
    file.write_text("[database]\nunknown = 1\n")
    program = Path(sys.executable).with_name("tidewaiter")
    ended = subprocess.run(_command(program), env={CONFIG_VARIABLE: str(file)}, capture_output=True, check=False)
    assert str(ended.returncode) in _settings()["RestartPreventExitStatus"][0].split()


def test_a_reload_during_the_upgrade(tmp_path: Path) -> None:
    """SIGHUP does not end the start: the daemon still becomes the main process."""
    program = tmp_path / "tidewaiter"
    program.write_text('#!/bin/sh\n[ "$1" = serve ] && echo "$$" || kill -HUP $PPID\n')
    program.chmod(0o755)
    with subprocess.Popen(_command(program), stdout=subprocess.PIPE, text=True) as started:
        assert started.communicate()[0] == f"{started.pid}\n"
    assert started.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("content", "code"), [("", 0), ("[database]\nunknown = 1\n", 78)], ids=["right", "faulty"])
def test_a_reload_says_whether_the_file_is_right(tmp_path: Path, content: str, code: int) -> None:
    """The daemon is told first, and decides by itself; then the exit code of the check becomes that of the reload."""
    told, check = _settings()["ExecReload"]
    assert told == "/bin/kill -HUP $MAINPID"
    file = tmp_path / "tidewaiter.toml"
    file.write_text(content)
    words = shlex.split(check.replace(PROGRAM, str(Path(sys.executable).with_name("tidewaiter"))))
    ended = subprocess.run(words, env={CONFIG_VARIABLE: str(file)}, capture_output=True, text=True, check=False)
    assert (ended.returncode, "unknown" in ended.stderr) == (code, code != 0)


def test_the_journal_names_it() -> None:
    """Lines are found by the program's name, not by that of the shell; a hang that the watchdog ends has its place."""
    unit = _settings()
    assert unit["SyslogIdentifier"] == ["tidewaiter"]
    assert "PYTHONFAULTHANDLER=1" in unit["Environment"]


def test_it_has_files_and_connections_enough() -> None:
    """The limit of open files that systemd sets is for programs that use select()."""
    assert int(_settings()["LimitNOFILE"][0]) >= 65536


@pytest.mark.fault(64)
def test_restarts_know_the_exit_codes() -> None:
    """A faulty configuration and a lost database file stay down; after anything else the daemon is started again."""
    unit = _settings()
    assert unit["Restart"] == ["on-failure"]
    assert unit["RestartPreventExitStatus"] == ["78 74"]
    assert (int(ExitCode.CONFIG), int(ExitCode.DATABASE_LOST)) == (78, 74)
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_there_is_time_to_drain() -> None:
    """The daemon is killed only after its own grace, and is told alone."""
    unit = _settings()
    assert float(unit["TimeoutStopSec"][0]) > WorkerTable().drain_s + 10
    assert unit["KillMode"] == ["mixed"]


def test_it_says_when_it_is_ready_and_alive() -> None:
    """A start has time for an upgrade; the watchdog is longer than what the daemon takes to look at itself."""
    unit = _settings()
    assert unit["Type"] == ["notify"]
    assert "NotifyAccess" not in unit  # the main process tells, which is the daemon after the shell's exec
    assert float(unit["TimeoutStartSec"][0]) >= 600
    assert 30 <= float(unit["WatchdogSec"][0]) <= 120
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0].split()


@pytest.mark.slow
def test_the_main_process_tells_that_it_is_ready(tmp_path: Path) -> None:
    """After the upgrade, with the process number that systemd knows: the shell has become the daemon."""
    file, notify = tmp_path / "tidewaiter.toml", tmp_path / "notify"
    file.write_text('[database]\nurl = "sqlite:///jobs.db"\n[storage]\nroot = "exports"\n')
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(notify))
        manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        manager.settimeout(60)
        environ = {CONFIG_VARIABLE: str(file), "NOTIFY_SOCKET": str(notify)}
        program = Path(sys.executable).with_name("tidewaiter")
        with subprocess.Popen(_command(program), env=environ, stdout=subprocess.DEVNULL) as started:
            message, (credentials, *_), _, _ = manager.recvmsg(1024, 64)
            while message != b"READY=1":
                message, (credentials, *_), _, _ = manager.recvmsg(1024, 64)
            assert struct.unpack("3i", credentials[2])[0] == started.pid
            started.terminate()
            while message != b"STOPPING=1":
                message = manager.recv(1024)
        assert started.returncode == 0
