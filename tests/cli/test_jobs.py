"""Submitting jobs and looking at them, without a daemon: what is stored and what is told."""

import json
import sqlite3

import pytest

from tests.cli.command_folder import CommandFolder
from tests.cli.commands import submit
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.database import migrate
from tidewaiter.web.api.json_shapes import EntryShape, JobShape
from tidewaiter.web.api.paging import next_address


def test_submitting(place: CommandFolder) -> None:
    """A job is stored with checked parameters; the first command sets the database up."""
    result = place("submit", "shop", "statistics", "-p", "export_type=opened")
    assert result.stdout == "job 1 is queued\n"
    (job,) = place.json("jobs", "list")["jobs"]
    assert job["params"] == {"export_type": "OPENED", "period": "LAST_DAY"}
    assert set(job) == set(JobShape.model_fields)


def test_a_unique_key_makes_one_job(place: CommandFolder) -> None:
    """Asked for again under the same key, it is the same job, and the command says so."""
    first = place.json("submit", "shop", "statistics", "-p", "export_type=SENT", "--key", "nightly")
    again = place.json("submit", "shop", "statistics", "-p", "export_type=SENT", "--key", "nightly")
    assert (first["created"], again["created"]) == (True, False)
    assert first["id"] == again["id"]
    told = place("submit", "shop", "statistics", "-p", "export_type=SENT", "--key", "nightly").stdout
    assert told.endswith("it was submitted before\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop", "statistics"], "export_type"),
        (["shop", "statistics", "-p", "export_type=NO"], "permitted: LISTS"),
        (["shop", "statistics", "-p", "export_type=SENT", "-p", "periods=TODAY"], "there are: export_type, period"),
        (["shop", "dance"], "statistics"),
        (["shop2", "statistics"], "shop"),
        (["shop", "statistics", "-p", "export_type"], "form key=value"),
        (["shop", "statistics", "-p", "period=TODAY", "-p", "period=TODAY"], "given twice"),
        (["shop", "statistics", "--timeout", "3"], "--wait"),
    ],
)
def test_wrong_wishes(place: CommandFolder, arguments: list[str], told: str) -> None:
    """What cannot be asked for is refused with 2 and with what is permitted, and nothing is stored."""
    result = place("submit", *arguments, code=ExitCode.USAGE)
    assert told in result.stderr
    assert place.json("jobs", "list") == {"jobs": [], "next": None}
    assert place("jobs", "list").stdout == "no jobs\n"


def test_waiting_has_an_end(place: CommandFolder) -> None:
    """Without a daemon nothing happens: the wait is over after its time, with 75, and the job stays."""
    arguments = ("submit", "shop", "statistics", "-p", "export_type=SENT", "--wait", "--timeout", "0.3")
    result = place(*arguments, code=ExitCode.TIMED_OUT)
    assert result.stdout == "job 1 is queued\n"
    assert result.stderr == "tidewaiter: job 1 is still queued after 0.3 s; it goes on\n"


def test_listing(place: CommandFolder) -> None:
    """Jobs come newest first, by page, and by account, operation and state."""
    numbers = [submit(place) for _ in range(5)]
    assert [job["id"] for job in place.json("jobs", "list")["jobs"]] == numbers[::-1]
    page = place.json("jobs", "list", "--limit", "2", "--account", "shop")
    rest = place.json("jobs", "list", "--before", str(page["jobs"][-1]["id"]))
    assert [job["id"] for job in page["jobs"] + rest["jobs"]] == numbers[::-1]
    assert page["next"] == next_address("/v1/jobs", {"account": ["shop"], "limit": ["2"]}, page["jobs"][-1]["id"])
    assert rest["next"] is None
    filters = ("--account", "shop", "--operation", "statistics", "--state", "queued")
    assert len(place.json("jobs", "list", *filters)["jobs"]) == 5
    assert place.json("jobs", "list", "--state", "failed", "--state", "polling")["jobs"] == []
    assert place.json("jobs", "list", "--account", "other")["jobs"] == []
    assert len(place("jobs", "list").stdout.splitlines()) == 6


def test_showing(place: CommandFolder) -> None:
    """A job is shown with its history; the table names what is there and leaves out what is not."""
    number = submit(place, "--key", "nightly")
    shown = place.json("jobs", "show", str(number))
    assert [entry["state"] for entry in shown["history"]] == ["queued"]
    assert set(shown) == {*JobShape.model_fields, "history", "artifacts"}
    assert set(shown["history"][0]) == set(EntryShape.model_fields)
    assert shown["artifacts"] == []
    text = place("jobs", "show", str(number)).stdout
    assert "export_type=OPENS period=LAST_DAY" in text
    assert "nightly" in text
    assert "remote job" not in text


def test_cancelling(place: CommandFolder) -> None:
    """Live jobs are asked to stop; what cannot be stopped does not keep the others from it."""
    first, second = submit(place), submit(place)
    result = place("jobs", "cancel", str(first), "99", str(second), code=ExitCode.FAILED)
    assert result.stdout.splitlines() == [f"job {number} is queued; it was asked to stop" for number in (first, second)]
    assert result.stderr == "tidewaiter: there is no job 99\n"
    assert [job["cancel_requested"] for job in place.json("jobs", "list")["jobs"]] == [True, True]


def test_retrying(place: CommandFolder) -> None:
    """A job under way is not submitted again; one that has ended becomes a new job that points to it."""
    number = submit(place)
    refused = place("jobs", "retry", str(number), code=ExitCode.FAILED)
    assert "still under way" in refused.stderr
    with sqlite3.connect(place.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'failed', due_at = NULL, finished_at = 1, reason = 'no'")
    database.close()
    again = place.json("jobs", "retry", str(number))
    assert again["retry_of"] == number
    assert f"it repeats job {number}" in place("jobs", "retry", str(number)).stdout


def park(place: CommandFolder, number: int) -> None:
    """Bring a job to where only a person can decide."""
    with sqlite3.connect(place.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'parked', due_at = NULL, reason = 'lost' WHERE id = ?", (number,))
    database.close()


def test_adopting(place: CommandFolder) -> None:
    """A parked job follows the remote job that somebody has found, is due at once, and the history says who decided."""
    number = submit(place)
    assert place("jobs", "adopt", str(number), "101", code=ExitCode.FAILED).stderr == (
        f"tidewaiter: job {number} is not parked: it is queued\n"
    )
    park(place, number)
    adopted = place.json("jobs", "adopt", str(number), " 101 ")
    assert (adopted["state"], adopted["handle"]) == ("polling", "101")
    shown = place.json("jobs", "show", str(number))
    assert shown["due_at"] <= shown["submitted_at"]
    assert shown["history"][-1]["outcome"] == "AdoptDecided"


def test_adopting_what_another_job_follows(place: CommandFolder) -> None:
    """One remote job, one job of ours: the sentence names the other one."""
    first, second = submit(place), submit(place)
    for number in (first, second):
        park(place, number)
    assert place("jobs", "adopt", str(first), "101").stdout == f"job {first} is polling\n"
    told = place("jobs", "adopt", str(second), "101", code=ExitCode.FAILED).stderr
    assert told == (
        f"tidewaiter: job {second} cannot adopt it: job {first} of account shop follows the remote job 101 already\n"
    )
    assert place.json("jobs", "show", str(second))["state"] == "parked"


@pytest.mark.parametrize("handle", ["", "..", "a\nb", "x" * 5000])
def test_adopting_what_is_no_name(place: CommandFolder, handle: str) -> None:
    """What could never be asked after is refused before anything is written."""
    number = submit(place)
    park(place, number)
    assert "cannot be the name" in place("jobs", "adopt", str(number), handle, code=ExitCode.FAILED).stderr


def test_no_such_job(place: CommandFolder) -> None:
    """A number that is no job's is a failure, not a table without rows."""
    for command in (("show", "7"), ("retry", "7"), ("adopt", "7", "x")):
        assert place("jobs", *command, code=ExitCode.FAILED).stderr == "tidewaiter: there is no job 7\n"


def test_what_a_provider_said_cannot_steer_the_terminal(place: CommandFolder) -> None:
    """Escape sequences in a reason are shown as harmless marks, and stay what they are in JSON."""
    number = submit(place)
    with sqlite3.connect(place.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET reason = ?, handle = ?", ("\x1b[2Jgone", "[bold]x"))
    database.close()
    for arguments in (("jobs", "list"), ("jobs", "show", str(number))):
        text = place(*arguments).stdout
        assert "\x1b" not in text
        assert "[2Jgone" in text
    assert "[bold]x" in place("jobs", "show", str(number)).stdout
    assert place.json("jobs", "show", str(number))["reason"] == "\x1b[2Jgone"


def test_the_tables(place: CommandFolder) -> None:
    """Upgrade, current and check tell where the database is, by word and exit code."""
    place("db", "current", code=ExitCode.FAILED)
    assert json.loads(place("db", "current", "--json", code=ExitCode.FAILED).stdout) == {"revision": None}
    assert "it was at none" in place("db", "upgrade").stdout
    revision = place("db", "current").stdout.strip()
    assert place("db", "upgrade").stdout == f"the database is at revision {revision}\n"
    assert place("db", "check").stdout == "the tables are what this program needs\n"
    assert place.json("db", "upgrade") == {"revision": revision, "before": revision}
    assert place.json("db", "current") == {"revision": revision}
    assert place.json("db", "check") == {"differences": []}
    with sqlite3.connect(place.folder / "tidewaiter.db") as database:
        database.execute("ALTER TABLE jobs ADD COLUMN surprise TEXT")
    database.close()
    assert "surprise" in place("db", "check", code=ExitCode.FAILED).stdout


def test_an_old_schema_is_not_touched(place: CommandFolder) -> None:
    """A database that is there but has no tables is left to `tidewaiter db upgrade`, which the sentence names."""
    with sqlite3.connect(place.folder / "tidewaiter.db") as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    for arguments in (("jobs", "list"), ("serve",)):
        result = place(*arguments, code=ExitCode.UNAVAILABLE)
        assert "run `tidewaiter db upgrade`" in result.stderr
    assert migrate.current(f"sqlite:///{place.folder}/tidewaiter.db") is None


def test_json_is_json(place: CommandFolder) -> None:
    """Whatever prints data prints one JSON document and nothing else."""
    number = str(submit(place))
    for arguments in (("jobs", "list"), ("jobs", "show", number), ("jobs", "cancel", number), ("providers", "list")):
        json.loads(place(*arguments, "--json").output)


def test_poll(place: CommandFolder) -> None:
    """A job's next step is made due now; one that has ended, or that there is not, is refused with a sentence."""
    number = submit(place)
    job = place.json("jobs", "poll", str(number))
    assert (job["id"], job["state"]) == (number, "queued")
    assert place("jobs", "poll", str(number)).stdout == f"job {number} is queued\n"
    assert "there is no job 77" in place("jobs", "poll", "77", code=ExitCode.FAILED).stderr
