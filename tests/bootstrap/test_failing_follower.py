"""Those who follow what becomes of jobs: one that fails does not take the daemon with it."""

import pytest

from tests.support.daemon_in_process import Stage
from tests.support.ports import free_port
from tidewaiter.domain.change_feed import JobChange
from tidewaiter.domain.job import State
from tidewaiter.web.api.job_changes import EventFeed


async def test_a_follower_that_fails_ends_no_daemon(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends well, the log names the follower, and the daemon serves on until it is asked to stop."""

    def take(_feed: EventFeed, change: JobChange) -> None:
        raise KeyError(change.event)

    monkeypatch.setattr(EventFeed, "on_change", take)
    stage.write(stage.account("shop"), f'[http]\nlisten = "127.0.0.1:{free_port()}"\n')
    async with stage.serving():
        (job,) = await stage.until(await stage.submit("shop"))
        assert job.state is State.SUCCEEDED
        (line, *_) = await stage.said("follower.failed")
        assert "take" in str(line["follower"])
        assert str(line["reason"]).startswith("KeyError: 'job.")
        assert await stage.said("job.finished")
    assert stage.code == 0
    assert stage.lines("daemon.failed") == []
