"""Signals to a daemon that is a process of its own: a terminal that goes away, and one who does not want to wait."""

import asyncio
import os
import pty
import signal
import sys
from pathlib import Path

from app.domain.job import State
from app.emulators.faults import Fault, FaultKind
from tests.bootstrap.stage import Stage

ROOT = Path(__file__).parents[2]


async def started(stage: Stage, terminal: str) -> asyncio.subprocess.Process:
    """A daemon on a terminal, which the shell's redirection makes its controlling one."""
    command = 'exec "$0" -m app.cli.main --config "$1" serve <"$2" >"$2" 2>&1'
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", command, sys.executable, str(stage.path), terminal,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    (job,) = await stage.until(await stage.submit("shop"))
    assert job.state is State.SUCCEEDED
    return process


async def test_a_terminal_that_is_closed(stage: Stage) -> None:
    """The daemon goes on without it, however little it can say there; SIGTERM ends it as ever."""
    stage.write(stage.account("shop"))
    master, slave = pty.openpty()
    process = await started(stage, os.ttyname(slave))
    try:
        os.close(slave)
        stage.write(stage.account("shop"), stage.account("new"))
        os.close(master)
        (job,) = await stage.until(await stage.submit("new"))
        assert job.state is State.SUCCEEDED
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_a_second_sigterm_ends_a_reload_too(stage: Stage) -> None:
    """Whoever asks twice does not wait for the drain, nor for the reload that was under way."""
    stage.write(stage.account("shop"))
    log = stage.folder / "daemon.log"
    log.touch()
    process = await started(stage, str(log))
    try:
        stage.emulator.faults.add("create", Fault(FaultKind.LATENCY, seconds=60))
        creates = stage.emulator.count("create")
        await stage.submit("shop")
        await stage.asked("create", creates + 1)
        stage.write(stage.account("shop", interval_s=0.3))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        await stage.comes(lambda: "daemon.stopping" in log.read_text())
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(3):
            assert await process.wait() == -signal.SIGTERM
    finally:
        if process.returncode is None:
            process.kill()
