"""Signals: they end the process after a drain or at once, or make it read its configuration again."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

_STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def signals(
    stop: asyncio.Event, reload: asyncio.Event | None, on_stop: Callable[[signal.Signals], None]
) -> Iterator[None]:
    """Handle signals while the block runs.

    Args:
        stop: set by SIGTERM and SIGINT; the second of them ends the process at once. If other code sets it, that does
            not count as a first signal.
        reload: set by SIGHUP; without it SIGHUP works as SIGTERM does.
        on_stop: called with the first signal that asks the process to end.
    """
    loop = asyncio.get_running_loop()
    has_asked = False

    def ask(number: signal.Signals) -> None:
        nonlocal has_asked
        if has_asked:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            # Still running: the kernel applies no default action to the first process of a container.
            os._exit(128 + number)
        has_asked = True
        on_stop(number)
        stop.set()

    for number in _STOPPING:
        loop.add_signal_handler(number, ask, number)
    if reload is None:
        loop.add_signal_handler(signal.SIGHUP, ask, signal.SIGHUP)
    else:
        loop.add_signal_handler(signal.SIGHUP, reload.set)
    try:
        yield
    finally:
        for number in (*_STOPPING, signal.SIGHUP):
            loop.remove_signal_handler(number)
