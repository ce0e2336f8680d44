"""A daemon with a provider whose address is one of the daemon's own listeners."""

import asyncio
from pathlib import Path

import pytest

from tests.support.daemon_in_process import DaemonSetup
from tests.support.doctor_run import consulted
from tests.support.ports import free_port
from tidewaiter.bootstrap import send_test
from tidewaiter.config import load
from tidewaiter.doctor.findings import CheckStatus
from tidewaiter.transport.wire import BlockedAddressError


@pytest.mark.slow
@pytest.mark.parametrize("table", ["http", "callbacks"])
@pytest.mark.parametrize("permitted", ["true", '["127.0.0.0/8"]'])
async def test_no_account_reaches_them(setup: DaemonSetup, table: str, permitted: str) -> None:
    """The job waits, with the reason; with the same permission another account's provider is reached."""
    port = free_port()
    listen = f'[{table}]\nlisten = "127.0.0.1:{port}"\n'
    public = f'public_url = "http://127.0.0.1:{port}"\n' if table == "callbacks" else ""
    good = setup.account("good").replace("allow_private = true", f"allow_private = {permitted}")
    astray = good.replace("accounts.good", "accounts.astray").replace(setup.emulator.origin, f"http://127.0.0.1:{port}")
    setup.write(good, astray, listen + public)
    async with setup.serving():
        (number,) = await setup.submit("astray")
        await setup.until(await setup.submit("good"))
        async with asyncio.timeout(20), setup.store() as (jobs, _):
            while (job := await jobs.get(number)) is None or job.reason is None:  # noqa: ASYNC110  # a daemon notifies nobody
                await asyncio.sleep(0.02)
    assert "127.0.0.1 is a listener of this daemon; no setting permits it" in job.reason


async def test_other_processes_reach_what_the_daemon_reaches(tmp_path: Path) -> None:
    """The doctor tries an account, and a test of a notification is sent, past no rule that the daemon keeps."""
    port = free_port()
    text = f"""
    [http]
    listen = "127.0.0.1:{port}"
    [notifications.ops]
    url = "http://127.0.0.1:{port}/hook"
    secret = "whsec_{"A" * 32}"
    [accounts.shop]
    provider = "oneall"
    allow_private = true
    [accounts.shop.settings]
    subdomain = "my-app"
    base_url = "http://127.0.0.1:{port}"
    public_key = "public"
    private_key = "private"
    """
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        found = await consulted(tmp_path, text)
        with pytest.raises(BlockedAddressError, match="is a listener of this daemon"):
            await send_test(load(tmp_path / "tidewaiter.toml", {}), "ops")
    assert found["shop", "login"].status is CheckStatus.FAILURE
    assert "is a listener of this daemon" in found["shop", "login"].message
    assert "is a listener of this daemon" not in found["http", "http"].message
