"""The systemd unit: its command exists, and it handles the exit codes."""

import shlex

from tests.deploy.files import DEPLOY
from tests.support.command_lines import fault_of
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.invocation import CONFIG_PLACES, CONFIG_VARIABLE
from tidewaiter.config.config_tables import WorkerTable


def _settings() -> dict[str, list[str]]:
    """The unit's settings, each with every value that it is given."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "tidewaiter.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_commands_exist() -> None:
    """The tables are brought up to date before each start, and then the daemon runs."""
    unit = _settings()
    lines = [shlex.split(line) for name in ("ExecStartPre", "ExecStart") for line in unit[name]]
    assert {line[0] for line in lines} == {"/opt/tidewaiter/bin/tidewaiter"}
    assert [fault_of(line[1:]) for line in lines] == [None, None]
    assert f"{CONFIG_VARIABLE}={CONFIG_PLACES[-1]}" in unit["Environment"]


def test_restarts_know_the_exit_codes() -> None:
    """A faulty configuration is not tried again; anything else is, for ever."""
    unit = _settings()
    assert unit["Restart"] == ["on-failure"]
    assert unit["RestartPreventExitStatus"] == [str(int(ExitCode.CONFIG))]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_there_is_time_to_drain() -> None:
    """The daemon is killed only after its own grace, and is told alone."""
    unit = _settings()
    assert float(unit["TimeoutStopSec"][0]) > WorkerTable().drain_s + 10
    assert unit["KillMode"] == ["mixed"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
