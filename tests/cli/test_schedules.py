"""``tidewaiter schedules``."""

import pytest

from tests.cli.command_shell import CONFIG, CommandShell
from tidewaiter.web.api.schedule_schemas import ScheduleShape

pytestmark = pytest.mark.usefixtures("migrated")

SCHEDULES = """
[schedules.nightly-opens]
account = "shop"
operation = "statistics"
cron = "15 4 * * *"
timezone = "Europe/Stockholm"
catch_up = "skip"
params = { export_type = "OPENS", period = "LAST_DAY" }
"""


def test_list_next_and_run(shell: CommandShell) -> None:
    """A schedule is listed, its next ticks are told with their parameters, and its job can be asked for now."""
    shell.config.write_text(CONFIG + SCHEDULES)
    (listed,) = shell.json("schedules", "list")["schedules"]
    assert set(listed) == set(ScheduleShape.model_fields)
    assert listed["name"] == "nightly-opens"
    assert listed["next_at"] > "2020"
    assert listed["job"] is None
    assert "nightly-opens" in shell("schedules", "list").stdout
    ticks = shell.json("schedules", "next", "nightly-opens", "--number", "3")
    assert len(ticks) == 3
    assert ticks[0]["params"] == {"export_type": "OPENS", "period": "LAST_DAY"}
    assert "period=LAST_DAY" in shell("schedules", "next", "nightly-opens").stdout
    job = shell.json("schedules", "run", "nightly-opens")
    assert (job["state"], job["operation"]) == ("queued", "statistics")
    assert len(shell.json("jobs", "list")["jobs"]) == 1


def test_a_run_with_other_values(shell: CommandShell) -> None:
    """Parameters replace those of the schedule, and dates are those of the given day; what is refused is told."""
    shell.config.write_text(CONFIG + SCHEDULES)
    job = shell.json("schedules", "run", "nightly-opens", "--param", "export_type=CLICKS", "-p", "period=TODAY")
    assert job["params"] == {"export_type": "CLICKS", "period": "TODAY"}
    assert job["schedule"] == "nightly-opens"
    run = ("schedules", "run", "nightly-opens")
    assert "'2026-01-30'" in shell(*run, "--as-of", "2026-01-31", "-p", "period=${yesterday}", code=2).stderr
    assert "unknown parameter" in shell(*run, "-p", "perio=x", code=2).stderr
    assert "${soon}, which does not exist" in shell(*run, "-p", "period=${soon}", code=2).stderr


def test_pause_and_resume(shell: CommandShell) -> None:
    """The list shows a pause; one that exists keeps its reason."""
    shell.config.write_text(CONFIG + SCHEDULES)
    assert shell("schedules", "pause", "nightly-opens", "--reason", "repairs").stdout.strip() == (
        "schedule nightly-opens is paused"
    )
    paused = shell.json("schedules", "pause", "nightly-opens")
    assert paused["pause"]["reason"] == "repairs"
    assert paused["pause"]["by"]
    assert "paused" in shell("schedules", "list").stdout
    assert "is resumed" in shell("schedules", "resume", "nightly-opens").stdout
    assert shell.json("schedules", "resume", "nightly-opens")["pause"] is None
    assert "was not paused" in shell("schedules", "resume", "nightly-opens").stdout
    assert "unknown schedule" in shell("schedules", "pause", "weekly", code=2).stderr


def test_an_unknown_schedule(shell: CommandShell) -> None:
    """A name that is not configured is answered with those that are."""
    shell.config.write_text(CONFIG + SCHEDULES)
    result = shell("schedules", "run", "weekly", code=2)
    assert "unknown schedule 'weekly'; configured: nightly-opens" in result.stderr


def test_bad_schedules_are_all_reported(shell: CommandShell) -> None:
    """Every fault of every schedule is told at once, with its key; nothing is started."""
    shell.config.write_text(
        CONFIG
        + """
[schedules.a]
account = "shop"
operation = "statistics"
cron = "15 4 * *"
timezone = "Europe/Atlantis"
catch_up = "some"
params = { export_type = "${tomorrow}" }
[schedules.b]
account = "nobody"
operation = "statistics"
cron = "15 4 * * *"
[schedules.c]
account = "shop"
operation = "statisticks"
cron = "15 4 * * *"
[schedules.d]
account = "shop"
operation = "statistics"
cron = "15 4 * * *"
params = { export_type = "OPENS", periode = "LAST_DAY" }
"""
    )
    text = shell("schedules", "list", code=78).stderr
    for fault in (
        "schedules.a.cron: has 4 fields and needs 5",
        "schedules.a.timezone: 'Europe/Atlantis' is no time zone; names are such as Europe/Amsterdam",
        "schedules.a.catch_up: must be 'skip', 'last' or 'all'",
        "schedules.a.params.export_type: holds ${tomorrow}, which does not exist",
        "schedules.b.account: 'nobody' is no configured account (configured: shop)",
        "schedules.c.operation: 'statisticks' is no operation of account shop (known: statistics)",
        "schedules.d.params.periode: unknown parameter (did you mean period? ",
    ):
        assert fault in text, text


def test_without_schedules_the_list_says_how_to_make_one(shell: CommandShell) -> None:
    """An empty list is a sentence, as for jobs, batches and backfills, and not the head of a table."""
    shell.config.write_text(CONFIG)
    assert (
        shell("schedules", "list").stdout == "no schedules: a table [schedules.NAME] in the configuration makes one\n"
    )
