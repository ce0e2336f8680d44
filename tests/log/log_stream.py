"""A log on a stream in memory."""

import io
import json
from collections.abc import Sequence

from tidewaiter.log import configure


class Hands:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds

    def skew(self) -> float:
        return 0.0


class LogStream:
    """A log on a stream in memory, and what was printed on it."""

    def __init__(self, level: str = "debug", secrets: Sequence[str] = (), *, strict: bool = True) -> None:
        self.clock = Hands()
        self.stream = io.StringIO()
        self.log = configure("json", level, secrets, clock=self.clock, stream=self.stream, strict=strict)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def names(self) -> list[object]:
        return [line["event"] for line in self.lines]
