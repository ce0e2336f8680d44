"""``tidewaiter notifications`` with a real daemon and a real receiver."""

import asyncio
import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.command_shell import CONFIG, CommandShell
from tests.cli.commands import STATISTICS, submit, wait_for
from tests.support.webhook_receiver import SECRET, Receiver, receiver, status
from tidewaiter.cli.exit_codes import ExitCode

FILL = """
INSERT INTO notifications
    (endpoint, message_id, job_id, account, state, at, status, due_at, attempts, last_error, ended_at, body)
VALUES
    ('ops', 'msg_1', 1, 'shop', 'failed', 1750000000, 'dead', NULL, 10, 'HTTP 500', 1750300000, '{}'),
    ('ops', 'msg_2', 2, 'shop', 'succeeded', 1750000000, 'delivered', NULL, 1, NULL, 1750000001, '{}'),
    ('chat', 'msg_1', 1, 'shop', 'failed', 1750000000, 'dead', NULL, 1, 'HTTP 410 Gone', 1750000001, '{}'),
    ('ops', 'msg_3', 3, 'shop', 'expired', 1750000000, 'waiting', 1750000100, 2, 'HTTP 500', NULL, '{}')
"""


def hook(url: str, **more: str) -> str:
    """An endpoint's table."""
    lines = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'\n[notifications.ops]\nurl = "{url}"\nsecret = "{SECRET}"\n{lines}'


@contextmanager
def listening() -> Iterator[tuple[Receiver, Callable[[Coroutine[Any, Any, Any]], Any]]]:
    """A receiver in a thread of its own, because commands run their own loop; and a way to ask it something."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def ask(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    made = receiver()
    try:
        yield ask(made.__aenter__()), ask
        ask(made.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def filled(shell: CommandShell) -> CommandShell:
    """A database in which receivers were told of jobs, and did not take all of it."""
    shell("jobs", "list")
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute(FILL)
    database.close()
    return shell


def ids(shell: CommandShell, *filters: str) -> list[int]:
    """The ids of the listed notifications."""
    return [one["id"] for one in shell.json("notifications", "list", *filters)["notifications"]]


def test_listing(filled: CommandShell) -> None:
    """Newest first, by status, endpoint and job, in pages; the table says where each stands and why."""
    every = filled.json("notifications", "list")["notifications"]
    assert [one["id"] for one in every] == [4, 3, 2, 1]
    assert every[0] == {
        "id": 4,
        "endpoint": "ops",
        "message_id": "msg_3",
        "job": 3,
        "account": "shop",
        "state": "expired",
        "at": "2025-06-15T15:06:40.000Z",
        "status": "waiting",
        "due_at": "2025-06-15T15:08:20.000Z",
        "attempts": 2,
        "attempted_at": None,
        "last_error": "HTTP 500",
        "ended_at": None,
        "batch": None,
    }
    assert ids(filled, "--dead") == [3, 1]
    assert ids(filled, "--waiting") == [4]
    assert ids(filled, "--endpoint", "ops", "--limit", "2") == [4, 2]
    assert ids(filled, "--job", "1", "--before", "3") == [1]
    text = filled("notifications", "list", "--dead").stdout
    assert "HTTP 410 Gone" in text
    assert "dead" in text


def test_retrying(filled: CommandShell) -> None:
    """By their ids, or all dead ones; unknown ids end with 1, unclear arguments with 2."""
    assert filled("notifications", "retry", "1").stdout == "1 notification is sent again\n"
    assert filled.json("notifications", "retry", "--dead", "--endpoint", "ops") == {"retried": 0, "unknown": []}
    assert filled("notifications", "retry", "--dead").stdout == "1 notification is sent again\n"
    assert filled.json("notifications", "list", "--dead")["notifications"] == []
    assert ids(filled, "--waiting") == [4, 3, 1]
    result = filled("notifications", "retry", "2", "4711", code=ExitCode.FAILED)
    assert "there is no notification 4711; `tidewaiter notifications list` has them" in result.stderr
    assert filled.json("notifications", "list")["notifications"][2]["status"] == "waiting"
    for none in (str(2**63), "0", "x1", "9" * 5000):
        assert "is no id; an id is a whole number" in filled("notifications", "retry", none, code=2).stderr
    with sqlite3.connect(filled.folder / "tidewaiter.db") as database:
        database.execute("UPDATE notifications SET due_at = 9e9 WHERE status = 'waiting'")
    database.close()
    number = len(filled.json("notifications", "list", "--waiting", "--endpoint", "ops")["notifications"])
    retried = filled.json("notifications", "retry", "--waiting", "--endpoint", "ops")
    assert retried == {"retried": number, "unknown": []}
    for wrong in ([], ["1", "--dead"], ["1", "--waiting"], ["1", "--endpoint", "ops"]):
        text = filled("notifications", "retry", *wrong, code=ExitCode.USAGE).stderr
        assert "name the notifications by their ids, or all that died with --dead" in text


def test_a_receiver_is_tried(shell: CommandShell) -> None:
    """One signed message now; its answer is shown, and a refusal ends with 1."""
    with listening() as (made, _):
        shell.config.write_text(CONFIG + hook(made.url))
        assert shell("notifications", "test", "ops").stdout == (
            "ops was sent one tidewaiter.test and replied HTTP 200 OK\n"
        )
        assert shell.json("notifications", "test", "ops")["accepted"] is True
        first, second = made.received
        assert first.body["type"] == "tidewaiter.test"
        assert first.message_id != second.message_id
        made.answer = status(403)
        result = shell("notifications", "test", "ops", code=ExitCode.FAILED)
        assert "replied HTTP 403 Forbidden" in result.stdout
        assert "ops did not accept it: only a reply from 200 to 299 counts" in result.stderr
        assert SECRET not in result.output
    assert not (shell.folder / "tidewaiter.db").exists()


def test_a_receiver_that_is_not_there(shell: CommandShell) -> None:
    """No answer is one sentence and 1; a name that is not configured is 2, with those that are."""
    shell.config.write_text(CONFIG + hook("http://127.0.0.1:9/canary"))
    result = shell("notifications", "test", "ops", code=ExitCode.FAILED)
    assert "tidewaiter: ops: No connection to http://127.0.0.1:9: " in result.stderr
    assert "canary" not in result.output
    assert shell("notifications", "test", "chat", code=ExitCode.USAGE).stderr == (
        "tidewaiter: unknown endpoint 'chat'; configured: ops\n"
    )


def test_an_account_that_there_is_not(shell: CommandShell) -> None:
    """It is a fault of the configuration, told with its key and beside all others."""
    shell.config.write_text(CONFIG + hook("https://ops.example.com/hook", accounts='["shop", "shopp"]'))
    text = shell("serve", code=ExitCode.CONFIG).stderr
    assert "notifications.ops.accounts: 'shopp' is no configured account (configured: shop)" in text
    shell.config.write_text(shell.config.read_text() + "\n[worker2]\n")
    text = shell("jobs", "list", code=ExitCode.CONFIG).stderr
    assert "worker2" in text
    assert "notifications.ops.accounts: 'shopp' is no configured account" in text


@pytest.mark.fault(58)
@pytest.mark.slow
def test_a_daemon_notifies_how_jobs_end(emulated: CommandShell) -> None:
    """`serve` with an endpoint: the job's end is told with its file, and no secret is in the log or the database."""
    with listening() as (made, ask):
        emulated.config.write_text(emulated.config.read_text() + hook(made.url, accounts='["shop"]'))
        with emulated.process("serve") as daemon:
            wait_for(daemon, "daemon.started")
            job = emulated.json("submit", *STATISTICS, "--wait", "--timeout", "30")
            ask(made.until(1))
            line = json.loads(wait_for(daemon, "notification.delivered"))
            daemon.terminate()
            assert daemon.wait(30) == 0
            assert daemon.stdout is not None
            assert SECRET not in daemon.stdout.read()
    (received,) = made.received
    assert received.body["type"] == "job.succeeded"
    data = received.body["data"]
    for name in data.keys() - {"artifacts", "artifacts_total"}:
        assert data[name] == job[name]
    (artifact,) = data["artifacts"]
    assert artifact.items() <= job["artifacts"][0].items()
    assert (line["endpoint"], line["job"], line["attempts"]) == ("ops", job["id"], 1)
    assert SECRET.encode() not in (emulated.folder / "tidewaiter.db").read_bytes()


def test_a_cancel_by_a_person_is_notified(shell: CommandShell) -> None:
    """What the command line decides about a parked job is written for the receivers, too."""
    number = submit(shell)
    with sqlite3.connect(shell.folder / "tidewaiter.db") as database:
        database.execute("UPDATE jobs SET state = 'parked', due_at = NULL, version = 4")
    database.close()
    shell.config.write_text(CONFIG + hook("https://ops.example.com/hook"))
    assert shell.json("jobs", "cancel", str(number))["jobs"][0]["state"] == "cancelled"
    (result,) = shell.json("notifications", "list", "--waiting")["notifications"]
    assert (result["job"], result["state"]) == (number, "cancelled")


@pytest.mark.slow
def test_an_endpoint_that_comes_with_a_reload(emulated: CommandShell) -> None:
    """SIGHUP takes a new endpoint over: the next job's end is told there, though the daemon began without it."""
    with listening() as (made, ask), emulated.process("serve") as daemon:
        wait_for(daemon, "daemon.started")
        emulated.config.write_text(emulated.config.read_text() + hook(made.url))
        daemon.send_signal(signal.SIGHUP)
        wait_for(daemon, "config.reloaded")
        job = emulated.json("submit", *STATISTICS, "--wait", "--timeout", "30")
        received = ask(made.until(1))
        daemon.terminate()
        assert daemon.wait(30) == 0
    assert [one.body["data"]["id"] for one in received] == [job["id"]]


def test_without_notifications_the_list_says_so(shell: CommandShell) -> None:
    """An empty list is a sentence, as for jobs, batches and backfills, and not the head of a table."""
    assert shell("notifications", "list").stdout == "no notifications\n"
