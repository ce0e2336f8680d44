"""How jobs, files, times and sizes look: as tables for people, as JSON for programs."""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.job import Entry, Job, State
from app.domain.manifest import Artifact, described

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
_WIDE: Final = 4096
_BRIEF: Final = 60
# Beside control characters: what breaks a line or turns the order of letters around.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def console() -> Console:
    """Where people read. Off a terminal lines are as long as they need to be: nothing is cut, nothing wraps."""
    to_terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if to_terminal else _WIDE, highlight=False, emoji=False)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table with these headings; those in ``right`` hold numbers. Numbers and times are never cut."""
    made = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for column in columns:
        whole = column in right or column.endswith("(UTC)")
        made.add_column(column, justify="right" if column in right else "left", no_wrap=whole)
    return made


def show_table(made: Table) -> None:
    """Print a table; off a terminal without the blanks that fill its last column. Text in brackets is no markup."""
    if sys.stdout.isatty():
        console().print(made, markup=False)
        return
    wide = console()
    with wide.capture() as captured:
        wide.print(made, markup=False)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def show_json(value: object) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def printable(said: object) -> str:
    """What somebody else said, in a form that cannot steer the terminal."""
    return _CONTROL.sub("�", str(said))


def state_text(state: State) -> Text:
    """A state in its colour."""
    return Text(state.value, style=STYLES.get(state, _LIVE_STYLE))


def remote_text(job: Job) -> str:
    """What the provider said last of the remote job; how far it was says nothing once its files have landed."""
    progress = None if job.state is State.SUCCEEDED else job.progress
    return printable(" ".join(word.strip() for word in (job.remote_status, progress) if word))


def moment(at: float | None) -> str:
    """A time of day in UTC."""
    return "" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """A duration in the two largest units that matter."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, unit, below, smaller in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def size(count: int) -> str:
    """A number of bytes in the unit that people use for so many."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def counted(number: int, word: str) -> str:
    """So many of something, by the word for one of it."""
    return f"{number} {word}{'s' * (number != 1)}"


def parameters(params: Mapping[str, object]) -> str:
    """Parameters on one line, as they would be given to ``submit``."""
    return printable(" ".join(f"{name}={value}" for name, value in params.items()))


def job_as_json(job: Job) -> dict[str, Any]:
    """A job by the names of its columns, without its links, which open its files to anybody, as may a handle."""
    return {name: value for name, value in asdict(job).items() if name != "links"} | {"handle": job.shown_handle}


def artifact_as_json(artifact: Artifact, place: str) -> dict[str, Any]:
    """A file by the names of its columns, and where it is."""
    return {**described(artifact), "path": f"{place}/{artifact.key}"}


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """A row of a job's history by the names of its columns."""
    return asdict(entry)


def jobs_table(jobs: Iterable[Job]) -> Table:
    """Jobs, one a line."""
    made = table(
        "job", "account", "operation", "state", "polls", "remote", "created (UTC)", "why", right=("job", "polls")
    )
    for job in jobs:
        made.add_row(
            str(job.id),
            job.account,
            job.operation,
            state_text(job.state),
            str(job.polls),
            remote_text(job),
            moment(job.created_at),
            _brief(job.reason or ""),
        )
    return made


def _brief(reason: str) -> str:
    """A reason that does not fill the screen; off a terminal all of it."""
    told = printable(reason)
    return f"{told[:_BRIEF]}…" if len(told) > _BRIEF and sys.stdout.isatty() else told


def show_files(artifacts: Iterable[Artifact], place: str) -> None:
    """Print landed files: where each is, on a line that can be copied, and below it its size and checksum."""
    for artifact in artifacts:
        click.echo(f"{place}/{artifact.key}\n  {size(artifact.size)}, SHA-256 {artifact.sha256}")


def history_table(entries: Iterable[Entry]) -> Table:
    """A job's history, oldest first."""
    made = table("time (UTC)", "state", "outcome", "detail")
    for entry in entries:
        made.add_row(moment(entry.at), state_text(entry.state), entry.outcome, printable(entry.detail or ""))
    return made
