"""Single keys from the terminal."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SUSPEND = 6, termios.VSUSP


@contextmanager
def keys(on_key: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_key`` with each key, without waiting for the end of a line and without showing it.

    Ctrl-C keeps its meaning; Ctrl-Z is disabled, because it would leave the shell on the alternate screen. If standard
    input is not a terminal, nothing happens. Leaving the block restores the terminal's settings.
    """
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def read() -> None:
        typed = os.read(terminal, 1024)
        if typed:
            on_key(typed.decode(errors="replace"))
        else:
            loop.remove_reader(terminal)

    try:
        tty.setcbreak(terminal)
        settings = termios.tcgetattr(terminal)
        group, place = _SUSPEND
        settings[group][place] = bytes([os.fpathconf(terminal, "PC_VDISABLE") % 256])
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        loop.add_reader(terminal, read)
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
