"""``tidewaiter run``: one export from the request to its files, with the daemon's parts but without a daemon."""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, config_option, example, pass_invocation
from tidewaiter.cli.job_progress import exit_code_of, has_ended, job_line
from tidewaiter.cli.output import console, files_json, show_files, show_json
from tidewaiter.cli.submit import param_option
from tidewaiter.domain.job import Job, fraction_of
from tidewaiter.domain.job_json import job_json
from tidewaiter.domain.manifest import Artifact


@click.command(
    epilog=example("tidewaiter run newsletter statistics -p export_type=OPENS -p period=LAST_DAY --out ./opens")
)
@click.argument("account", shell_complete=name_completion.accounts)
@click.argument("operation", shell_complete=name_completion.operations)
@param_option
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder for the files."
)
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON, and no progress.")
@config_option
@pass_invocation
def run(
    invocation: Invocation, /, *, account: str, operation: str, params: Mapping[str, str], out: Path, as_json: bool
) -> None:
    """Make one export now, without a daemon.

    It leaves nothing but the files and their manifest.json, and replaces no file in the folder. Other accounts,
    schedules and notifications stay out of it, and so do their errors in the configuration. Ctrl-C stops it; the remote
    job may then continue unattended.
    """
    from tidewaiter.bootstrap import run_once  # noqa: PLC0415  # help and completion do without

    config = invocation.load(account=account)
    if account not in config.accounts:
        known = ", ".join(sorted(config.accounts)) or "none is configured"
        raise CommandError(ExitCode.USAGE, f"unknown account {account!r}; configured: {known}")
    with _following(as_json) as (on_change, stream), invocation.log(config, level="warning", stream=stream) as log:
        job, artifacts = asyncio.run(
            _asked(run_once(config, account, operation, params, out=out, on_change=on_change, log=log))
        )
    if as_json:
        show_json({**job_json(job), "artifacts": files_json(None, artifacts, str(out))})
    elif artifacts:
        show_files(artifacts, str(out))
    if not has_ended(job):
        raise CommandError(ExitCode.INTERRUPTED, f"stopped before the end: {job_line(job)}")
    click.get_current_context().exit(exit_code_of(job))


async def _asked(once: Awaitable[tuple[Job, list[Artifact]]]) -> tuple[Job, list[Artifact]]:
    from tidewaiter.bootstrap import RunBrokenError  # noqa: PLC0415
    from tidewaiter.services import RequestError  # noqa: PLC0415

    try:
        return await once
    except RequestError as error:
        raise CommandError(ExitCode.USAGE, str(error)) from error
    except RunBrokenError as error:
        raise CommandError(ExitCode.FAILED, str(error)) from error


@contextmanager
def _following(as_json: bool) -> Iterator[tuple[Callable[[Job], None], TextIO]]:
    """How progress is shown, and where warnings go meanwhile: a bar on a terminal, plain lines elsewhere."""
    if as_json:
        yield lambda _job: None, sys.stderr
    elif sys.stdout.isatty():
        with _bar() as bar:
            task = bar.add_task("starting", total=None)
            yield lambda job: _move(bar, task, job), _Above(bar)
    else:
        yield line_printer(), sys.stderr


def line_printer() -> Callable[[Job], None]:
    """Prints a job's line whenever it reads otherwise: a job also changes in ways that the line does not show."""
    shown = ""

    def show(job: Job) -> None:
        nonlocal shown
        line = job_line(job)
        if line != shown:
            shown = line
            click.echo(line)

    return show


def _bar() -> Progress:
    description = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    return Progress(SpinnerColumn(), description, BarColumn(), TimeElapsedColumn(), console=console(), expand=True)


def _move(bar: Progress, task: TaskID, job: Job) -> None:
    done = 1.0 if job.ready_at is not None else fraction_of(job.progress)
    bar.update(task, description=escape(job_line(job)))
    if done is not None:
        bar.update(task, total=1.0, completed=done)


class _Above(io.StringIO):
    """A stream that prints above the bar, so that a warning does not break it."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self._bar = bar

    def isatty(self) -> bool:
        """It is shown on a terminal."""
        return True

    def write(self, text: str) -> int:
        """Print a line."""
        self._bar.console.out(text, end="", highlight=False)
        return len(text)
