"""What commands tell a program or a person whose first call is not quite right."""

import json

import pytest
from click.testing import CliRunner

from tests.cli.command_shell import CONFIG, CommandShell
from tests.cli.commands import STATISTICS, submit
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.cli.main import main


def test_the_job_is_printed_when_the_time_is_over(shell: CommandShell) -> None:
    """`--json` gives the job on stdout although the exit code says that it has not ended."""
    result = shell("submit", *STATISTICS, "--wait", "--timeout", "0", "--json", code=ExitCode.TIMED_OUT)
    assert json.loads(result.stdout)["state"] == "queued"


def test_a_mistyped_account(shell: CommandShell) -> None:
    """It is an error that names the configured ones; an account that has left the configuration keeps its list."""
    result = shell("jobs", "list", "--account", "shpo", code=ExitCode.USAGE)
    assert "configured: shop" in result.stderr
    number = submit(shell)
    shell.config.write_text(CONFIG.replace("accounts.shop", "accounts.store"))
    assert [job["id"] for job in shell.json("jobs", "list", "--account", "shop")["jobs"]] == [number]
    assert "configured: store" in shell("jobs", "list", "--account", "shpo", code=ExitCode.USAGE).stderr


@pytest.mark.usefixtures("shell")
def test_doctor_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """`NO_COLOR` holds on a terminal, too."""
    arguments = ("doctor", "--offline")
    assert "\x1b[" in CliRunner().invoke(main, arguments, color=True).output
    monkeypatch.setenv("NO_COLOR", "1")
    plain = CliRunner().invoke(main, arguments, color=True).output
    assert "\x1b[" not in plain
    assert "checks: " in plain
