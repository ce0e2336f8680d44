"""Actions on the page, by the API and by commands are in the log and in the job's history, with their actor."""

import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import api_server
from tests.support.api_server import ADMIN, ApiServer, serving
from tidewaiter.clock import SystemClock
from tidewaiter.database.admin_action_store import AdminActionStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import State
from tidewaiter.services.actors import Actor, Channel

BEARER = {"Authorization": f"Bearer {ADMIN}"}
PROXY = '[http]\nlisten = "127.0.0.1:0"\ntrusted_proxies = ["127.0.0.1/32"]\n'


@pytest.fixture
async def audited(tmp_path: Path, database_url: str) -> AsyncIterator[ApiServer]:
    """A listener with tokens, on each of the databases."""
    async with serving(tmp_path, database_url, tokens=True) as site:
        yield site


async def _history(site: ApiServer, number: int) -> list[tuple[str, str | None]]:
    entries = (await site.get(f"/v1/jobs/{number}/history", headers=BEARER)).json["history"]
    return [(one["outcome"], one["detail"]) for one in entries]


async def _parked(site: ApiServer) -> int:
    """A job that waits for a decision."""
    number = int((await site.submitted(BEARER))["id"])
    await site.step(number, o.Intended(f"i-{number}"), o.Unknown("it broke off"))
    job = await site.stored(number)
    if job.state is State.RECONCILING:
        job = await site.step(number, o.Undecidable("nobody can find out"))
    assert job.state is State.PARKED
    return number


@pytest.mark.slow
async def test_a_new_job_says_by_whom(audited: ApiServer) -> None:
    """The first row of the history names the token, the way and the address."""
    number = (await audited.submitted(BEARER))["id"]
    assert await _history(audited, number) == [("Submitted", "by boss (api, 127.0.0.1)")]


async def test_a_new_job_has_its_parameters_and_who_asked_in_the_log(audited: ApiServer) -> None:
    """The log tells its story from the beginning, without secrets; the audit of the request has the job's number."""
    note = "ftp://u:canary@b.c/"
    number = (await audited.submitted(BEARER, params={"period": "LAST_DAY", "note": note}))["id"]
    (line,) = audited.logged("job.submitted")
    assert (line["job"], line["caller"], line["way"]) == (number, "boss", "api")
    assert line["params"]["period"] == "LAST_DAY"
    assert "canary" not in str(line)
    assert audited.logged("admin.acted")[-1]["target"] == f"job {number}"
    jobs = [api_server.new_job() for _ in range(12)]
    receipts = (await audited.post("/v1/jobs/batch", {"jobs": jobs}, headers=BEARER)).json["jobs"]
    first = ", ".join(str(one["id"]) for one in receipts[:10])
    assert audited.logged("admin.acted")[-1]["target"] == f"jobs {first} and 2 more"


async def test_asking_to_cancel_is_a_row_and_undoes_no_step(audited: ApiServer) -> None:
    """The row stands beside the history and makes no new version, so a step under way can still be written."""
    number = int((await audited.submitted(BEARER))["id"])
    await audited.step(number, o.Intended("i"))
    before = await audited.stored(number)
    for action in ("poll", "cancel"):
        assert (await audited.post(f"/v1/jobs/{number}/{action}", headers=BEARER)).status == 202
    assert (await audited.stored(number)).version == before.version
    await audited.step(number, o.Accepted("r-1"))
    by = "by boss (api, 127.0.0.1)"
    outcomes = await _history(audited, number)
    assert outcomes[:4] == [("Submitted", by), ("Intended", None), ("PollRequested", by), ("CancelRequested", by)]
    assert [outcome for outcome, _ in outcomes[4:]] == ["Accepted"]
    line = audited.logged("admin.acted")[-1]
    assert (line["caller"], line["way"], line["target"], line["outcome"], line["remote"]) == (
        "boss", "api", f"job {number}", "done", "127.0.0.1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("action", "outcome"), [("cancel", "CancelAsked"), ("retry", "RetryDecided"), ("adopt", "AdoptDecided")]
)
async def test_a_decision_about_a_parked_job_says_by_whom(audited: ApiServer, action: str, outcome: str) -> None:
    """The row of the decision itself names the person."""
    number = await _parked(audited)
    body: Any = {"handle": "r-9"} if action == "adopt" else None
    assert (await audited.post(f"/v1/jobs/{number}/{action}", body, headers=BEARER)).status == 202
    found = [detail for name, detail in await _history(audited, number) if name == outcome]
    assert len(found) == 1
    assert str(found[0]).endswith("by boss (api, 127.0.0.1)")


async def test_a_job_that_is_repeated_says_so(audited: ApiServer) -> None:
    """The job that had ended has a row, and the new one names the person."""
    number, _ = await audited.landed(b"a", BEARER)
    again = (await audited.post(f"/v1/jobs/{number}/retry", headers=BEARER)).json["id"]
    by = "by boss (api, 127.0.0.1)"
    assert (await _history(audited, number))[-1] == ("RetryRequested", by)
    assert await _history(audited, again) == [("Submitted", by)]


async def test_what_is_refused_is_audited_too(audited: ApiServer) -> None:
    """An action that could not be done is a line with its outcome."""
    number, _ = await audited.landed(b"a", BEARER)
    assert (await audited.post(f"/v1/jobs/{number}/cancel", headers=BEARER)).status == 409
    line = audited.logged("admin.acted")[-1]
    assert (line["outcome"], line["status"], line["target"]) == ("refused", 409, f"job {number}")
    assert ("CancelRequested", "by boss (api, 127.0.0.1)") not in await _history(audited, number)


async def test_forms_of_the_page(audited: ApiServer) -> None:
    """A form says that it came from the page; the reason of a pause is in the line, without control characters."""
    number = int((await audited.submitted(BEARER))["id"])
    await audited.post(f"/jobs/{number}/cancel", headers=BEARER)
    assert (await _history(audited, number))[-1] == ("CancelRequested", "by boss (page, 127.0.0.1)")
    await audited.post("/accounts/quay/pause", headers=BEARER, data={"reason": "their\x1b[31m night"})
    line = audited.logged("admin.acted")[-1]
    assert (line["way"], line["target"], line["outcome"]) == ("page", "account quay", "done")
    assert "their" in line["reason"]
    assert "\x1b" not in line["reason"]


async def test_the_address_behind_a_trusted_proxy(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row and the line name the caller, not the proxy."""
    monkeypatch.setattr(api_server, "CONFIG", api_server.CONFIG.replace('[http]\nlisten = "127.0.0.1:0"\n', PROXY))
    async with serving(tmp_path, sqlite_url, tokens=True) as site:
        number = (await site.submitted({**BEARER, "X-Forwarded-For": "198.51.100.7"}))["id"]
        assert await _history(site, number) == [("Submitted", "by boss (api, 198.51.100.7)")]
        assert site.logged("admin.acted")[-1]["remote"] == "198.51.100.7"


@pytest.mark.slow
async def test_commands(tmp_path: Path, sqlite_url: str) -> None:
    """`jobs cancel` leaves a row with the user of the system, and a line that a daemon logs; a refusal does, too."""
    async with serving(tmp_path, sqlite_url, tokens=True) as site:
        number = int((await site.submitted(BEARER))["id"])
        for code in (0, 0):
            assert await _command(tmp_path, "jobs", "cancel", str(number)) == code
        assert await _command(tmp_path, "jobs", "cancel", "999") == 1
        assert await _command(tmp_path, "accounts", "pause", "quay", "--reason", "a night") == 0
        assert await _command(tmp_path, "submit", "quay", "report", "-p", "period=LAST_DAY") == 0
        user = getpass.getuser()
        assert (await _history(site, number))[-1] == ("CancelRequested", f"by {user} (cli)")
        lines = await AdminActionStore(site.database).take_lines()
        found = [(one["caller"], one["way"], one["action"], one["target"], one["outcome"]) for one in lines]
        assert found == [
            (user, "cli", "cancel", f"job {number}", "done"),
            (user, "cli", "cancel", f"job {number}", "done"),
            (user, "cli", "cancel", "job 999", "refused"),
            (user, "cli", "pause", "account quay", "done"),
            (user, "cli", "submit", f"job {number + 1}", "done"),
        ]
        assert lines[3]["reason"] == "a night"
        assert await AdminActionStore(site.database).take_lines() == []
        assert await AdminActionStore(site.database).delete_old(SystemClock().now() + 8 * 86_400.0) == 5


async def _command(folder: Path, *words: str) -> int:
    command = Path(sys.executable).with_name("tidewaiter")
    asked = await asyncio.create_subprocess_exec(
        command, "--config", folder / "tidewaiter.toml", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await asked.communicate()
    return asked.returncode or 0


def test_a_persons_text_breaks_nothing() -> None:
    """Names and reasons are bounded, on one line, and without what steers a terminal."""
    words = Actor("na\nme\x1b[2J" + "x" * 500, Channel.CLI, reason="why\u202e\r\n" + "y" * 5000).history_text
    assert words is not None
    assert len(words) < 600
    assert words.isprintable()
    assert json.loads(json.dumps(words)) == words
