"""Backfills on the command line: previewed, made, shown, paused, resumed and cancelled."""

import pytest

from tests.cli.command_shell import CommandShell
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.web.api.batch_schemas import BackfillPreviewShape, BackfillShape

pytestmark = pytest.mark.usefixtures("migrated")

SPEC = """
name = "harbour"
title = "An API for tests"
base_url = "http://127.0.0.1:9"
[account]
token = { secret = true, help = "the token" }
[auth]
type = "bearer"
token = "${account.token}"
[operations.report]
title = "Report"
[operations.report.params]
day = { help = "which day" }
[operations.report.submit]
url = "/reports"
json = { day = "${params.day}" }
handle = "id"
[operations.report.poll]
url = "/reports/${handle}"
rules = [{ word = "state", words = { working = "pending", done = "ready" } }]
[operations.report.results]
url = "/reports/${handle}/file"
"""
MORE = """
[providers]
folders = ["specs"]
[accounts.quay]
provider = "harbour"
[accounts.quay.settings]
token = "canary-token"
"""
FILL = ("backfill", "quay", "report", "--from", "2026-01-01", "--to", "2026-06-30", "--window", "1d")
DAY = ("-p", "day=${window.from}")


def _prepare(shell: CommandShell) -> None:
    specs = shell.config.parent / "specs"
    specs.mkdir()
    (specs / "harbour.toml").write_text(SPEC)
    shell.config.write_text(shell.config.read_text() + MORE)


@pytest.mark.slow
def test_a_backfill(shell: CommandShell) -> None:
    """A dry run changes nothing; the same name is the same backfill; a person pauses, resumes and cancels it."""
    _prepare(shell)
    shown = shell(*FILL, *DAY, "--dry-run").stdout
    assert "it would fill 181 windows; 0 of them" in shown
    assert "first job: day=2026-01-01" in shown
    assert "last job:  day=2026-06-30" in shown
    preview = shell.json(*FILL, *DAY, "--newest-first", "--dry-run")
    assert set(preview) == set(BackfillPreviewShape.model_fields)
    assert preview["first"] == {"day": "2026-06-30"}
    assert shell("backfills", "list").stdout == "no backfills\n"
    made = shell.json(*FILL, *DAY, "--name", "fill", "--label", "dag=x", "--at-once", "2")
    assert set(made) == {*BackfillShape.model_fields, "from"} - {"first"}
    assert (made["windows"], made["labels"], made["at_once"]) == (181, {"dag": "x"}, 2)
    again = shell(*FILL, *DAY, "--name", "fill", "--label", "dag=x", "--at-once", "2").stdout
    assert again.startswith("backfill fill is running: 0 of 181 windows done; 0 reused\n")
    assert "taken" in shell(*FILL, *DAY, "--name", "fill", code=ExitCode.USAGE).stderr
    assert "fill" in shell("backfills", "list").stdout
    assert [one["name"] for one in shell.json("backfills", "list")["backfills"]] == ["fill"]
    paused = shell("backfills", "pause", "fill", "--reason", "their maintenance").stdout
    assert "is paused" in paused
    assert "their maintenance" in paused
    assert shell.json("backfills", "resume", "fill")["state"] == "running"
    assert shell.json("backfills", "cancel", "fill")["state"] == "cancelled"
    assert "is cancelled" in shell("backfills", "show", "fill").stdout
    assert "no backfill" in shell("backfills", "show", "none", code=ExitCode.FAILED).stderr


def test_wrong_backfills(shell: CommandShell) -> None:
    """What cannot be filled is refused with 2 and the reason."""
    _prepare(shell)
    assert "window.from" in shell(*FILL, "-p", "day=x", code=ExitCode.USAGE).stderr
    assert "1d, 6h or 1mo" in shell(*FILL[:-1], "1x", *DAY, code=ExitCode.USAGE).stderr
