"""Observers get every event, with names and fields, independent of what is printed."""

import io
import json
import os

import pytest

from tidewaiter.clock import SystemClock
from tidewaiter.log import configure


def test_observers_get_each_logged_event() -> None:
    """The fields as they are logged, with those of a bound log, and without those that are not there."""
    observed: list[tuple[str, dict[str, object]]] = []
    log = configure("json", "info", clock=SystemClock(), stream=io.StringIO(), strict=True)
    log.observe(lambda name, fields: observed.append((name, dict(fields))))
    log.bind(account="shop").emit("job.advanced", job=1, reason=None)
    log.emit("storage.resumed")
    log.close()
    assert observed == [("job.advanced", {"account": "shop", "job": 1}), ("storage.resumed", {})]


def test_the_level_is_for_the_output() -> None:
    """An event below the level of the log is told and not printed."""
    observed: list[str] = []
    stream = io.StringIO()
    log = configure("json", "error", clock=SystemClock(), stream=stream, strict=True)
    log.observe(lambda name, _: observed.append(name))
    log.emit("job.finished", job=1)
    log.emit("job.failed", job=2)
    log.close()
    assert observed == ["job.finished", "job.failed"]
    assert [line for line in stream.getvalue().splitlines() if "job.finished" in line] == []


def test_folding_is_for_the_output() -> None:
    """Equal lines are printed once and told each time."""
    observed: list[str] = []
    stream = io.StringIO()
    log = configure("json", "info", clock=SystemClock(), stream=stream, strict=True)
    log.observe(lambda name, _: observed.append(name))
    for _ in range(3):
        log.emit("account.refused", account="shop", reason="HTTP 401")
    assert observed == ["account.refused"] * 3
    assert len(stream.getvalue().splitlines()) == 1
    log.close()


def test_lost_lines_are_counted_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's count of lost lines goes on after the log has told of some; the telling reaches observers, too."""
    monkeypatch.setattr("tidewaiter.log.line_output._WAIT_S", 0.01)
    observed: list[tuple[str, object]] = []
    reading, writing = os.pipe()
    with open(writing, "w") as stream, open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123  # descriptors
        log = configure("json", "info", clock=SystemClock(), stream=stream)
        log.observe(lambda name, fields: observed.append((name, fields.get("lines"))))
        for job in range(2000):
            log.emit("job.advanced", job=job, reason="x" * 100)
        lost = log.lost
        pipe.read(1 << 20)
        log.emit("storage.resumed")
    assert lost > 0
    assert log.lost == lost
    assert observed[-1] == ("log.dropped", lost)


def test_an_observer_that_fails_harms_nobody() -> None:
    """Who logs goes on, the line is printed, the others are told; the fault is printed, once where it repeats."""
    observed: list[str] = []
    stream = io.StringIO()
    log = configure("json", "info", clock=SystemClock(), stream=stream, strict=True)

    def broken(name: str, _: object) -> None:
        raise KeyError(name)

    log.observe(broken)
    log.observe(lambda name, _: observed.append(name))
    for _ in range(2):
        log.emit("storage.resumed")
    assert observed == ["storage.resumed"] * 2
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["follower.failed", "storage.resumed", "storage.resumed"]
    assert lines[0]["reason"] == "KeyError: 'storage.resumed'"
    assert "broken" in lines[0]["follower"]
    log.close()
