"""kill -9 at each durable point of a job with several requests: nothing is submitted or started twice."""

from pathlib import Path

import pytest

from tests.support.doomed_daemon import DoomedDaemon, stored_job
from tests.support.scripted_provider import config_for, open_provider
from tests.support.stage_provider import SPEC, answers
from tidewaiter.domain.job import State

REPEATED = ("POST /files", "GET /files/f1", "POST /jobs/j1/hurry", "GET /jobs/j1", "GET /jobs/j1/file")
"""The requests that may be sent again."""
ONCE = ("POST /jobs", "POST /jobs/j1/enqueue")
"""Those that must not."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("request_line", "after_reply"),
    [
        pytest.param("POST /jobs/j1/enqueue", False, marks=pytest.mark.slow),
        *(
            pytest.param(line, after_reply, marks=pytest.mark.chaos)
            for line in (*REPEATED, *ONCE)
            for after_reply in (False, True)
            if (line, after_reply) != ("POST /jobs/j1/enqueue", False)
        ),
    ],
)
async def test_a_kill_at_each_request(tmp_path: Path, sqlite_url: str, request_line: str, *, after_reply: bool) -> None:
    """Before a reply the outcome of what must not be repeated is unknown; afterwards it may have been committed."""
    replies, daemon = answers(), DoomedDaemon(tmp_path, after_reply)
    replies[request_line] = daemon.at(replies[request_line])
    async with open_provider(replies) as shop, stored_job(sqlite_url, {"rows": "a", "fast": True}) as stored:
        config_for(tmp_path, SPEC, shop.url, sqlite_url)
        try:
            await daemon.run_to_its_death()
            await daemon.start()
            job = await stored.end()
            history = await stored.store.history(stored.number)
        finally:
            await daemon.kill()
    assert [shop.asked.count(line) for line in ONCE] in ([1, 1], [1, 0])
    if request_line in ONCE and not after_reply:
        assert (job.state, job.stage) == (State.PARKED, request_line.rpartition("/")[2].replace("jobs", "submit"))
    elif request_line in REPEATED:
        assert (job.state, job.handle) == (State.SUCCEEDED, "j1")
    else:
        assert job.state in (State.SUCCEEDED, State.PARKED)
    assert job.submits == 1
    assert sum(entry.state is State.SUBMITTING for entry in history) <= 4
    assert "Traceback" not in daemon.log
