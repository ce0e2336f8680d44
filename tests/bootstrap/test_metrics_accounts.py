"""``[http] metrics_accounts``: a daemon obeys it from its start, says so once, and takes another limit on SIGHUP."""

import aiohttp
import pytest

from tests.support.daemon_in_process import DaemonSetup
from tests.support.metrics_page import Samples
from tests.support.ports import free_port


async def scraped(port: int) -> Samples:
    """The metrics of the daemon."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as reply:
        return Samples(await reply.text())


@pytest.mark.slow
async def test_a_daemon_with_more_accounts(setup: DaemonSetup) -> None:
    """The first accounts by name have series of their own."""
    port = free_port()
    names = ("a", "b", "c")

    def write(most: int) -> None:
        http = f'[http]\nlisten = "127.0.0.1:{port}"\nmetrics_accounts = {most}\n'
        setup.write(http, *map(setup.account, names))

    write(1)
    async with setup.serving():
        samples = await scraped(port)
        assert samples("tidewaiter_polls_total", account="a") == 0
        assert samples("tidewaiter_polls_total", account="other") == 0
        assert samples("tidewaiter_polls_total", account="b") is None
        await scraped(port)
        (line,) = setup.lines("metrics.limited")
        assert line["level"] == "warning"
        write(3)
        assert (await setup.reload())["changed"] == ["http.metrics_accounts"]
        samples = await scraped(port)
        assert [samples("tidewaiter_polls_total", account=name) for name in (*names, "other")] == [0, 0, 0, None]
