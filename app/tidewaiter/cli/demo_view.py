"""The output of the demo: a live table on a terminal, a line for every change elsewhere, and the summary."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tidewaiter.cli.job_progress import has_ended, job_line
from tidewaiter.cli.output import console, remote_text, state_text, table
from tidewaiter.domain.formatting import counted, printable, size
from tidewaiter.domain.job import Job, State, fraction_of
from tidewaiter.domain.manifest import Artifact
from tidewaiter.emulators.demo_scene import DemoJob

_WIDE: Final = 100
_REMOTE: Final = 24
_LEAST_REMOTE: Final = 8
_OTHERS: Final = 64
"""The width of the other columns with the gaps between them."""
_TAGS: Final = re.compile(r"(<[^>]*>|\s)+")


@dataclass(frozen=True, slots=True)
class DemoRow:
    """One export of the demo as it stands, with the files that have landed."""

    part: DemoJob
    job: Job
    artifacts: Sequence[Artifact]


@contextmanager
def following(elapsed: Callable[[], float]) -> Iterator[Callable[[Sequence[DemoRow]], None]]:
    """Yields a function to call with the rows whenever they may have changed."""
    if not sys.stdout.isatty():
        lines = _Lines(console(), elapsed)
        yield lines.show
        return
    screen = console()
    with Live(console=screen, refresh_per_second=10, transient=False) as live:
        yield lambda rows: live.update(table_of(rows, elapsed(), screen.width))


class _Lines:
    """Prints each change of each job once."""

    def __init__(self, out: Console, elapsed: Callable[[], float]) -> None:
        self._out = out
        self._elapsed = elapsed
        self._shown: dict[int, int] = {}

    def show(self, rows: Sequence[DemoRow]) -> None:
        """Print a line for every job that has changed."""
        for row in rows:
            if self._shown.get(row.job.id) != row.job.version:
                self._shown[row.job.id] = row.job.version
                self._out.out(f"{self._elapsed():5.1f} s  {job_line(row.job)}")


def table_of(rows: Sequence[DemoRow], elapsed_s: float, width: int) -> RenderableType:
    """The table on a terminal of that width; a narrow one has no frame, and less room for what the remote says."""
    wide = width >= _WIDE
    made = Table(box=box.ROUNDED if wide else None, border_style="dim", header_style="bold", pad_edge=wide)
    remote = _REMOTE if wide else max(_LEAST_REMOTE, width - _OTHERS)
    made.add_column("job", justify="right", no_wrap=True)
    made.add_column("account", no_wrap=True)
    made.add_column("export", no_wrap=True, min_width=18)
    made.add_column("state", no_wrap=True, min_width=11)
    made.add_column("remote", width=remote)
    made.add_column("file", justify="right", no_wrap=True, min_width=7)
    for row in rows:
        job = row.job
        export = Text.assemble(row.part.sample.title, (f"\n{row.part.what}", "dim"))
        state = Text.assemble(_state(job), (f"\n{counted(job.polls, 'poll')}", "dim"))
        landed = size(sum(artifact.size for artifact in row.artifacts)) if row.artifacts else ""
        made.add_row(str(job.id), row.part.account, export, state, _remote(job, remote), landed)
    waiting = sum(not has_ended(row.job) for row in rows)
    foot: RenderableType = Text(f" all have ended after {elapsed_s:.1f} s", style="dim")
    if waiting:
        foot = Spinner("dots", Text(f"{waiting} under way, {elapsed_s:.1f} s", style="dim"), style="cyan")
    return Group(made, foot)


def _state(job: Job) -> Text:
    mark = "✓ " if job.state is State.SUCCEEDED else "✗ " if has_ended(job) else ""
    state = state_text(job.state)
    return Text.assemble((mark, state.style), state)


def _remote(job: Job, width: int) -> Table:
    stacked = Table.grid()
    stacked.add_row(_bar(job, width))
    stacked.add_row(_remote_text(job))
    return stacked


def _bar(job: Job, width: int) -> RenderableType:
    if job.state in (State.QUEUED, State.SUBMITTING):
        return Text("")
    done = 1.0 if job.ready_at is not None else fraction_of(job.progress)
    return ProgressBar(total=1.0, completed=done or 0.0, width=width, finished_style="green")


def _remote_text(job: Job) -> Text:
    if job.reason:
        return Text(printable(_TAGS.sub(" ", job.reason)), style="yellow", no_wrap=True, overflow="ellipsis")
    return Text(remote_text(job), style="dim", no_wrap=True, overflow="ellipsis")


def summary(rows: Sequence[DemoRow], verified: Mapping[str, bool]) -> Table:
    """The table at the end: each file with its checksum, computed again from the disk."""
    made = table("job", "state", "polls", "file", "size", right=("job", "polls", "size"))
    for column in made.columns:
        column.no_wrap = column.header != "file" or console().width >= _WIDE
    # On a narrow terminal the checksum is what is cut; on one with less than 100 columns names of files wrap.
    made.add_column("SHA-256", overflow="ellipsis")
    made.add_column("verified", no_wrap=True)
    for row in rows:
        start: list[RenderableType] = [str(row.job.id), _state(row.job), str(row.job.polls)]
        for artifact in row.artifacts:
            mark = Text("✓ yes", style="green") if verified[artifact.key] else Text("✗ no", style="bold red")
            made.add_row(*start, artifact.name, size(artifact.size), artifact.sha256, mark)
            start = [""] * len(start)
        if not row.artifacts:
            made.add_row(*start, Text(printable(row.job.reason or "no file"), style="dim"))
    return made
