"""The screen of the demo on a usual terminal."""

import re
from dataclasses import replace

from rich.console import Console

from tests.cli.sample_dashboards import NOW, job
from tidewaiter.cli.demo_view import DemoRow, table_of
from tidewaiter.domain.job import State
from tidewaiter.domain.manifest import Artifact
from tidewaiter.emulators.catalogue import SampleJob
from tidewaiter.emulators.demo_scene import DemoJob


def test_accounts_are_whole_at_80_columns() -> None:
    """Number, account, export, state and size stand on one line each; what the remote says is cut."""
    part = DemoJob("socialgateway", SampleJob("campaign_stats", {}, "campaign stats"), "short-lived tokens")
    artifact = Artifact(0, "a.json", "", "a/a.json", 5_000_000, "0" * 64, "application/json", NOW)
    done = job(10)
    waiting = replace(done, id=11, state=State.POLLING, reason="a long sentence from the provider about its work")
    rows = [DemoRow(part, done, [artifact]), DemoRow(part, waiting, [])]
    for width in (80, 132):
        console = Console(width=width, force_terminal=True, no_color=True, highlight=False, legacy_windows=False)
        with console.capture() as captured:
            console.print(table_of(rows, 1.0, width))
        lines = re.sub(r"\x1b\[[0-9;]*m", "", captured.get()).splitlines()
        assert max(map(len, lines)) <= width
        (landed,) = [line.replace("│", " ").split() for line in lines if " 10 " in line]
        assert landed[:6] == ["10", "socialgateway", "campaign", "stats", "✓", "succeeded"]
        assert landed[-2:] == ["5.0", "MB"]
        assert any("short-lived tokens" in line for line in lines)
