"""Writes log lines to a stream that may be slow, full or closed, without ever stopping the daemon."""

import os
import select
from io import UnsupportedOperation
from typing import Final, TextIO

_WAIT_S: Final = 1.0


class Output:
    """Writes whole lines, and drops them instead of waiting without end for a stalled reader.

    A blocked log must not block the event loop until the leases expire. So one line waits for a second; after that,
    lines are dropped at once until the reader reads again. ``lost`` counts them until they are reported,
    ``lost_in_total`` since the start.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.lost = 0
        self.lost_in_total = 0
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._stalled = False
        self._torn = False

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def write(self, line: str) -> bool:
        """Write one line, to which the line end is added; returns whether it was written."""
        if self._stream is None:
            return False
        try:
            written = _print(line, self._stream) if self._descriptor is None else self._send(line, self._descriptor)
        except (OSError, ValueError):  # disk full, no reader, closed: the next line may succeed
            written = False
        self.lost += not written
        self.lost_in_total += not written
        return written

    def _send(self, line: str, descriptor: int) -> bool:
        end_of_torn_line = "\n" if self._torn else ""
        rest = memoryview(f"{end_of_torn_line}{line}\n".encode(errors="backslashreplace"))
        whole = len(rest)
        while rest:
            _, ready, _ = select.select((), (descriptor,), (), 0.0 if self._stalled else _WAIT_S)
            self._stalled = not ready
            if self._stalled:
                self._torn = self._torn or len(rest) < whole
                return False
            # A pipe that is ready accepts this much without blocking (POSIX: PIPE_BUF).
            rest = rest[os.write(descriptor, rest[: select.PIPE_BUF]) :]
        self._torn = False
        return True

    # Names that structlog calls.
    debug = info = warning = error = write


def _print(line: str, stream: TextIO) -> bool:
    stream.write(f"{line}\n")
    stream.flush()
    return True


def _descriptor_of(stream: TextIO | None) -> int | None:
    """The file behind a stream; ``None`` for one in memory. Writing to it directly leaves nothing to flush at exit."""
    if stream is None or stream.closed:
        return None
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (UnsupportedOperation, OSError):
        return None
    return descriptor
