"""Schedules as values: their ticks, missed ticks, and dates in their parameters."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from tidewaiter.recurrence import (
    MOST_CAUGHT_UP,
    CatchUp,
    RecurrenceError,
    Schedule,
    check_cron,
    check_templates,
)


def schedule(
    cron: str = "15 4 * * *", zone: str = "UTC", catch_up: CatchUp = CatchUp.LAST, **params: object
) -> Schedule:
    """A schedule with these parameters."""
    return Schedule("nightly", "shop", "statistics", cron, ZoneInfo(zone), params, catch_up)  # type: ignore[arg-type]


def at(text: str) -> float:
    """An instant, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def texts(ticks: object) -> list[str]:
    """Ticks as UTC texts."""
    return [f"{datetime.fromtimestamp(one, UTC):%m-%d %H:%M}" for one in ticks]  # type: ignore[attr-defined]


def test_ticks_by_the_zone() -> None:
    """A tick is the local time of its zone, and never the instant that is asked from."""
    stockholm = schedule(zone="Europe/Stockholm")
    assert texts(islice(stockholm.ticks_after(at("2026-11-21T03:15")), 2)) == ["11-22 03:15", "11-23 03:15"]
    assert stockholm.next_tick(at("2026-11-21T03:14:59.9")) == at("2026-11-21T03:15")


def test_the_hour_that_does_not_exist() -> None:
    """A tick in the hour that summer time skips comes right after it, once (2026-03-29, 02:00 becomes 03:00)."""
    skipped = schedule("30 2 * * *", "Europe/Stockholm")
    ticks = texts(islice(skipped.ticks_after(at("2026-03-28T12:00")), 2))
    assert ticks == ["03-29 01:00", "03-30 00:30"]


def test_the_hour_that_comes_twice() -> None:
    """A tick in the hour that comes twice comes once (2026-10-25, 03:00 becomes 02:00)."""
    twice = schedule("30 2 * * *", "Europe/Stockholm")
    ticks = texts(islice(twice.ticks_after(at("2026-10-24T12:00")), 2))
    assert ticks == ["10-25 00:30", "10-26 01:30"]


@pytest.mark.parametrize(
    ("catch_up", "served", "missed"),
    [
        (CatchUp.SKIP, [], 3),
        (CatchUp.LAST, ["11-21 04:15"], 2),
        (CatchUp.ALL, ["11-19 04:15", "11-20 04:15", "11-21 04:15"], 0),
    ],
)
def test_catching_up(catch_up: CatchUp, served: list[str], missed: int) -> None:
    """After a downtime the policy decides which of the missed ticks are served."""
    due = schedule(catch_up=catch_up).due(at("2026-11-18T12:00"), at("2026-11-21T09:00"), 60.0)
    assert texts(due.ticks) == served
    assert due.missed == missed
    assert due.last == at("2026-11-21T04:15")


def test_a_tick_on_time_is_served_whatever_the_policy() -> None:
    """What is not late was not missed, also where older ticks were."""
    for catch_up, number in ((CatchUp.SKIP, 1), (CatchUp.LAST, 1), (CatchUp.ALL, 3)):
        due = schedule(catch_up=catch_up).due(at("2026-11-18T12:00"), at("2026-11-21T04:15:20"), 60.0)
        assert len(due.ticks) == number
        assert due.ticks[-1] == at("2026-11-21T04:15")
    assert schedule().due(at("2026-11-21T04:15"), at("2026-11-21T04:15:20"), 60.0).ticks == ()


def test_a_year_of_minutes_is_bounded() -> None:
    """However long the downtime was, only the latest ticks are caught up, and the others are told."""
    due = schedule("* * * * *", catch_up=CatchUp.ALL).due(at("2026-11-19T00:00"), at("2026-11-21T00:00"), 60.0)
    assert len(due.ticks) == MOST_CAUGHT_UP
    assert due.missed == 2 * 24 * 60 - MOST_CAUGHT_UP
    assert due.ticks[-1] == at("2026-11-21T00:00")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("${today}", "2026-03-01"),
        ("${yesterday}", "2026-02-28"),
        ("${today-7d}", "2026-02-22"),
        ("${week}", "2026-02-23"),
        ("${week-1w}", "2026-02-16"),
        ("${month-1m}", "2026-02-01"),
        ("${month+1m}", "2026-04-01"),
        ("${year}", "2026-01-01"),
        ("${year-2y:%Y}", "2024"),
        ("from ${yesterday:%d.%m.%Y} to ${today:%d.%m.%Y}", "from 28.02.2026 to 01.03.2026"),
        ("${tick}", "2026-03-01T00:30:00+01:00"),
        ("plain", "plain"),
    ],
)
def test_dates(template: str, text: str) -> None:
    """Dates are those of the schedule's zone: at half past eleven in UTC it is tomorrow in Stockholm."""
    dated = schedule(zone="Europe/Stockholm", value=template, nested={"list": [template, 3]})
    assert dated.params_at(at("2026-02-28T23:30")) == {"value": text, "nested": {"list": [text, 3]}}


def test_the_end_of_a_month() -> None:
    """A month after its 31st day is the end of the next."""
    assert schedule(value="${today+1m}").params_at(at("2026-01-31T04:15")) == {"value": "2026-02-28"}


def test_the_key_names_the_tick() -> None:
    """The unique key of a job is that of its tick, in UTC."""
    assert schedule(zone="Europe/Stockholm").key_at(at("2026-11-21T03:15")) == "schedule:nightly:2026-11-21T03:15:00Z"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("* * * *", "has 4 fields and needs 5: minute, hour, day of the month, month, day of the week"),
        ("0 0 * * * *", "has 6 fields and needs 5"),
        ("61 * * * *", "is no cron expression: bad minute"),
        ("0 0 30 2 *", "is no cron expression: bad day-of-month"),
        ("a b c d e", "is no cron expression: bad minute"),
    ],
)
def test_bad_expressions(expression: str, reason: str) -> None:
    """What is no cron expression is refused with the field that is wrong."""
    with pytest.raises(RecurrenceError, match=reason):
        check_cron(expression)
    assert check_cron("*/5 8-18 * JAN MON-FRI") == "*/5 8-18 * JAN MON-FRI"


@pytest.mark.parametrize("template", ["${tomorrow}", "${today-3x}", "${today}${", "${year-9999y}"])
def test_bad_templates(template: str) -> None:
    """What is no date is refused; a dollar sign by itself is none of our business."""
    if template == "${today}${":
        assert check_templates(template) == template
        return
    with pytest.raises(RecurrenceError, match=r"holds \$\{"):
        check_templates(template)
