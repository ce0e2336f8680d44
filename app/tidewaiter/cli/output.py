"""What commands print: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidewaiter.cli.stacked_table import legible_width, stacked_lines
from tidewaiter.domain.formatting import date_and_time, parameters, printable, size
from tidewaiter.domain.job import LIVE, HistoryEntry, Job, State
from tidewaiter.domain.job_json import JobView, artifact_json
from tidewaiter.domain.manifest import Artifact

if TYPE_CHECKING:
    from tidewaiter.services.wait_reasons import LaneReport

STYLES: Final[Mapping[State, str]] = {
    State.SUCCEEDED: "green",
    State.FAILED: "bold red",
    State.EXPIRED: "bold red",
    State.PARKED: "bold magenta",
    State.CANCELLED: "dim",
    State.CANCELLING: "dim",
    State.QUEUED: "dim",
}
_LIVE_STYLE: Final = "cyan"
# What holds a due job, by the condition of its lane.
_HELD: Final[Mapping[str, str]] = {
    "open": "limit",
    "paused": "account paused",
    "throttled": "throttled",
    "breaker open": "provider failing",
    "unserved": "no daemon",
    "not configured": "not configured",
    "faulty": "faulty spec",
}
_WIDE: Final = 4096
_LONGEST_TEXT: Final = 60
_TYPED: Final = frozenset(
    {
        "job", "account", "operation", "schedule", "provider", "endpoint", "parameter", "setting", "last job", "state",
        "status", "job state", "batch", "backfill", "examples", "default",
    }
)  # fmt: skip
"""Columns whose values people type into other commands."""
_GAP: Final = 3
"""What the terminal's box puts between two columns."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def console() -> Console:
    """The standard output. Off a terminal nothing is cut and nothing wraps."""
    to_terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if to_terminal else _WIDE, highlight=False, emoji=False)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table with these headings; those in ``right`` hold numbers.

    Numbers, times and names that are typed stay on one line; other text wraps. Nothing is cut.
    """
    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for column in columns:
        whole = column in right or column in _TYPED or column.endswith("(UTC)")
        made.add_column(column, justify="right" if column in right else "left", no_wrap=whole, overflow="fold")
    return made


def show_table(made: Table, *, below: Sequence[str] = (), omitted: Collection[str] = ()) -> None:
    """Print a table; off a terminal without trailing blanks. Text in brackets is not read as markup.

    Args:
        made: the table.
        below: columns that become a line below each row, in this order, where the terminal is too narrow for all of
            them.
        omitted: columns that are not shown there.
    """
    if sys.stdout.isatty():
        screen = console()
        needed = legible_width(made, _GAP)
        if below and screen.width < needed:
            for text in stacked_lines(made, below, omitted, screen.width):
                screen.print(text, crop=False, soft_wrap=True)
            return
        # A terminal that is too narrow wraps the lines; a table that is fitted to it would cut names.
        screen.width = max(screen.width, needed)
        screen.print(made, markup=False, crop=False)
        return
    wide = console()
    with wide.capture() as captured:
        wide.print(made, markup=False)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def show_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def files_json(job_id: int | None, artifacts: Iterable[Artifact], place: str) -> list[dict[str, Any]]:
    """Landed files as the API has them, and each with its path below ``place``, the storage's folder or URL."""
    return [{**artifact_json(job_id, one), "path": f"{place}/{one.key}"} for one in artifacts]


def state_text(state: State) -> Text:
    """A state in its colour."""
    return Text(state.value, style=STYLES.get(state, _LIVE_STYLE))


def remote_text(job: Job) -> str:
    """The last status and progress that the provider reported."""
    return printable(JobView.of(job).remote_words)


def show_jobs(jobs: Iterable[Job], waits: Mapping[int, "LaneReport"]) -> None:
    """Print jobs, one a line; on a narrow terminal parameters and reason are below it.

    Args:
        jobs: the jobs.
        waits: the lanes that send no request now, with what holds them; a due job of such a lane waits.
    """
    made = table(
        "job", "status", "account", "operation", "parameters", "details", "polls", "created (UTC)",
        "next poll / end (UTC)",
        right=("job", "polls"),
    )  # fmt: skip
    for job in jobs:
        made.add_row(
            str(job.id),
            state_text(job.state),
            job.account,
            job.operation,
            _shortened(printable(parameters(job.params))),
            _shortened(details_of(job)),
            str(job.polls),
            date_and_time(job.created_at),
            date_and_time(job.finished_at) if job.finished_at is not None else _next_poll(job, waits),
        )
    show_table(made, below=("parameters", "details", "created (UTC)"), omitted=("polls",))


def _next_poll(job: Job, waits: Mapping[int, "LaneReport"]) -> str:
    held = waits.get(job.lane)
    if job.state not in LIVE or job.due_at is None or held is None:
        return date_and_time(job.due_at)
    if held.until is None:
        return _HELD[held.condition.value]
    if job.due_at >= held.until:
        return date_and_time(job.due_at)
    return f"{date_and_time(held.until)} ({_HELD[held.condition.value]})"


def details_of(job: Job) -> str:
    """The reason of a job, or what the provider reports about a live one."""
    return printable(job.reason) if job.reason else remote_text(job) if job.state in LIVE else ""


def _shortened(text: str) -> str:
    """A text that leaves room for the rest of the line; off a terminal all of it."""
    return f"{text[:_LONGEST_TEXT]}…" if len(text) > _LONGEST_TEXT and sys.stdout.isatty() else text


def show_files(artifacts: Iterable[Artifact], place: str) -> None:
    """Print landed files: the path of each on a line of its own, to be copied, and below it size and checksum."""
    for artifact in artifacts:
        click.echo(f"{place}/{artifact.key}\n  {size(artifact.size)}, SHA-256 {artifact.sha256}")


def history_table(entries: Iterable[HistoryEntry]) -> Table:
    """A job's history, oldest first."""
    made = table("time (UTC)", "status", "outcome", "details")
    for entry in entries:
        made.add_row(date_and_time(entry.at), state_text(entry.state), entry.outcome, printable(entry.detail or ""))
    return made
