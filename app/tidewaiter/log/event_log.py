"""The event log: the events of the catalogue, written by structlog to one output."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Final, Protocol, Self, TextIO, TypeAlias

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tidewaiter.clock import Clock, SystemClock
from tidewaiter.events import CATALOGUE
from tidewaiter.log.folding import Folds
from tidewaiter.log.line_output import Output
from tidewaiter.log.redactor import Redactor

_FOLDED_LEVELS: Final = frozenset({"warning", "error"})
_NEVER_FOLDED: Final = frozenset(
    {"job.advanced", "job.repeated", "job.postponed", "job.finished", "job.failed", "job.parked"}
    | {"config.refused", "config.kept"}
)
_SAME_FIELDS: Final = ("job", "account", "lane", "endpoint", "reason", "logger", "message")
_OWN_SAME_FIELDS: Final = {"notification.troubled": ("endpoint", "reason")}  # folded whatever its level
_ENDS_FOLDS_OF: Final[Mapping[str, str | None]] = {
    "daemon.stopped": None,  # of all lines: what was repeated until then happened before
    "storage.resumed": "storage.paused",
    "store.resumed": "store.unavailable",
    "endpoint.recovered": "notification.troubled",
}
_FAILED: Final = "follower.failed"
_LEVELS: Final = {name: getattr(logging, CATALOGUE[name].level.upper()) for name in CATALOGUE}
_BOUND: Final = frozenset(field for event in CATALOGUE.values() for field in event.fields)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


Observer: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Called with the name and fields of every event, in the thread that logs it; it must not log itself."""


class LogSettings(Protocol):
    """What can change while the process runs: the least level that is printed."""

    @property
    def level(self) -> str:
        """``debug``, ``info``, ``warning`` or ``error``."""


class UncataloguedError(Exception):
    """An event or a field was logged that the catalogue does not have: a bug, raised in strict mode only."""


class _Printer:
    """Prints lines for every bound log: folds repeats, renders, writes."""

    def __init__(self, logger: Any, output: Output, clock: Clock, least: int) -> None:
        self.least = least
        self._logger = logger
        self._output = output
        self._clock = clock
        self._lock = RLock()  # libraries log from threads
        self.folds = Folds(lambda name, fields: self._print(name, _LEVELS[name], fields))
        self.observers: list[Observer] = []

    @property
    def lost(self) -> int:
        """Lines lost since the start."""
        return self._output.lost_in_total

    def put(self, name: str, level: int, fields: Mapping[str, object], key: object) -> None:
        """Print a line, or count it where ``key`` is that of a line printed just before."""
        with self._lock:
            now = self._clock.monotonic()
            self.folds.end_due(now)
            if key is not None and self.folds.folded(key, name, fields, now):
                return
            if name in _ENDS_FOLDS_OF:
                self.folds.end_all(_ENDS_FOLDS_OF[name])
            self._print(name, level, fields)

    def flush(self) -> None:
        """Print what has been folded so far."""
        with self._lock:
            self.folds.end_all()

    def _print(self, name: str, level: int, fields: Mapping[str, object]) -> None:
        if self._logger.log(level, name, **fields) and self._output.lost:
            lost, self._output.lost = self._output.lost, 0
            self._logger.log(_LEVELS["log.dropped"], "log.dropped", lines=lost)
            self.notify_observers("log.dropped", {"lines": lost})

    def notify_observers(self, name: str, fields: Mapping[str, object]) -> None:
        """Call the observers with an event.

        If one fails, that is printed but not passed to observers: it would fail again.
        """
        for observer in self.observers:
            try:
                observer(name, fields)
            except Exception as error:  # noqa: BLE001  # logging never fails its caller
                fault = _fault_of(observer, error)
                self.put(_FAILED, _LEVELS[_FAILED], fault, _fold_key(_FAILED, fault))


class EventLog:
    """Emits the events of the catalogue, each at its level there."""

    def __init__(self, printer: _Printer, redactor: Redactor, strict: bool, bound: Mapping[str, object]) -> None:
        self.redactor = redactor
        self._printer = printer
        self._strict = strict
        self._bound = bound

    def emit(self, name: str, /, **fields: object) -> None:
        """Log one event; fields that are ``None`` are left out, floats are rounded to thousandths.

        Raises:
            UncataloguedError: in strict mode, where the event or a field is not in the catalogue. Otherwise such a line
                is logged with ``uncatalogued`` naming what the catalogue lacks.
        """
        level: int = _LEVELS.get(name, logging.WARNING)
        if level < self._printer.least and not self._printer.observers:
            return
        event = CATALOGUE.get(name)
        known: Mapping[str, str] = {} if event is None else event.fields
        unknown = [field for field in fields if field not in known]
        if event is None or unknown:
            if self._strict:
                raise UncataloguedError(f"{name} with {', '.join(unknown) or 'no fields'} is not in the catalogue")
            fields["uncatalogued"] = unknown if event else True
        line = {field: value for field, value in self._bound.items() if field in known} | fields
        line = {field: value for field, value in line.items() if value is not None}
        self._printer.notify_observers(name, line)
        if level >= self._printer.least:
            self._printer.put(name, level, line, _fold_key(name, line) if event else None)

    def follower_failed(self, follower: object, error: Exception) -> None:
        """Log that a follower of changes has raised."""
        self.emit(_FAILED, **_fault_of(follower, error))

    def is_printed(self, name: str) -> bool:
        """Whether an event of that name is printed at all: check this before you compute expensive fields."""
        level: int = _LEVELS[name]
        return level >= self._printer.least

    def observe(self, observer: Observer) -> None:
        """Call ``observer`` with every later event, also with those that are folded or below the printed level."""
        self._printer.observers.append(observer)

    @property
    def lost(self) -> int:
        """Lines lost since the start because the reader stalled."""
        return self._printer.lost

    def bind(self, **fields: object) -> Self:
        """A log that adds these fields to each event that has them in the catalogue."""
        unknown = [field for field in fields if field not in _BOUND]
        if unknown and self._strict:
            raise UncataloguedError(f"no event in the catalogue has {', '.join(unknown)}")
        return type(self)(self._printer, self.redactor, self._strict, {**self._bound, **fields})

    def reconfigure(self, settings: LogSettings) -> None:
        """Print events from the level of these settings on, here and in every bound log."""
        self._printer.least = _level_of(settings.level)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Keep these values out of every later line."""
        self.redactor.add(secrets)

    def add_temporary_secrets(self, owner: str, secrets: Iterable[str]) -> None:
        """Keep these values out of every later line until the same owner adds others."""
        self.redactor.add_temporary(owner, secrets)

    def close(self) -> None:
        """Print folded lines, and let libraries log as before."""
        self._printer.flush()
        _detach_libraries()


def _fault_of(follower: object, error: Exception) -> dict[str, object]:
    name = getattr(follower, "__qualname__", type(follower).__qualname__)
    return {"follower": name, "reason": f"{type(error).__name__}: {error}"}


def _fold_key(name: str, fields: Mapping[str, object]) -> object:
    if name in _OWN_SAME_FIELDS:
        return (name, *(str(fields.get(field)) for field in _OWN_SAME_FIELDS[name]))
    if CATALOGUE[name].level not in _FOLDED_LEVELS or name in _NEVER_FOLDED:
        return None
    return (name, *(str(fields.get(field)) for field in _SAME_FIELDS))


def configure(
    format: str,  # noqa: A002  # the key of the configuration
    level: str,
    secrets: Iterable[str] = (),
    *,
    clock: Clock | None = None,
    stream: TextIO | None = None,
    strict: bool = False,
) -> EventLog:
    """Make the log of this process and route the standard library's logging into it.

    Args:
        format: ``json``, ``console``, or ``auto`` for the console's format on a terminal and JSON elsewhere.
        level: ``debug``, ``info``, ``warning`` or ``error``: the least level that is printed.
        secrets: values that no line may show.
        clock: gives the timestamps.
        stream: where lines go; stdout by default.
        strict: raise on events and fields that are not in the catalogue; for tests.
    """
    clock = clock or SystemClock()
    output = Output(sys.stdout if stream is None else stream)
    redactor = Redactor(secrets)
    on_console = format == "console" or (format == "auto" and output.is_terminal)
    logger = structlog.wrap_logger(
        output,
        processors=[
            structlog.processors.add_log_level,
            _arrange(clock),
            _clean(redactor),
            *_renderers(on_console=on_console, in_color=output.is_terminal and not os.environ.get("NO_COLOR")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),  # the event log filters
        context_class=dict,
    ).bind()  # else it is made anew for each line
    log = EventLog(_Printer(logger, output, clock, _level_of(level)), redactor, strict, {})
    _attach_libraries(log)
    return log


def _level_of(name: str) -> int:
    level: int = getattr(logging, name.upper())
    return level


# --- the chain of processors ------------------------------------------------------------------------------------------


def _arrange(clock: Clock) -> Processor:
    def arranged(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        now = datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="milliseconds")
        first = {"timestamp": now.replace("+00:00", "Z"), "level": line.pop("level"), "event": line.pop("event")}
        return first | {field: _rounded(value) for field, value in line.items()}

    return arranged


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def _clean(redactor: Redactor) -> Processor:
    def cleaned(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        return {field: redactor.clean_value(value) for field, value in line.items()}

    return cleaned


def _renderers(*, on_console: bool, in_color: bool) -> list[Processor]:
    if on_console:
        return [_printable, structlog.dev.ConsoleRenderer(colors=in_color, sort_keys=False, pad_event_to=18)]
    return [_as_json]


# Made once: `json.dumps` with options makes an encoder for each call.
_to_json: Final = json.JSONEncoder(default=repr).encode


def _as_json(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    return _to_json(line)


def _printable(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Text from a provider must not control the operator's terminal."""
    return {field: _CONTROL.sub("�", value) if isinstance(value, str) else value for field, value in line.items()}


# --- logging of libraries ---------------------------------------------------------------------------------------------


class _Libraries(logging.Handler):
    """Turns the records of the standard library's logging into events."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; a broken record is reported by ``logging``."""
        try:
            trace = self._traceback(record)
            self._log.emit("library.logged", logger=record.name, message=record.getMessage(), traceback=trace)
        except Exception:  # noqa: BLE001  # the contract of logging.Handler
            self.handleError(record)

    @staticmethod
    def _traceback(record: logging.LogRecord) -> str | None:
        return logging.Formatter().formatException(record.exc_info) if record.exc_info else None


def _attach_libraries(log: EventLog) -> None:
    _detach_libraries()
    logging.getLogger().addHandler(_Libraries(log))


def _detach_libraries() -> None:
    root = logging.getLogger()
    for one in [one for one in root.handlers if isinstance(one, _Libraries)]:
        root.removeHandler(one)
