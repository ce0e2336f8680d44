"""What signals ask of the process: to end, to end now, to read its configuration anew."""

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
    """Heed signals while the block runs.

    Args:
        stop: set by SIGTERM and SIGINT; the second of them ends the process at once. Others may set it,
            too: they are no first signal.
        reload: set by SIGHUP, which asks to end like the others where there is none.
        on_stop: told of the first signal that asks to end.
    """
    loop = asyncio.get_running_loop()
    has_asked = False

    def ask(number: signal.Signals) -> None:
        nonlocal has_asked
        if has_asked:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            # Still here: as the first process of a container, whom the kernel spares the default of any signal.
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
