"""The log: catalogued events, redacted and folded, on an output that may fail."""

import ast
import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.log.log_stream import LogStream
from tests.support.stored_jobs import StandingClock
from tidewaiter import events
from tidewaiter.config.config_tables import LogTable
from tidewaiter.log import EventLog, UncataloguedError, configure
from tidewaiter.log.line_output import Output

APP = Path(__file__).parents[2] / "app"


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_page_is_made_from_the_catalogue() -> None:
    """docs/events.md says what app/tidewaiter/events.py says."""
    page = APP.parent / "docs" / "events.md"
    assert page.read_text() == events.render(), "run `python -m tidewaiter.events > docs/events.md`"


def _emits() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "emit":
                yield f"{path.relative_to(APP.parent)}:{node.lineno}", node


def test_whatever_is_emitted_is_catalogued() -> None:
    """Every event name and every literal field in the program stands in the catalogue: no line goes undocumented."""
    wrong = []
    for place, call in _emits():
        name = call.args[0] if call.args else None
        if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
            continue
        event = events.CATALOGUE.get(name.value)
        fields = {keyword.arg for keyword in call.keywords if keyword.arg}
        lacking = sorted(fields - event.fields.keys()) if event else "the event itself"
        if lacking:
            wrong.append(f"{place}: {name.value}: {lacking}")
    assert not wrong, "\n".join(wrong)


def test_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event is one JSON object: time first, level from the catalogue, no empty fields, sensible numbers."""
    stream = LogStream()
    stream.log.emit("job.advanced", job=7, account="shop", state="polling", handle=None, due_in_s=4.123456789)
    assert stream.lines == [
        {
            "timestamp": "2026-09-21T14:13:20.000Z",
            "level": "info",
            "event": "job.advanced",
            "job": 7,
            "account": "shop",
            "state": "polling",
            "due_in_s": 4.123,
        }
    ]
    assert list(stream.lines[0])[:3] == ["timestamp", "level", "event"]


def test_what_the_catalogue_lacks_raises_in_tests_and_is_marked_in_production() -> None:
    """A forgotten entry fails a test, and never costs the operator the line."""
    strict, lenient = LogStream(), LogStream(strict=False)
    with pytest.raises(UncataloguedError, match=r"job\.sneezed"):
        strict.log.emit("job.sneezed", job=1)
    with pytest.raises(UncataloguedError, match="loudness"):
        strict.log.emit("job.advanced", loudness=3)
    with pytest.raises(UncataloguedError, match="loudness"):
        strict.log.bind(loudness=3)
    lenient.log.emit("job.sneezed", job=1)
    lenient.log.bind(loudness=2).emit("job.advanced", loudness=3)
    assert [line["uncatalogued"] for line in lenient.lines] == [True, ["loudness"]]
    assert [line["level"] for line in lenient.lines] == ["warning", "info"]


def test_bound_fields_go_where_the_catalogue_has_them() -> None:
    """A log bound to a lane adds the lane to the events that have one, and leaves the others alone."""
    stream = LogStream()
    log = stream.log.bind(lane=3).bind(account="shop")
    log.emit("lane.lost")
    log.emit("job.advanced", job=1)
    log.emit("storage.resumed")
    assert [(line.get("lane"), line.get("account")) for line in stream.lines] == [
        (3, "shop"),
        (None, "shop"),
        (None, None),
    ]


def test_a_level_that_is_off_costs_nothing() -> None:
    """Below the level nothing is looked at, not even the fields."""
    stream = LogStream("warning")
    stream.log.emit("job.waited", no_such_field=object())
    stream.log.emit("lane.lost", lane=1)
    assert stream.names == ["lane.lost"]


def test_a_line_makes_no_encoder_and_no_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are made once: to make them for each line takes longer than to write it."""
    written = LogStream()
    made: list[str] = []
    for owner, name in ((json.JSONEncoder, "__init__"), (structlog.BoundLoggerBase, "__init__")):
        monkeypatch.setattr(owner, name, lambda *_, _name=name, **__: made.append(_name))
    written.log.emit("lane.taken", lane=1, account="acme")
    assert [line["event"] for line in written.lines] == ["lane.taken"]
    assert made == []


def test_the_level_can_be_changed() -> None:
    """It counts at once, also for logs that were bound before; what is asked beforehand knows it too."""
    stream = LogStream("warning")
    bound = stream.log.bind(account="shop")
    stream.log.reconfigure(LogTable(level="debug"))
    bound.emit("job.waited", job=1)
    assert stream.log.is_printed("job.waited")
    stream.log.reconfigure(LogTable(level="error"))
    bound.emit("lane.lost", lane=1)
    assert not bound.is_printed("lane.lost")
    assert stream.names == ["job.waited"]


def test_every_fault_of_a_configuration_is_reported() -> None:
    """Equal reasons under different keys are different faults, and a second look at the file is no repetition."""
    stream = LogStream()
    for key in ("worker.polls", "worker.downloads", "worker.polls"):
        stream.log.emit("config.refused", file="tidewaiter.toml", key=key, reason="must be a whole number")
    assert [line["key"] for line in stream.lines] == ["worker.polls", "worker.downloads", "worker.polls"]


# --- other people's logging -------------------------------------------------------------------------------------------


def test_libraries_speak_through_the_same_output() -> None:
    """A library's warning comes out as an event, redacted, with its traceback; its chatter does not."""
    stream = LogStream(secrets=["canary-3"])
    logging.getLogger("alembic").info("chatter")
    logging.getLogger("sqlalchemy.pool").warning("lost %s", "canary-3")
    try:
        int("canary-3")
    except ValueError:
        logging.getLogger("asyncio").exception("oops")
    first, second = stream.lines
    assert (first["event"], first["logger"], first["message"]) == (
        "library.logged",
        "sqlalchemy.pool",
        "lost [redacted]",
    )
    assert "ValueError: invalid literal for int() with base 10: '[redacted]'" in str(second["traceback"])


async def test_a_failed_background_task_is_logged() -> None:
    """The complaints of asyncio, made by its exception handler, reach the log."""
    stream = LogStream()
    asyncio.get_running_loop().call_exception_handler({"message": "canary fell"})
    assert stream.lines[0]["message"] == "canary fell"


def test_a_second_configuration_replaces_the_first() -> None:
    """Configuring again moves the libraries over: no line is printed twice."""
    first, second = LogStream(), LogStream()
    logging.getLogger("x").warning("once")
    assert not first.lines
    assert len(second.lines) == 1


# --- outputs ----------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_console_format() -> None:
    """``auto`` is readable on a terminal; what a provider says cannot steer it, and secrets stay out there too."""
    stream = Terminal()
    log = configure("auto", "info", ["canary"], clock=StandingClock(), stream=stream, strict=True)
    log.emit("job.troubled", job=3, reason="HTTP 500 \x1b[2J canary")
    text = stream.getvalue()
    assert "job.troubled" in text
    assert "[redacted]" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_json_on_request(stream: io.StringIO) -> None:
    """``json`` is JSON wherever it goes."""
    configure("json", "info", stream=stream).emit("storage.resumed")
    assert json.loads(stream.getvalue())["event"] == "storage.resumed"


def test_a_closed_output_is_survived() -> None:
    """A log that nobody can take costs nothing but its lines."""
    stream = io.StringIO()
    log = configure("json", "info", stream=stream)
    stream.close()
    log.emit("storage.resumed")
    assert not Output(None).write("x")


def test_a_stalled_reader_loses_lines_which_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full pipe holds the daemon up once and briefly; when it is read again, the log says how much is missing."""
    monkeypatch.setattr("tidewaiter.log.line_output._WAIT_S", 0.01)
    reading, writing = os.pipe()
    with open(writing, "w") as stream, open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123  # descriptors
        log = configure("json", "info", clock=StandingClock(), stream=stream)
        for job in range(2000):
            log.emit("job.advanced", job=job, reason="x" * 100)
        taken = pipe.read(1 << 20)
        reader = threading.Thread(target=lambda: rest.append(pipe.read(1 << 20)))
        rest: list[bytes] = []
        log.emit("storage.resumed")
        reader.start()
        reader.join()
    whole = [json.loads(line) for line in taken.split(b"\n")[:-1] if line.endswith(b"}")]
    *_, resumed, dropped = rest[0].splitlines()
    assert json.loads(resumed)["event"] == "storage.resumed"
    assert json.loads(dropped)["lines"] == 2000 - len(whole)


@pytest.mark.slow
def test_a_reader_that_has_gone_is_survived() -> None:
    """`tidewaiter serve | head -1`: the process goes on, and ends with its own exit code."""
    script = (
        "from tidewaiter.log import configure\n"
        "log = configure('json', 'info')\n"
        "for job in range(20000): log.emit('job.advanced', job=job)\n"
        "raise SystemExit(3)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=APP.parent
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert b"job.advanced" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 3
        assert process.stderr.read() == b""


def test_lines_of_threads_do_not_mix() -> None:
    """Libraries log from threads of their own; each line stays whole."""
    stream = LogStream()

    def chatter() -> None:
        for job in range(300):
            stream.log.emit("job.advanced", job=job)

    threads = [threading.Thread(target=chatter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stream.lines) == 1200


def test_the_log_says_its_type() -> None:
    """A bound log is an event log like the one that it came from."""
    assert isinstance(LogStream().log.bind(job=1), EventLog)
