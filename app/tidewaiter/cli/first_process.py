"""The first process of a container, which the kernel ends by no signal that it has no handler for."""

import os
import signal
from types import FrameType

_FIRST = 1


def end_on_sigterm() -> None:
    """Let SIGTERM end this process, also where it is the first one of a container.

    The default action does that for every other process. A command that handles the signal in its own way replaces
    this handler. Without it, a person who stops the container would wait in vain.
    """
    if os.getpid() == _FIRST:
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
