"""A log on a stream in memory."""

import io
import json
from collections.abc import Sequence

from tests.support.stored_jobs import StandingClock
from tidewaiter.log import configure


class LogStream:
    """A log on a stream in memory, and what was printed on it."""

    def __init__(self, level: str = "debug", secrets: Sequence[str] = (), *, strict: bool = True) -> None:
        self.clock = StandingClock()
        self.clock.at = 1_790_000_000.0
        self.stream = io.StringIO()
        self.log = configure("json", level, secrets, clock=self.clock, stream=self.stream, strict=strict)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def names(self) -> list[object]:
        return [line["event"] for line in self.lines]
