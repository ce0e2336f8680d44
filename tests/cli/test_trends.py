"""``tidewaiter trends``."""

import sqlite3
import time
from contextlib import closing

import pytest

from tests.cli.command_shell import CommandShell
from tidewaiter.domain.trends import TrendStep
from tidewaiter.web.api.trend_schemas import OperationSumsShape, PeriodShape, TrendsShape

pytestmark = pytest.mark.usefixtures("migrated")

SUMS = {"landed": 3, "failed": 1, "files": 3, "bytes": 1500, "duration:12": 3, "delay:2": 3}


def _fill(shell: CommandShell) -> None:
    """Put in the sums of the current hour and day."""
    shell("jobs", "list")
    shell("submit", "shop", "statistics", "-p", "export_type=OPENS", "-p", "period=LAST_DAY")  # makes the lane
    now = time.time()
    rows = [
        (step.seconds, step.begin(now), 1, "statistics", measure, value)
        for step in (TrendStep.HOUR, TrendStep.DAY)
        for measure, value in SUMS.items()
    ]
    with closing(sqlite3.connect(next(shell.folder.rglob("*.db")))) as connection, connection:
        connection.executemany("INSERT INTO trends VALUES (?, ?, ?, ?, ?, ?)", rows)


def test_trends(shell: CommandShell) -> None:
    """As the API has them, and as tables: each period, and each operation in all of them."""
    _fill(shell)
    shown = shell.json("trends", "--step", "hour", "--number", "6", "--account", "shop")
    assert set(shown) == set(TrendsShape.model_fields)
    assert (shown["step"], len(shown["periods"])) == ("hour", 6)
    assert set(shown["periods"][0]) == set(PeriodShape.model_fields)
    (one,) = shown["operations"]
    assert set(one) == set(OperationSumsShape.model_fields)
    assert (one["operation"], one["landed"], one["bytes"], one["duration_p50_s"]) == ("statistics", 3, 1500, 54.6)
    lines = shell("trends").stdout.splitlines()
    assert len(lines) == 34
    assert lines[0].split()[:4] == ["day", "(UTC)", "landed", "failed"]
    assert lines[30].split()[1:5] == ["3", "1", "3", "1.5"]
    assert lines[33].split()[:4] == ["shop", "statistics", "3", "1"]


def test_what_is_not_kept(shell: CommandShell) -> None:
    """More periods than are kept, and an account that does not exist, are refused."""
    assert "only 336 hours are kept" in shell("trends", "--step", "hour", "--number", "337", code=2).stderr
    assert "unknown account 'shopp'" in shell("trends", "--account", "shopp", code=2).stderr
    assert "unknown operation 'report'" in shell("trends", "--operation", "report", code=2).stderr
