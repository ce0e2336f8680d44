"""Tables on a terminal that is too narrow for all columns."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click import unstyle
from rich.cells import cell_len
from rich.text import Text

from tests.cli.terminal import terminal
from tests.support.stored_jobs import NOW
from tidewaiter.cli import output
from tidewaiter.domain.formatting import date_and_time
from tidewaiter.domain.job import Job, State
from tidewaiter.services.wait_reasons import LaneCondition, LaneReport


def terminal_of(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the output be a terminal of that width, without colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


def job(number: int, state: State, **fields: object) -> Job:
    """A job with what the list shows of it."""
    params = {"export_type": "OPENS", "period": "LAST_DAY"}
    made = Job(number, 1, "newsletter", "statistics", params, state, 1, None, NOW, NOW + 9000)
    return replace(made, **fields)  # type: ignore[arg-type]  # the tests name fields of Job


def test_jobs_fit_80_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is longer than the terminal, each heading is one word of its line, and parameters are below the job."""
    terminal_of(80, monkeypatch)
    failed = job(7, State.FAILED, reason="the provider refused the segment", finished_at=NOW)
    output.show_jobs([failed, job(6, State.POLLING, due_at=NOW)], {})
    lines = unstyle(capsys.readouterr().out).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert lines[0] == "job  status   account     operation   next poll / end (UTC)"
    assert lines[2].split()[:4] == ["7", "failed", "newsletter", "statistics"]
    assert lines[3].startswith("     export_type=OPENS period=LAST_DAY · the provider refused the segment")
    assert lines[4] == f"     created {date_and_time(NOW)} UTC"
    assert lines[5].split()[:2] == ["6", "polling"]


def test_a_wide_terminal_has_all_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all columns fit, each job is one line, with its parameters in their own column."""
    terminal_of(160, monkeypatch)
    output.show_jobs([job(7, State.FAILED, reason="no", finished_at=NOW)], {})
    lines = unstyle(capsys.readouterr().out).splitlines()
    assert lines[1].split()[:6] == ["job", "status", "account", "operation", "parameters", "details"]
    assert "export_type=OPENS period=LAST_DAY" in lines[3]


def test_jobs_that_wait(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A due job of a lane that sends no request shows what holds it, and until when; others show their time."""
    terminal_of(80, monkeypatch)
    held = {number: LaneReport(condition) for number, condition in enumerate(LaneCondition) if condition != "open"}
    held |= {
        10: LaneReport(LaneCondition.OPEN, until=NOW + 60),
        11: LaneReport(LaneCondition.THROTTLED, "429", NOW + 90),
    }
    jobs = [job(number, State.POLLING, due_at=NOW, lane=number) for number in held]
    output.show_jobs([*jobs, job(12, State.POLLING, due_at=NOW + 70, lane=10), job(13, State.PARKED, lane=10)], held)
    rows = [line.strip() for line in unstyle(capsys.readouterr().out).splitlines() if re.match(r" {0,2}\d", line)]
    shown = [re.split(r" {2,}", row)[4:] for row in rows]
    assert [one[0] if one else "" for one in shown] == [
        "throttled", "provider failing", "account paused", "no daemon", "not configured", "faulty spec",
        f"{date_and_time(NOW + 60)} (limit)", f"{date_and_time(NOW + 90)} (throttled)",
        date_and_time(NOW + 70), "",
    ]  # fmt: skip


def test_what_stands_below(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and times keep their heading, empty values are left out, brackets are no markup, long texts wrap."""
    terminal_of(60, monkeypatch)
    made = output.table("account", "status", "since (UTC)", "why", "attempts", right=("attempts",))
    made.add_row("shop", Text("paused"), "2026-11-30 01:56:59", Text("put [accounts.shop] back " * 5), "3")
    made.add_row("news", "open", "", "", "")
    output.show_table(made, below=("since (UTC)", "why", "attempts"))
    assert unstyle(capsys.readouterr().out).splitlines() == [
        "account  status",
        "───────────────",
        "shop     paused",
        "         since 2026-11-30 01:56:59 UTC",
        "         put [accounts.shop] back put [accounts.shop] back",
        "         put [accounts.shop] back put [accounts.shop] back",
        "         put [accounts.shop] back · attempts 3",
        "news     open",
    ]


def test_providers_fit_80_columns(tmp_path: Path) -> None:
    """The list, and the parameters of one: names on one line each, and below it what explains them."""
    shown = []
    for command in (["providers", "list"], ["providers", "show", "symplify"]):
        program = [sys.executable, "-m", "tidewaiter.cli.main", *command]
        with terminal(program, tmp_path, {"NO_COLOR": "1"}) as screen:
            screen.process.wait(30.0)
            shown += [line.rstrip() for line in unstyle(screen.rest()).splitlines()]
    assert max(map(cell_len, (line for line in shown if "https://" not in line))) <= 80
    (place,) = [number for number, line in enumerate(shown) if line.split() == ["period", "string", "no"]]
    assert [line.strip() for line in shown[place + 1 : place + 4]] == [
        "the period; Symplify recommends LAST_DAY once a day",
        "one of TODAY, LAST_DAY, LAST_3_DAYS, LAST_WEEK, LAST_2_WEEKS",
        "default LAST_DAY",
    ]
