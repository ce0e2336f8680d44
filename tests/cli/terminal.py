"""A terminal in which a test starts a program: its screen, its input, its size, and how the program left it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_PATIENCE_S: Final = 30.0
# The terminal has to be the process's own, or Ctrl-C would not become a signal. No fork: the tests have threads.
_LAUNCH: Final = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """One end of a terminal, of which a program has the other."""

    def __init__(self, ours: int, theirs: int, process: subprocess.Popen[bytes]) -> None:
        self._ours = ours
        self._theirs = theirs
        self.process = process
        self.shown = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """Read what is shown until ``text`` has come; returns what has come since the last time, up to that."""
        until = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert select.select([self._ours], [], [], max(0.0, until - time.monotonic()))[0], self.shown
            self.shown += os.read(self._ours, 65_536).decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def rest(self) -> str:
        """What has been shown since, when the program has ended."""
        while select.select([self._ours], [], [], 0.0)[0]:
            self.shown += os.read(self._ours, 65_536).decode(errors="replace")
        return self.shown

    def resize(self, lines: int, columns: int) -> None:
        """Change its size, of which the program is told."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def settings(self) -> list[Any]:
        """How the terminal driver is set: echo, lines or keys, and the like."""
        return termios.tcgetattr(self._theirs)


def _without(environ: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in names}


@contextmanager
def terminal(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], *, lines: int = 24, columns: int = 80
) -> Iterator[Terminal]:
    """Start a program in a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCH, *command],
        cwd=folder,
        # Of a terminal's size its driver tells, not what somebody has exported.
        env={**_without(os.environ, "COLUMNS", "LINES"), "TERM": "xterm-256color", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        yield Terminal(ours, theirs, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
