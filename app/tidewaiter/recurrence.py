"""Recurring jobs as values: when a schedule ticks, and the parameters of a tick's job.

A cron expression has five fields and means the same as in Debian's cron, also when the clock changes for summer time: a
job in an hour that is skipped runs right after it, a job in an hour that occurs twice runs once.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.secret_params import MASK
from tidewaiter.domain.windows import Window

MOST_CAUGHT_UP: Final = 1000
"""After a downtime at most this many ticks are caught up: the latest ones."""

_FIELDS: Final = 5
_TEMPLATE: Final = re.compile(r"\$\{([^{}]*)\}")
_DATE_FORMS: Final = (
    "${today}, ${yesterday}, ${week}, ${month}, ${year}, each with an offset such as -3d or +1m "
    "and a format such as :%Y%m%d, and ${tick}"
)
_MONTHS_PER_YEAR: Final = 12
_BASES: Final[Mapping[str, Callable[[date], date]]] = {
    "today": lambda today: today,
    "yesterday": lambda today: today - timedelta(days=1),
    "week": lambda today: today - timedelta(days=today.weekday()),
    "month": lambda today: today.replace(day=1),
    "year": lambda today: today.replace(month=1, day=1),
}
_WINDOW_FORMS: Final = (
    "${window.from} and ${window.to} (the first and the last day), each with an offset such as +1d and a format such "
    "as :%Y%m%d, or ${window.start} and ${window.end} (times, the end excluded), each with a format"
)
_WINDOW_DAY: Final = re.compile(r"window\.(?P<base>from|to)(?P<offset>[+-][0-9]{1,4}[dwmy])?(?::(?P<format>.+))?")
_WINDOW_TIME: Final = re.compile(r"window\.(?P<base>start|end)(?::(?P<format>.+))?")
_DATE: Final = re.compile(rf"(?P<base>{'|'.join(_BASES)})(?P<offset>[+-][0-9]{{1,4}}[dwmy])?(?::(?P<format>.+))?")


class CatchUp(StrEnum):
    """Which ticks that passed while no daemon ran, or in a pause, are served."""

    SKIP = "skip"
    LAST = "last"
    ALL = "all"


class RecurrenceError(ValueError):
    """A schedule cannot be read; the message ends a sentence that begins with its key."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A recurring job.

    ``params`` may hold date templates, which :meth:`params_at` fills in, and has ``***`` in place of ``secrets``.
    """

    name: str
    account: str
    operation: str
    cron: str
    zone: ZoneInfo
    params: Mapping[str, Json]
    catch_up: CatchUp
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ticks_after(self, at: float) -> Iterator[float]:
        """The ticks after an epoch second, in order, without end; none if the expression never matches again."""
        for moment in CronSim(self.cron, datetime.fromtimestamp(at, self.zone)):
            tick_at = moment.timestamp()
            # When the clock is set back, CronSim may return a moment twice.
            if tick_at > at:
                at = tick_at
                yield tick_at

    def next_tick(self, at: float) -> float | None:
        """The first tick after an epoch second."""
        return next(self.ticks_after(at), None)

    def due(self, since: float, now: float, late_s: float) -> "Due":
        """The ticks after ``since`` and up to ``now`` that must be served, by the ``catch_up`` policy.

        Args:
            since: the last tick that was served, or when the schedule was first seen; epoch seconds.
            now: epoch seconds.
            late_s: a tick that is no older than this is on time.
        """
        passed: list[float] = []
        missed = 0
        for tick_at in self.ticks_after(since):
            if tick_at > now:
                break
            passed.append(tick_at)
            if len(passed) > MOST_CAUGHT_UP:
                del passed[0]
                missed += 1
        on_time = [tick_at for tick_at in passed if now - tick_at <= late_s]
        choices = {CatchUp.ALL: passed, CatchUp.LAST: on_time or passed[-1:], CatchUp.SKIP: on_time}
        served = choices[self.catch_up]
        return Due(tuple(served), missed + len(passed) - len(served), passed[-1] if passed else None)

    def tick_of(self, day: date) -> float:
        """The first tick of a day in the schedule's time zone; the beginning of the day if it has none."""
        begins = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        tick_at = self.next_tick(begins.timestamp() - 1.0)
        on_day = tick_at is not None and datetime.fromtimestamp(tick_at, self.zone).date() == day
        return tick_at if tick_at is not None and on_day else begins.timestamp()

    def params_at(self, tick_at: float) -> dict[str, Json]:
        """The parameters of a tick's job, with dates in the schedule's time zone in place of templates."""
        moment = datetime.fromtimestamp(tick_at, self.zone)
        return {name: _filled(value, partial(_date_text, moment=moment)) for name, value in self.params.items()}

    def with_secrets(self, params: Mapping[str, Json]) -> dict[str, Json]:
        """The parameters with the schedule's secrets in their places, for a job to be submitted."""
        return {name: self.secrets.get(name, value) if value == MASK else value for name, value in params.items()}

    def key_at(self, tick_at: float) -> str:
        """The unique key of a tick's job: several daemons that see the tick make one job."""
        return f"schedule:{self.name}:{datetime.fromtimestamp(tick_at, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Due:
    """The ticks to serve, the number of ticks that are skipped, and the last tick that has passed."""

    ticks: tuple[float, ...]
    missed: int
    last: float | None


def check_cron(expression: str) -> str:
    """The expression, if it is a valid one.

    Raises:
        RecurrenceError: it is not.
    """
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise RecurrenceError(
            f"has {len(fields)} fields and needs {_FIELDS}: minute, hour, day of the month, month, day of the week"
        )
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise RecurrenceError(f"is no cron expression: {str(error)[:1].lower()}{str(error)[1:]}") from None
    except StopIteration:
        raise RecurrenceError("never matches") from None
    return expression


def check_templates(value: Json) -> Json:
    """The parameter, if its templates can be filled in.

    Raises:
        RecurrenceError: a template cannot.
    """
    _filled(value, partial(_date_text, moment=datetime(2026, 1, 31, tzinfo=UTC)))
    return value


def params_of_window(params: Mapping[str, Json], window: Window) -> dict[str, Json]:
    """The parameters of a window's job, with its days and times in place of templates.

    Raises:
        RecurrenceError: a template cannot be filled in.
    """
    return {name: _filled(value, partial(_window_text, window=window)) for name, value in params.items()}


def _filled(value: Json, text_of: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return _TEMPLATE.sub(lambda found: text_of(found[1]), value)
    if isinstance(value, Mapping):
        return {name: _filled(one, text_of) for name, one in value.items()}
    if isinstance(value, Sequence):
        return [_filled(one, text_of) for one in value]
    return value


def _date_text(inner: str, moment: datetime) -> str:
    if inner == "tick":
        return moment.isoformat(timespec="seconds")
    found = _DATE.fullmatch(inner)
    if found is None:
        raise RecurrenceError(f"holds ${{{inner}}}, which does not exist; use {_DATE_FORMS}")
    day = _moved(_BASES[found["base"]](moment.date()), found["offset"] or "+0d", inner)
    return day.strftime(found["format"]) if found["format"] else day.isoformat()


def _window_text(inner: str, window: Window) -> str:
    if found := _WINDOW_DAY.fullmatch(inner):
        day = window.first_day if found["base"] == "from" else window.last_day
        day = _moved(day, found["offset"] or "+0d", inner)
        return day.strftime(found["format"]) if found["format"] else day.isoformat()
    if found := _WINDOW_TIME.fullmatch(inner):
        at = window.start if found["base"] == "start" else window.end
        return at.strftime(found["format"]) if found["format"] else at.isoformat(timespec="seconds")
    raise RecurrenceError(f"holds ${{{inner}}}, which does not exist; use {_WINDOW_FORMS}")


def _moved(day: date, offset: str, inner: str) -> date:
    number, unit = int(offset[:-1]), offset[-1]
    try:
        if unit in "dw":
            return day + timedelta(days=number * (7 if unit == "w" else 1))
        months = day.year * _MONTHS_PER_YEAR + day.month - 1 + number * (_MONTHS_PER_YEAR if unit == "y" else 1)
        year, month = divmod(months, _MONTHS_PER_YEAR)
        return _day_or_last(year, month + 1, day.day)
    except (ValueError, OverflowError):
        raise RecurrenceError(f"holds ${{{inner}}}, which is no date") from None


def _day_or_last(year: int, month: int, day: int) -> date:
    """That day of a month, or the last day of the month: one month after 31 January is the end of February."""
    while day > 28:  # every month has 28 days
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1
    return date(year, month, day)
