"""``tidewaiter accounts``: lists, pauses and resumes accounts, and a running daemon obeys."""

import json
import signal
import sqlite3
import time
from datetime import datetime

import pytest

from tests.cli.command_shell import CommandShell
from tests.cli.commands import STATISTICS, submit, wait_for
from tidewaiter.cli.exit_codes import ExitCode

pytestmark = pytest.mark.usefixtures("migrated")


def execute(shell: CommandShell, statement: str, *parameters: object) -> None:
    """Write into the database, as a daemon would."""
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute(statement, parameters)
    database.close()


def test_an_open_account(shell: CommandShell) -> None:
    """Provider, nothing wrong, and the live jobs by state."""
    for _ in range(2):
        submit(shell)
    shop: dict[str, object] = {
        "account": "shop",
        "provider": "symplify",
        "pause": None,
        "closed": [],
        "jobs": {"queued": 2},
        "refresh_token_at": None,
        "fault": None,
    }
    assert shell.json("accounts", "list") == {"accounts": [shop]}
    text = shell("accounts", "list").stdout
    assert "open" in text
    assert "2 queued" in text


def test_pausing_and_resuming(shell: CommandShell) -> None:
    """A person's pause is theirs, with their reason; resuming tells how long it was; both can be said twice."""
    assert shell("accounts", "pause", "shop", "--reason", "maintenance").stdout == "account shop is paused\n"
    paused = shell.json("accounts", "pause", "shop", "--reason", "maintenance, still")["pause"]
    assert (paused["by"], paused["reason"]) == ("person", "maintenance, still")
    assert shell.json("accounts", "pause", "shop")["pause"]["reason"] == "maintenance, still"
    (shop,) = shell.json("accounts", "list")["accounts"]
    assert shop["pause"]["at"] == paused["at"]
    text = shell("accounts", "list").stdout
    assert "paused by a person" in text
    assert "maintenance, still" in text
    assert shell("accounts", "resume", "shop").stdout.startswith("account shop is resumed after ")
    assert shell("accounts", "resume", "shop").stdout == "account shop was not paused\n"
    again = shell.json("accounts", "resume", "shop")
    assert (again["pause"], again["paused_s"]) == (None, None)
    assert shell.json("accounts", "pause", "shop")["pause"]["reason"] == "a person paused it"


def test_a_closed_account_is_opened(shell: CommandShell) -> None:
    """It says until when and why; resuming opens it, also where no daemon runs, and tells what was closed."""
    submit(shell)
    # Each command measures how far its clock is from the database's, to some milliseconds: see decision 159.
    execute(shell, "UPDATE lanes SET closed_until = 4102444800.3, closed_reason = 'HTTP 429: slow down'")
    (shop,) = shell.json("accounts", "list")["accounts"]
    (closed,) = shop["closed"]
    assert closed.pop("until").startswith("2100-01-01T00:00:00.")
    assert closed == {"lane": 1, "shard": 0, "reason": "HTTP 429: slow down"}
    text = shell("accounts", "list").stdout
    assert "closed until 2100-01-01" in text
    assert "HTTP 429: slow down" in text
    output = shell("accounts", "resume", "shop").stdout
    assert output == "account shop is opened; it was closed until 2100-01-01 00:00:00: HTTP 429: slow down\n"
    assert shell.json("accounts", "list")["accounts"][0]["closed"] == []
    execute(shell, "UPDATE lanes SET closed_until = 4102444800.0, closed_reason = 'HTTP 429'")
    (opened,) = shell.json("accounts", "resume", "shop")["opened"]
    assert opened["reason"] == "HTTP 429"
    assert shell.json("accounts", "resume", "shop")["opened"] == []


def test_jobs_wait_in_a_paused_account(shell: CommandShell) -> None:
    """A pause refuses no job: it is taken in, and its deadline moves by as long as it has waited."""
    shell("accounts", "pause", "shop")
    number = submit(shell)
    execute(shell, "UPDATE accounts SET paused_at = paused_at - 1000")
    execute(shell, "UPDATE jobs SET created_at = created_at - 400")
    before = shell.json("jobs", "show", str(number))
    assert shell.json("accounts", "resume", "shop")["paused_s"] == pytest.approx(1000, abs=20)
    after = shell.json("jobs", "show", str(number))
    moved = datetime.fromisoformat(after["deadline_at"]) - datetime.fromisoformat(before["deadline_at"])
    assert moved.total_seconds() == pytest.approx(400, abs=20)
    assert after["version"] == before["version"]


def test_an_account_that_has_left_the_configuration(shell: CommandShell) -> None:
    """While jobs of it wait it is listed, with what to do; once they are cancelled it is gone."""
    number = str(submit(shell))
    shell.config.write_text(shell.config.read_text().replace("[accounts.shop", "[accounts.store"))
    text = shell("accounts", "list").stdout
    assert "not configured" in text
    assert "put [accounts.shop] back" in text
    left: dict[str, object] = {"account": "shop", "provider": None, "pause": None, "closed": []}
    left |= {"jobs": {"queued": 1}, "fault": None, "refresh_token_at": None}
    assert left in shell.json("accounts", "list")["accounts"]
    execute(shell, "UPDATE jobs SET state = 'cancelled', due_at = NULL WHERE id = ?", number)
    assert [one["account"] for one in shell.json("accounts", "list")["accounts"]] == ["store"]


@pytest.mark.slow
def test_a_waiting_job_says_what_it_waits_for(shell: CommandShell) -> None:
    """Commands that show or await a job report the pause, or that its account is no longer configured."""
    number = str(submit(shell))
    assert "No daemon serves the lane of this job" in " ".join(shell("jobs", "show", number).stdout.split())
    shell("accounts", "pause", "shop", "--reason", "maintenance")
    words = (" ".join(shell("jobs", "show", number).stdout.split()), "paused: maintenance", "accounts resume shop")
    assert all(word in words[0] for word in words[1:])
    result = shell("submit", *STATISTICS, "--wait", "--timeout", "0.6", code=ExitCode.TIMED_OUT)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("job 2 waits: ")]
    assert all(word in line for word in words[1:])
    shell.config.write_text(shell.config.read_text().replace("[accounts.shop", "[accounts.store"))
    text = " ".join(shell("jobs", "show", number).stdout.split())
    assert "The account is not in the configuration" in text
    assert "put [accounts.shop] back" in text


def test_whose_pause_it_is(shell: CommandShell) -> None:
    """Refused credentials and failures of TLS are told apart; what a provider said cannot steer the terminal."""
    shell("accounts", "pause", "shop")
    for by, cause in (("credentials", "credentials refused"), ("tls", "TLS failed")):
        execute(shell, "UPDATE accounts SET paused_by = ?, paused_reason = ?", by, "HTTP 401: \x1b[2Jno")
        text = shell("accounts", "list").stdout
        assert cause in text
        assert "\x1b" not in text
        assert shell.json("accounts", "list")["accounts"][0]["pause"]["by"] == by


def test_lanes_that_are_closed_for_a_while(shell: CommandShell) -> None:
    """A throttle says until when, a breaker only why; a throttle that is over is not told."""
    submit(shell)
    later = time.time() + 3600
    execute(shell, "UPDATE lanes SET closed_until = ?, closed_reason = 'HTTP 429'", later)
    (closed,) = shell.json("accounts", "list")["accounts"][0]["closed"]
    # By the clock of the process that reads it, which is converted from the database's.
    assert abs(datetime.fromisoformat(closed["until"]).timestamp() - later) < 1.0
    assert closed["reason"] == "HTTP 429"
    assert "closed until" in shell("accounts", "list").stdout
    execute(shell, "UPDATE lanes SET closed_until = 0, closed_reason = 'HTTP 502'")
    assert "closed by its breaker" in shell("accounts", "list").stdout
    execute(shell, "UPDATE lanes SET closed_until = 5, closed_reason = 'HTTP 429'")
    assert shell.json("accounts", "list")["accounts"][0]["closed"] == []


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_no_such_account(shell: CommandShell, command: str) -> None:
    """A name that is not configured ends with 2, and with the names that are."""
    output = shell("accounts", command, "shpo", code=ExitCode.USAGE)
    assert output.stderr == "tidewaiter: unknown account 'shpo'; configured: shop\n"


@pytest.mark.parametrize("command", [("list",), ("pause",), ("resume",)])
def test_help_shows_an_example(shell: CommandShell, command: tuple[str, ...]) -> None:
    """Every command shows how it is called."""
    assert f"tidewaiter accounts {command[0]}" in shell("accounts", *command, "--help").stdout


def test_json_is_json(shell: CommandShell) -> None:
    """Whatever prints data prints one JSON document and nothing else."""
    for arguments in (("list",), ("pause", "shop"), ("resume", "shop")):
        json.loads(shell("accounts", *arguments, "--json").output)


@pytest.mark.slow
def test_a_daemon_applies_a_pause(emulated: CommandShell) -> None:
    """Within one watcher round a pause by another process stops all requests, and a resume restarts them."""
    with emulated.process("serve") as daemon:
        wait_for(daemon, "daemon.started")
        emulated("accounts", "pause", "shop", "--reason", "maintenance")
        assert '"by": "person"' in wait_for(daemon, "account.paused")
        number = str(submit(emulated))
        emulated("submit", *STATISTICS, "--wait", "--timeout", "1", code=ExitCode.TIMED_OUT)
        assert emulated.json("jobs", "show", number)["state"] == "queued"
        emulated("accounts", "resume", "shop")
        wait_for(daemon, "account.resumed")
        emulated("submit", *STATISTICS, "--wait", "--timeout", "30")
        assert emulated.json("jobs", "show", number)["state"] == "succeeded"
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0


@pytest.mark.fault(26)
@pytest.mark.slow
def test_a_restart_with_another_key_resumes(emulated: CommandShell) -> None:
    """A wrong key pauses the account; after a fix in the configuration, the next start of the daemon resumes it."""
    right = emulated.config.read_text()
    emulated.config.write_text(right.replace('token = "canary-token"', 'token = "mistyped"'))
    number = str(submit(emulated))
    for _ in range(2):
        with emulated.process("serve") as daemon:
            assert "401" in wait_for(daemon, "account.refused")
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(30) == 0
    (shop,) = emulated.json("accounts", "list")["accounts"]
    assert shop["pause"]["by"] == "credentials"
    assert shop["jobs"] == {"queued": 1}
    emulated.config.write_text(right)
    with emulated.process("serve") as daemon:
        assert "the settings have changed" in wait_for(daemon, "account.resumed")
        wait_for(daemon, "job.finished")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    assert emulated.json("jobs", "show", number)["state"] == "succeeded"


def test_an_account_with_a_faulty_spec(shell: CommandShell) -> None:
    """It is listed with the fault, its jobs are refused with it, and other accounts work; check-config tells it."""
    (shell.folder / "specs").mkdir()
    (shell.folder / "specs" / "mine.toml").write_text('name = "mine"\ntitle = 5\n')
    text = shell.config.read_text()
    shell.config.write_text(text + '[accounts.own]\nprovider = "mine"\n[providers]\nfolders = ["specs"]\n')
    assert submit(shell) == 1
    own = shell.json("accounts", "list")["accounts"][0]
    assert (own["account"], own["provider"]) == ("own", None)
    assert own["fault"].endswith("mine.toml: base_url: is missing; and 2 more, which `tidewaiter providers lint` shows")
    assert "faulty" in shell("accounts", "list").stdout
    refused = shell("submit", "own", "report", code=ExitCode.USAGE).stderr
    assert "account 'own' is not served: the spec of its provider has a fault" in refused
    assert "no jobs" in shell("jobs", "list", "--account", "own").stdout
    shell.config.write_text(
        shell.config.read_text() + '[schedules.daily]\naccount = "own"\noperation = "x"\ncron = "0 6 * * *"\n'
    )
    assert "schedule daily: account own is not served" in shell("schedules", "list").stderr
    assert "account own is not served" in shell("schedules", "run", "daily", code=ExitCode.USAGE).stderr
    assert "title: must be text" in shell("check-config", code=ExitCode.CONFIG).stderr
