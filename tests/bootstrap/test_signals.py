"""Signals: the first one drains, the second one ends the process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_PROGRAM = """
import asyncio, sys
from tidewaiter.bootstrap.process import handle_signals

async def never_ends():
    stop = asyncio.Event()
    if "draining" in sys.argv:
        stop.set()
    with handle_signals(stop, asyncio.Event(), lambda number: print(number.name, flush=True)):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(never_ends())
"""


@contextmanager
def _running(*how: str) -> Iterator[subprocess.Popen[str]]:
    """A process whose signal handlers are installed."""
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, *how], stdout=subprocess.PIPE, text=True) as process:
        assert _line(process) == "ready"
        yield process


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


@pytest.mark.fault(5)
@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("draining",)], ids=["by signals alone", "draining already"])
def test_the_second_signal_ends_the_process_at_once(how: tuple[str, ...]) -> None:
    """It ends as that signal ends a process; the first only asks, also of a daemon that drains for another reason."""
    with _running(*how) as process:
        process.send_signal(signal.SIGTERM)
        assert _line(process) == "SIGTERM"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
