"""Signals: the first one asks, the second one ends."""

import signal
import subprocess
import sys

_PROGRAM = """
import asyncio
from app.bootstrap.signals import signals

async def never_ends():
    stop = asyncio.Event()
    with signals(stop, asyncio.Event(), lambda number: print(number.name, flush=True)):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(never_ends())
"""


def test_the_second_signal_ends_the_process_at_once() -> None:
    """It ends as that signal ends a process, whatever is still under way."""
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "SIGTERM\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
