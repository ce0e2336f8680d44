"""A change listener that fails does not stop the daemon."""

import pytest

from tests.support.daemon_in_process import DaemonSetup
from tests.support.ports import free_port
from tidewaiter.domain.change_feed import JobChange
from tidewaiter.domain.job import State
from tidewaiter.web.api.job_changes import EventFeed


@pytest.mark.slow
async def test_a_follower_that_fails_ends_no_daemon(setup: DaemonSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ends well, the log names the follower, and the daemon serves on until it is asked to stop."""

    def take(_feed: EventFeed, change: JobChange) -> None:
        raise KeyError(change.event)

    monkeypatch.setattr(EventFeed, "on_change", take)
    setup.write(setup.account("shop"), f'[http]\nlisten = "127.0.0.1:{free_port()}"\n')
    async with setup.serving():
        (job,) = await setup.until(await setup.submit("shop"))
        assert job.state is State.SUCCEEDED
        (line, *_) = await setup.logged("follower.failed")
        assert "take" in str(line["follower"])
        assert str(line["reason"]).startswith("KeyError: 'job.")
        assert await setup.logged("job.finished")
    assert setup.code == 0
    assert setup.lines("daemon.failed") == []
