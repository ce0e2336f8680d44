"""Batches on the command line: jobs join one, it is listed and shown, and its end is waited for."""

import sqlite3

import pytest

from tests.cli.command_shell import CommandShell
from tests.cli.commands import submit
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.web.api.batch_schemas import BatchShape

pytestmark = pytest.mark.usefixtures("migrated")


def _end(shell: CommandShell, state: str) -> None:
    """What a daemon would have written."""
    with sqlite3.connect(shell.config.parent / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = ?, finished_at = 1.0", (state,))
        database.execute("UPDATE batches SET open = 0, ended_at = 1.0")


@pytest.mark.slow
def test_a_batch(shell: CommandShell) -> None:
    """Its jobs are listed by its name, and cancelled by it."""
    first, second = submit(shell, "--batch", "march"), submit(shell, "--batch", "march")
    other = submit(shell, "--batch", "april")
    batches = shell.json("batches", "list")["batches"]
    assert [(one["name"], one["jobs"], one["open"]) for one in batches] == [("april", 1, 1), ("march", 2, 2)]
    assert set(batches[0]) == set(BatchShape.model_fields)
    assert shell.json("batches", "list", "--limit", "1")["next"] == "/v1/batches?limit=1&before=april"
    assert [one["name"] for one in shell.json("batches", "list", "--before", "april")["batches"]] == ["march"]
    assert shell.json("batches", "show", "march") == batches[1]
    assert "2 jobs, 2 not ended (2 queued)" in shell("batches", "show", "march").stdout
    assert "march" in shell("batches", "list").stdout
    assert [job["id"] for job in shell.json("jobs", "list", "--batch", "march")["jobs"]] == [second, first]
    cancelled = shell.json("jobs", "cancel", "--batch", "march")["jobs"]
    assert [(job["id"], job["cancel_requested"]) for job in cancelled] == [(first, True), (second, True)]
    assert shell.json("jobs", "show", str(other))["cancel_requested"] is False
    assert "no batch" in shell("batches", "show", "may", code=ExitCode.FAILED).stderr
    assert (
        "no name of a batch"
        in shell(
            "submit", "shop", "statistics", "-p", "export_type=OPENS", "--batch", "a/b", code=ExitCode.USAGE
        ).stderr
    )


def test_waiting_for_a_batch(shell: CommandShell) -> None:
    """75 while it goes on, 0 when all have succeeded, 1 when one has not."""
    assert shell("batches", "list").stdout == "no batches\n"
    submit(shell, "--batch", "march")
    waited = shell("batches", "wait", "march", "--timeout", "0", code=ExitCode.TIMED_OUT)
    assert "1 job of batch march has not ended" in waited.stderr
    _end(shell, "succeeded")
    assert shell("batches", "wait", "march", "--json").stdout.startswith("{")
    _end(shell, "failed")
    assert shell("batches", "wait", "march", code=ExitCode.FAILED).stdout.startswith("batch march: 1 job, 0 not ended")


def test_a_batch_that_waits_for_a_person(shell: CommandShell) -> None:
    """Nothing would happen, so the wait ends."""
    submit(shell, "--batch", "march")
    with sqlite3.connect(shell.config.parent / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'parked'")
    waited = shell("batches", "wait", "march", code=ExitCode.FAILED)
    assert "wait for a person" in waited.stderr
