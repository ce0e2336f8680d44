"""Commands that submit and show jobs, without a daemon: what they store and print."""

import json
import re
import sqlite3
import time

import pytest

from tests.cli.command_shell import CommandShell
from tests.cli.commands import submit
from tidewaiter.cli.exit_codes import ExitCode
from tidewaiter.database import migrate
from tidewaiter.domain.duration_sketch import NO_DURATIONS
from tidewaiter.web.api.body_schemas import EntryShape, JobShape
from tidewaiter.web.api.paging import next_address

pytestmark = pytest.mark.usefixtures("migrated")


def test_submitting(shell: CommandShell) -> None:
    """A job is stored with checked parameters; the first command sets the database up."""
    (shell.folder / "tidewaiter.db").unlink()
    result = shell("submit", "shop", "statistics", "-p", "export_type=opened")
    assert result.stdout == "job 1 is queued\n"
    (job,) = shell.json("jobs", "list")["jobs"]
    assert job["params"] == {"export_type": "OPENED", "period": "LAST_DAY"}
    assert set(job) == set(JobShape.model_fields)


def test_a_unique_key_makes_one_job(shell: CommandShell) -> None:
    """Asked for again under the same key, it is the same job, and the command says so."""
    first = shell.json("submit", "shop", "statistics", "-p", "export_type=SENT", "--key", "nightly")
    again = shell.json("submit", "shop", "statistics", "-p", "export_type=SENT", "--key", "nightly")
    assert (first["created"], again["created"]) == (True, False)
    assert first["id"] == again["id"]
    output = shell("submit", "shop", "statistics", "-p", "export_type=SENT", "--key", "nightly").stdout
    assert output.endswith("it was submitted before\n")


@pytest.mark.parametrize(
    ("arguments", "output"),
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
def test_wrong_submits(shell: CommandShell, arguments: list[str], output: str) -> None:
    """What cannot be asked for is refused with 2 and with what is permitted, and nothing is stored."""
    result = shell("submit", *arguments, code=ExitCode.USAGE)
    assert output in result.stderr
    assert shell.json("jobs", "list") == {"jobs": [], "next": None}
    assert shell("jobs", "list").stdout == "no jobs\n"


def test_waiting_has_an_end(shell: CommandShell) -> None:
    """Without a daemon nothing happens: the wait is over after its time, with 75, and the job stays."""
    arguments = ("submit", "shop", "statistics", "-p", "export_type=SENT", "--wait", "--timeout", "0.3")
    result = shell(*arguments, code=ExitCode.TIMED_OUT)
    assert result.stdout == "job 1 is queued\n"
    assert result.stderr == "tidewaiter: job 1 is still queued after 0.3 s; it goes on\n"


@pytest.mark.slow
def test_listing(shell: CommandShell) -> None:
    """Jobs come newest first, by page, and by account, operation and state."""
    numbers = [submit(shell) for _ in range(5)]
    assert [job["id"] for job in shell.json("jobs", "list")["jobs"]] == numbers[::-1]
    page = shell.json("jobs", "list", "--limit", "2", "--account", "shop")
    rest = shell.json("jobs", "list", "--before", str(page["jobs"][-1]["id"]))
    assert [job["id"] for job in page["jobs"] + rest["jobs"]] == numbers[::-1]
    assert page["next"] == next_address("/v1/jobs", {"account": ["shop"], "limit": ["2"]}, page["jobs"][-1]["id"])
    assert rest["next"] is None
    filters = ("--account", "shop", "--operation", "statistics", "--state", "queued")
    assert len(shell.json("jobs", "list", *filters)["jobs"]) == 5
    assert shell.json("jobs", "list", "--state", "failed", "--state", "polling")["jobs"] == []
    assert len(shell("jobs", "list").stdout.splitlines()) == 6


def test_showing(shell: CommandShell) -> None:
    """A job is shown with its history; the table names what is there and leaves out what is not."""
    number = submit(shell, "--key", "nightly")
    shown = shell.json("jobs", "show", str(number))
    assert [entry["state"] for entry in shown["history"]] == ["queued"]
    assert set(shown) == {*JobShape.model_fields, "expected", "history", "artifacts"}
    assert set(shown["history"][0]) == set(EntryShape.model_fields)
    assert shown["artifacts"] == []
    text = shell("jobs", "show", str(number)).stdout
    assert "export_type=OPENS period=LAST_DAY" in text
    assert "nightly" in text
    assert "remote job" not in text


def test_what_is_expected(shell: CommandShell) -> None:
    """A job that is polled says when it is expected to be ready; a queued one does not."""
    number = submit(shell)
    assert "expected" not in shell("jobs", "show", str(number)).stdout
    sketch = NO_DURATIONS
    for took_s in (230.0, 240.0, 250.0, 260.0):
        sketch = sketch.with_one(took_s - 5.0, took_s)
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'polling', handle = 'r', submitted_at = unixepoch() - 60")
        database.execute("INSERT INTO durations SELECT lane, operation, '', ?, 1 FROM jobs", (sketch.to_text(),))
    database.close()
    expected = shell.json("jobs", "show", str(number))["expected"]
    assert expected["usual_s"] == pytest.approx(242.0, rel=0.05)
    assert expected["late"] is False
    text = shell("jobs", "show", str(number)).stdout
    assert re.search(r"(?m)^expected\s+usually ready after 4 min \d+ s; expected at \d\d:\d\d:\d\d ± \d+ s$", text)


@pytest.mark.parametrize(("state", "is_shown"), [("parked", True), ("reconciling", True), ("polling", False)])
def test_the_intent_key_is_shown_to_search_with(shell: CommandShell, state: str, is_shown: bool) -> None:
    """While the outcome of a submit is unknown, the table has the key that the provider may know the job by."""
    number = submit(shell)
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = ?, intent_key = 'key-812'", (state,))
    database.close()
    lines = shell("jobs", "show", str(number)).stdout.splitlines()
    shown = [line for line in lines if "intent key" in line and "key-812" in line]
    assert len(shown) == is_shown


def test_a_start_in_doubt_is_explained(shell: CommandShell) -> None:
    """The table has the stage and the kept values, and what can be decided about that request."""
    number = submit(shell)
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        kept = '{"queue": "q-7", "place": "https://x.example/1?sig=canary"}'
        changes = "state = 'parked', stage = 'enqueue', handle = 'r-812', due_at = NULL, kept = ?"
        database.execute(f"UPDATE jobs SET {changes}", (kept,))  # noqa: S608  # fixed text
    database.close()
    text = shell("jobs", "show", str(number)).stdout
    assert "enqueue" in text
    assert "queue=q-7" in text
    assert "canary" not in text
    assert f"It was started: `tidewaiter jobs adopt {number} r-812`" in text
    assert "HANDLE" not in text
    assert "The outcome of enqueue is unknown." in text


@pytest.mark.slow
def test_cancelling(shell: CommandShell) -> None:
    """Live jobs are asked to stop; what cannot be stopped does not keep the others from it."""
    first, second = submit(shell), submit(shell)
    result = shell("jobs", "cancel", str(first), "99", str(second), code=ExitCode.FAILED)
    lines = [f"job {number} is queued; its cancel request is stored" for number in (first, second)]
    assert result.stdout.splitlines() == lines
    assert result.stderr == "tidewaiter: there is no job 99\n"
    assert [job["cancel_requested"] for job in shell.json("jobs", "list")["jobs"]] == [True, True]


def test_retrying(shell: CommandShell) -> None:
    """A job under way is not submitted again; one that has ended becomes a new job that points to it."""
    number = submit(shell)
    refused = shell("jobs", "retry", str(number), code=ExitCode.FAILED)
    assert "still under way" in refused.stderr
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'failed', due_at = NULL, finished_at = 1, reason = 'no'")
    database.close()
    again = shell.json("jobs", "retry", str(number))
    assert again["retry_of"] == number
    assert f"it repeats job {number}" in shell("jobs", "retry", str(number)).stdout
    assert re.search(rf"(?m)^retried as job\s+{again['id']}$", shell("jobs", "show", str(number)).stdout)


@pytest.mark.slow
def test_acknowledging(shell: CommandShell) -> None:
    """Failures are listed until they are acknowledged, which keeps who did it; one that is no failure is refused."""
    failed, waiting = submit(shell), submit(shell)
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        failing = "UPDATE jobs SET state = 'failed', due_at = NULL, finished_at = 1, reason = 'no' WHERE id = ?"
        database.execute(failing, (failed,))
    database.close()
    assert [job["id"] for job in shell.json("jobs", "list", "--unhandled")["jobs"]] == [failed]
    result = shell("jobs", "acknowledge", str(failed), str(waiting), code=ExitCode.FAILED)
    assert f"job {failed} is failed" in result.stdout
    assert "acknowledged" in result.stdout
    assert "only a failed or expired job can be acknowledged" in result.stderr
    assert shell("jobs", "list", "--unhandled").stdout == "no jobs\n"
    assert re.search(r"(?m)^handled\s+.* by \S+$", shell("jobs", "show", str(failed)).stdout)


def test_a_used_up_limit_in_the_list(shell: CommandShell) -> None:
    """A due job whose account has used its request limit up shows when the limit permits the next request."""
    submit(shell)
    shown = shell("jobs", "list").stdout
    assert "no daemon" in shown
    assert "(limit)" not in shown
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE lanes SET lease_until = ?", (time.time() + 60.0,))
        database.execute("UPDATE lanes SET request_window = ?", (json.dumps([time.time()] * 1000),))
    database.close()
    assert re.search(r"\d\d:\d\d:\d\d \(limit\)", shell("jobs", "list").stdout)


def park(shell: CommandShell, number: int) -> None:
    """Bring a job to where only a person can decide."""
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'parked', due_at = NULL, reason = 'lost' WHERE id = ?", (number,))
    database.close()


def test_adopting(shell: CommandShell) -> None:
    """A parked job follows the remote job that somebody has found, is due at once, and the history says who decided."""
    number = submit(shell)
    assert shell("jobs", "adopt", str(number), "101", code=ExitCode.FAILED).stderr == (
        f"tidewaiter: job {number} is not parked: it is queued\n"
    )
    park(shell, number)
    adopted = shell.json("jobs", "adopt", str(number), " 101 ")
    assert (adopted["state"], adopted["handle"]) == ("polling", "101")
    shown = shell.json("jobs", "show", str(number))
    assert shown["due_at"] <= shown["submitted_at"]
    assert shown["history"][-1]["outcome"] == "AdoptDecided"


def test_adopting_what_another_job_follows(shell: CommandShell) -> None:
    """One remote job, one job of ours: the sentence names the other one."""
    first, second = submit(shell), submit(shell)
    for number in (first, second):
        park(shell, number)
    assert shell("jobs", "adopt", str(first), "101").stdout == f"job {first} is polling\n"
    output = shell("jobs", "adopt", str(second), "101", code=ExitCode.FAILED).stderr
    assert output == (
        f"tidewaiter: job {second} cannot adopt it: job {first} of account shop follows the remote job 101 already\n"
    )
    assert shell.json("jobs", "show", str(second))["state"] == "parked"


@pytest.mark.parametrize("handle", ["", "..", "a\nb", "x" * 5000])
def test_adopting_what_is_no_name(shell: CommandShell, handle: str) -> None:
    """What could never be asked after is refused before anything is written."""
    number = submit(shell)
    park(shell, number)
    assert "cannot be the name" in shell("jobs", "adopt", str(number), handle, code=ExitCode.FAILED).stderr


def test_no_such_job(shell: CommandShell) -> None:
    """A number that is no job's is a failure, not a table without rows."""
    for command in (("show", "7"), ("retry", "7"), ("adopt", "7", "x")):
        assert shell("jobs", *command, code=ExitCode.FAILED).stderr == "tidewaiter: there is no job 7\n"


def test_what_a_provider_said_cannot_steer_the_terminal(shell: CommandShell) -> None:
    """Escape sequences in a reason are shown as harmless marks, and stay what they are in JSON."""
    number = submit(shell)
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET reason = ?, handle = ?", ("\x1b[2Jgone", "[bold]x"))
    database.close()
    for arguments in (("jobs", "list"), ("jobs", "show", str(number))):
        text = shell(*arguments).stdout
        assert "\x1b" not in text
        assert "[2Jgone" in text
    assert "[bold]x" in shell("jobs", "show", str(number)).stdout
    assert shell.json("jobs", "show", str(number))["reason"] == "\x1b[2Jgone"


def test_the_tables(shell: CommandShell) -> None:
    """Upgrade, current and check tell where the database is, by word and exit code."""
    (shell.folder / "tidewaiter.db").unlink()
    shell("db", "current", code=ExitCode.FAILED)
    assert json.loads(shell("db", "current", "--json", code=ExitCode.FAILED).stdout) == {"revision": None}
    assert "it was at none" in shell("db", "upgrade").stdout
    revision = shell("db", "current").stdout.strip()
    assert shell("db", "upgrade").stdout == f"the database is at revision {revision}\n"
    assert shell("db", "check").stdout == "the tables are what this program needs\n"
    assert shell.json("db", "upgrade") == {"revision": revision, "before": revision}
    assert shell.json("db", "current") == {"revision": revision}
    assert shell.json("db", "check") == {"differences": []}
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("ALTER TABLE jobs ADD COLUMN surprise TEXT")
    database.close()
    assert "surprise" in shell("db", "check", code=ExitCode.FAILED).stdout


def test_an_old_schema_is_not_touched(shell: CommandShell) -> None:
    """A database that is there but has no tables is left to `tidewaiter db upgrade`, which the sentence names."""
    (shell.folder / "tidewaiter.db").unlink()
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    for arguments in (("jobs", "list"), ("serve",)):
        result = shell(*arguments, code=ExitCode.UNAVAILABLE)
        assert "run `tidewaiter db upgrade`" in result.stderr
    assert migrate.current(f"sqlite:///{shell.folder}/tidewaiter.db") is None


def test_json_is_json(shell: CommandShell) -> None:
    """Whatever prints data prints one JSON document and nothing else."""
    number = str(submit(shell))
    for arguments in (("jobs", "list"), ("jobs", "show", number), ("jobs", "cancel", number), ("providers", "list")):
        json.loads(shell(*arguments, "--json").output)


def test_poll(shell: CommandShell) -> None:
    """A job's next step is made due now; one that has ended, or that there is not, is refused with a sentence."""
    number = submit(shell)
    job = shell.json("jobs", "poll", str(number))
    assert (job["id"], job["state"]) == (number, "queued")
    assert shell("jobs", "poll", str(number)).stdout == f"job {number} is queued\n"
    assert "there is no job 77" in shell("jobs", "poll", "77", code=ExitCode.FAILED).stderr


@pytest.mark.slow
def test_acting_on_all_that_match(shell: CommandShell) -> None:
    """A filter selects jobs; a dry run changes nothing; a retried job is not selected again; wrong use is refused."""
    numbers = [submit(shell) for _ in range(3)]
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        failing = "UPDATE jobs SET state = 'failed', due_at = NULL, finished_at = 1, reason = 'no' WHERE id < ?"
        database.execute(failing, (numbers[2],))
    database.close()
    account = str(shell.json("jobs", "show", str(numbers[0]))["account"])
    shown = shell("jobs", "retry", "--unhandled", "--account", account, "--dry-run").stdout
    assert "it would act on 2 jobs" in shown
    assert len(shell.json("jobs", "list")["jobs"]) == 3

    again = shell.json("jobs", "retry", "--unhandled", "--account", account)["jobs"]
    assert [job["retry_of"] for job in again] == numbers[:2]
    assert shell.json("jobs", "retry", "--state", "failed")["jobs"] == []
    assert shell.json("jobs", "acknowledge", "--state", "failed")["jobs"] == []
    assert [job["id"] for job in shell.json("jobs", "list", "--cause", "no")["jobs"]] == []
    polled = shell.json("jobs", "poll", "--account", account)["jobs"]
    assert [job["id"] for job in polled] == [numbers[2], *(job["id"] for job in again)]
    stopped = shell.json("jobs", "cancel", "--account", account)["jobs"]
    assert [job["id"] for job in stopped] == [numbers[2], *(job["id"] for job in again)]
    assert shell.json("jobs", "cancel", "--account", account)["jobs"] == []

    assert "not both" in shell("jobs", "retry", "1", "--unhandled", code=ExitCode.USAGE).stderr
    assert "or a filter" in shell("jobs", "retry", code=ExitCode.USAGE).stderr
    typo = shell("jobs", "retry", "--account", "typo", code=ExitCode.USAGE)
    assert "unknown account 'typo'; configured: " in typo.stderr


def test_labels(shell: CommandShell) -> None:
    """A job gets labels; the list and the commands that act by filter find it by them."""
    first = submit(shell, "--label", "dag=x", "--label", "team=a=b")
    second = submit(shell, "--label", "dag=x")
    third = submit(shell)

    def numbers(*arguments: str) -> list[int]:
        return [job["id"] for job in shell.json("jobs", "list", *arguments)["jobs"]]

    assert numbers("--label", "dag=x") == [second, first]
    assert numbers("--label", "dag=x", "--label", "team=a=b") == [first]
    assert numbers() == [third, second, first]
    assert numbers("--operation", "statistics", "--state", "queued") == [third, second, first]
    page = shell.json("jobs", "list", "--label", "dag=x", "--limit", "1")
    assert "label=dag%3Dx" in page["next"]
    assert [job["id"] for job in shell.json("jobs", "cancel", "--label", "dag=x", "--dry-run")["jobs"]] == [
        first,
        second,
    ]
    assert "name=value" in shell("jobs", "list", "--label", "dag", code=ExitCode.USAGE).stderr
    wrong = ("submit", "shop", "statistics", "-p", "export_type=OPENS", "--label", "1=2")
    assert "no name of a label" in shell(*wrong, code=ExitCode.USAGE).stderr


@pytest.mark.slow
def test_failures_are_listed_by_cause(shell: CommandShell) -> None:
    """One line for each cause with its evidence and what to do; the printed cause selects its jobs."""
    assert shell("jobs", "list", "--by", "cause").stdout == "no unhandled failures\n"
    numbers = [submit(shell) for _ in range(3)]
    failing = (
        "UPDATE jobs SET state = 'failed', due_at = NULL, finished_at = 1, cause = 'HTTP 422: segment …',"
        " reason = 'HTTP 422: segment ' || id WHERE id < ?"
    )
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute(failing, (numbers[2],))
    database.close()
    text = shell("jobs", "list", "--by", "cause").stdout
    assert "HTTP 422: segment …" in text
    assert f"{numbers[1]}, {numbers[0]}" in text
    assert "refuses them again unless the cause is removed" in text
    (group,) = shell.json("jobs", "list", "--by", "cause")["unhandled"]
    assert (group["jobs"], group["remedies"]) == (2, ["acknowledge all", "retry all"])
    done = shell.json("jobs", "acknowledge", "--cause", group["cause"])["jobs"]
    assert [job["id"] for job in done] == numbers[:2]
    assert shell.json("jobs", "list", "--by", "cause")["unhandled"] == []


def test_counts(shell: CommandShell) -> None:
    """Jobs are counted by a label; what is no such thing is refused."""
    for labels in (("--label", "dag=x"), ("--label", "dag=y"), ("--label", "dag=x"), ()):
        submit(shell, *labels)
    table = shell("jobs", "list", "--by", "label.dag").stdout.splitlines()
    assert [line.split()[:2] for line in table[-3:]] == [["x", "2"], ["(none)", "1"], ["y", "1"]]
    assert shell.json("jobs", "list", "--by", "account")["jobs"] == 4
    assert "--by must be cause, state" in shell("jobs", "list", "--by", "labels", code=ExitCode.USAGE).stderr
