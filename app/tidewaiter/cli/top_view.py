"""The output of ``top``: the state of everything, cut to the size of a terminal, or whole elsewhere."""

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidewaiter.cli.output import state_text
from tidewaiter.cli.top_table import Column, fitted_table, is_wide
from tidewaiter.domain.formatting import clock, counted, duration, parameters, printable, rough, size
from tidewaiter.domain.job import Job, State

if TYPE_CHECKING:
    from tidewaiter.database.dashboard_store import Arrival, DashboardSnapshot
    from tidewaiter.database.lane_rows import WorkerStatus
    from tidewaiter.web.ui.dashboard import LaneView


_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_COLUMNS: Final = "▁▂▃▄▅▆▇█"
_LONGEST: Final = 300
_MARKS: Final = re.compile(r"(<[^>]*>|\s)+")
_BAR: Final = 8
_LATE_S: Final = 60.0
_VERY_LATE_S: Final = 600.0
_RECENT_MINUTES: Final = 5
_NARROW_STEP: Final = 3
_JOB: Final = (Column("job", typed=True, right=True), Column("account", typed=True), Column("operation", typed=True))
_PARAMETERS: Final = Column("parameters", drop=3)
_FILE: Final = Column("file", rest=True)
_CONDITION_STYLES: Final = {
    "open": "green",
    "throttled": "yellow",
    "unserved": "yellow",
    "paused": "bold red",
    "breaker open": "bold red",
    "not configured": "dim",
    "faulty": "bold red",
}

_WITH_REASON: Final = frozenset({"throttled", "paused", "breaker open", "faulty"})


@dataclass(frozen=True, slots=True)
class TopState:
    """The state at ``now`` (epoch seconds).

    ``snapshot`` and ``lanes`` are the last ones that were read; ``trouble`` says why they are not current, ``writes``
    why the database accepts no writes. ``lease_s`` is how long a daemon counts as alive after each sign of life,
    ``account`` the only one to show.
    """

    database: str
    now: float
    snapshot: "DashboardSnapshot | None"
    lanes: "Sequence[LaneView]"
    lease_s: float
    trouble: str | None = None
    account: str | None = None
    writes: str | None = None


@dataclass(frozen=True, slots=True)
class _Section:
    """A table with as many rows as fit."""

    title: str
    rows: int
    draw: Callable[[int], Table]


def whole(state: TopState, width: int | None = None) -> RenderableType:
    """Everything with all rows, as wide as needed or as a terminal is."""
    parts: list[RenderableType] = [*_head(state, width)]
    for section in _sections(state, width):
        parts += [Text(""), Text(section.title, style="bold"), section.draw(section.rows)]
    return Group(*parts)


def fitting(state: TopState, width: int, height: int) -> RenderableType:
    """Everything that fits a screen of that many characters and lines, with a last line that says how to end."""
    head, sections = list(_head(state, width)), _sections(state, width)
    # Each section needs a blank line, a title, headings and at least one row; the last line of the screen is reserved.
    sections = sections[: max(0, (height - len(head) - 1) // 4)]
    room = height - len(head) - 3 * len(sections) - 1
    parts: list[RenderableType] = [*head]
    used = len(head)
    for section, rows in zip(sections, shares(room, [section.rows for section in sections]), strict=True):
        parts += [Text(""), _line(Text(_titled(section, rows), style="bold")), section.draw(rows)]
        used += 3 + rows
    parts += [Text("") for _ in range(max(0, height - 1 - used))]
    parts.append(_line(Text("q ends it", style="dim")))
    return Group(*parts)


def shares(room: int, needed: Sequence[int]) -> list[int]:
    """How many rows each section gets: evenly, and the others get what one does not need."""
    given = [0] * len(needed)
    while room > 0:
        open_sections = [i for i, number in enumerate(needed) if given[i] < number]
        if not open_sections:
            break
        given[min(open_sections, key=lambda i: given[i])] += 1
        room -= 1
    return given


def _titled(section: _Section, rows: int) -> str:
    left = section.rows - rows
    return f"{section.title} · {rows} of {section.rows}" if left else section.title


def _head(state: TopState, width: int | None) -> Iterator[Text]:
    """The database, its daemons, and the jobs by state."""
    time_of_day = f"{clock(state.now)} UTC"
    title = Text.assemble(("tidewaiter top", "bold"), f"  {_brief(state.database)}")
    if state.account is not None:
        title.append(f"  account {_brief(state.account)}")
    if width is not None:
        title.truncate(max(0, width - len(time_of_day) - 2), overflow="ellipsis", pad=True)
    yield _line(Text.assemble(title, "  ", (time_of_day, "dim")))
    if state.trouble is not None:
        # It may name a command, so it is not cut.
        for line in textwrap.wrap(f"{_brief(state.trouble)} Trying again.", width or _LONGEST):
            yield _line(Text(line, style="bold red"))
    elif state.writes is not None:
        for line in textwrap.wrap(f"No writes, so no job moves. {_brief(state.writes)}", width or _LONGEST):
            yield _line(Text(line, style="bold red"))
    elif state.snapshot is not None:
        yield _line(_daemons(state.snapshot.workers, state))
    if state.snapshot is not None:
        yield _line(_jobs(state, state.snapshot))
        yield _line(_landings(state.snapshot, width))
        if state.account is None and any(one.waiting or one.dead for one in state.snapshot.undelivered.values()):
            yield _line(_undelivered(state.snapshot))


def _daemons(workers: "Sequence[WorkerStatus]", state: TopState) -> Text:
    if not workers:
        return Text("no daemon is running: `tidewaiter serve` starts one", style="bold red")
    line = Text.assemble((counted(len(workers), "daemon"), "green"))
    for one in workers:
        seen_s = max(0.0, state.now - (one.lease_until - state.lease_s))
        about = f"{_brief(one.version)}, up {rough(state.now - one.started_at)}, seen {rough(seen_s)} ago"
        line.append_text(Text.assemble(f"  {_brief(one.host)}:{one.pid} ", (f"({about})", "dim")))
    return line


def _jobs(state: TopState, snapshot: "DashboardSnapshot") -> Text:
    """Jobs by state; of one account only live, due and ended jobs, because counting all would read every job."""
    line = Text("jobs")
    counts: Iterable[tuple[Text, int]]
    if state.account is None:
        counts = [(state_text(one), number) for one, number in snapshot.counts.items() if number]
    else:
        ended: dict[State, int] = {}
        for minute in snapshot.minutes:
            for one, number in minute.ended.items():
                ended[one] = ended.get(one, 0) + number
        live, due = sum(lane.live for lane in state.lanes), sum(lane.due for lane in state.lanes)
        of_hour = [(Text.assemble(state_text(one), " in the hour"), number) for one, number in ended.items()]
        counts = [(Text("live"), live), (Text("due"), due), *of_hour]
    for name, number in counts:
        line.append_text(Text.assemble("  ", f"{number:,} ", name))
    none = "no jobs yet: `tidewaiter submit ACCOUNT OPERATION -p KEY=VALUE` asks for one"
    return line if len(line) > len("jobs") else Text(none, style="dim")


def _landings(snapshot: "DashboardSnapshot", width: int | None) -> Text:
    landed = [minute.ended.get(State.SUCCEEDED, 0) for minute in snapshot.minutes]
    recent = landed[-_RECENT_MINUTES:]
    step = 1 if is_wide(width) else _NARROW_STEP
    drawn = [sum(landed[i : i + step]) for i in range(0, len(landed), step)]
    line = Text.assemble("landed  ", (sparkline(drawn), "cyan"), f"  {sum(landed):,}/h, ")
    line.append(f"{sum(recent) / max(1, len(recent)):.1f}/min now")
    half, most = delay_of(snapshot, 0.5), delay_of(snapshot, 0.95)
    if half is not None and most is not None:
        line.append(f" · delay p50 {duration(half)}, p95 {duration(most)}")
    return line


def _undelivered(snapshot: "DashboardSnapshot") -> Text:
    """Notifications that are not delivered: they wait for their next attempt, or were given up."""
    line = Text("notifications")
    for name, backlog in sorted(snapshot.undelivered.items()):
        if backlog.waiting or backlog.dead:
            line.append(f"  {_brief(name)} {backlog.waiting:,} waiting")
        if backlog.dead:
            line.append_text(Text.assemble(", ", (f"{backlog.dead:,} given up", "bold red")))
    return line


def delay_of(snapshot: "DashboardSnapshot", share: float) -> float | None:
    """The quantile of the seconds from "ready" to the landed file, over the last hour."""
    delays = sorted(delay for minute in snapshot.minutes for delay in minute.delays_s)
    return delays[min(len(delays) - 1, int(share * len(delays)))] if delays else None


def _sections(state: TopState, width: int | None) -> list[_Section]:
    snapshot = state.snapshot
    if snapshot is None:
        return []
    troubles = [*snapshot.parked, *snapshot.failures]
    found = []
    if state.lanes:
        found.append(_Section("lanes", len(state.lanes), lambda rows: _lanes(state, rows, width)))
    if troubles:
        found.append(_Section("in trouble", len(troubles), lambda rows: _troubles(troubles[:rows], state, width)))
    if snapshot.arrivals:
        arrivals = snapshot.arrivals
        found.append(_Section("landed lately", len(arrivals), lambda rows: _arrivals(arrivals[:rows], state, width)))
    return found


def _urgency(lane: "LaneView") -> tuple[bool, bool, str, int]:
    """The order of lanes if not all fit: those with a problem first."""
    return lane.condition.value == "open", lane.late_s < _LATE_S, lane.account, lane.shard


def _lanes(state: TopState, rows: int, width: int | None) -> Table:
    """The lanes in their order; if not all fit, lanes without trouble are left out first."""
    wide = is_wide(width)
    lanes = sorted(sorted(state.lanes, key=_urgency)[:rows], key=lambda lane: (lane.account, lane.shard))
    columns = (
        Column("lane", typed=True),
        *((Column("served by"),) if wide else ()),
        Column("requests", drop=1),
        Column("due", right=True, drop=2),
        Column("late", right=True, drop=3),
        Column("live", right=True, drop=4),
        Column("status", rest=True),
    )
    of_account = Counter(lane.account for lane in state.lanes)
    cells = []
    for lane in lanes:
        name = Text(_brief(lane.account) + (f"/{lane.id}" if of_account[lane.account] > 1 else ""))
        cells.append(
            (
                name,
                *((Text(_brief(lane.host or "-")),) if wide else ()),
                _budget(lane, wide=wide),
                Text(lane.due_text) if lane.due else Text("0", style="dim"),
                _late(lane),
                Text(f"{lane.live:,}"),
                _condition(lane, state.now),
            )
        )
    return fitted_table(width, columns, cells)


def _budget(lane: "LaneView", *, wide: bool) -> Text:
    most = lane.limits.requests
    if most is None:
        return Text("no limit", style="dim")
    share = lane.used / most
    line = Text.assemble(bar(share, _BAR, "yellow" if share >= 1 else "cyan"), f" {lane.used}/{most}")
    return line.append(f" in {duration(lane.limits.period_s)}", style="dim") if wide else line


def _late(lane: "LaneView") -> Text:
    if not lane.due:
        return Text("-", style="dim")
    style = "bold red" if lane.late_s > _VERY_LATE_S else "yellow" if lane.late_s > _LATE_S else ""
    return Text(rough(lane.late_s), style=style)


def _condition(lane: "LaneView", now: float) -> Text:
    if lane.condition.value == "open" and lane.until is not None:
        return Text(f"limit used up, next request in {rough(lane.until - now)}", style="yellow")
    line = Text.assemble((lane.condition.value, _CONDITION_STYLES[lane.condition.value]))
    if lane.until is not None:
        line.append(f", {rough(lane.until - now)} left")
    if lane.reason and lane.condition.value in _WITH_REASON:
        line.append(f": {_reason(lane.reason)}")
    return line


def _troubles(jobs: Sequence[Job], state: TopState, width: int | None) -> Table:
    columns = (
        *_JOB,
        Column("status", drop=1),
        Column("age", right=True, drop=2),
        _PARAMETERS,
        Column("details", rest=True),
    )
    cells = []
    for job in jobs:
        age = _age(state.now - (job.finished_at or job.intent_at or job.created_at))
        cells.append((*_named(job), state_text(job.state), age, _params(job), Text(_reason(job.reason or ""))))
    return fitted_table(width, columns, cells)


def _arrivals(arrivals: "Sequence[Arrival]", state: TopState, width: int | None) -> Table:
    columns = (*_JOB, Column("size", right=True, drop=1), Column("age", right=True, drop=2), _PARAMETERS, _FILE)
    cells = []
    for one in arrivals:
        more = f" and {one.files - 1} more" if one.files > 1 else ""
        file = Text(f"{_brief(one.name)}{more}") if one.name else Text("no file", style="dim")
        age = _age(state.now - (one.job.finished_at or state.now))
        cells.append((*_named(one.job), Text(size(one.size)), age, _params(one.job), file))
    return fitted_table(width, columns, cells)


def _named(job: Job) -> tuple[Text, Text, Text]:
    return Text(str(job.id)), Text(_brief(job.account)), Text(_brief(job.operation))


def _params(job: Job) -> Text:
    return Text(_brief(parameters(job.params)), style="dim")


def _age(seconds: float) -> Text:
    return Text(rough(seconds), style="dim")


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _reason(text: str) -> str:
    """A reason without HTML tags: a provider may have replied with a page."""
    return printable(_MARKS.sub(" ", text[:_LONGEST])).strip()


def _brief(text: str) -> str:
    return printable(text[:_LONGEST])


def bar(share: float, width: int, style: str) -> Text:
    """A bar of so many characters, filled to ``share`` (0 to 1); a share above 0 is always visible."""
    eighths = max(round(min(1.0, share) * width * 8), 1 if share > 0 else 0)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text.assemble((filled, style), ("░" * (width - len(filled)), "dim"))


def sparkline(values: Sequence[int]) -> str:
    """One column for each value, the largest at full height; only zero has the lowest column."""
    most = max(values, default=0)
    return "".join(_COLUMNS[0] if value <= 0 else _COLUMNS[1 + (value * 6) // most] for value in values)
