"""``tidewaiter demo``: runs exports of five emulated APIs by the real daemon, and shows them live."""

import asyncio
import hashlib
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from app.bootstrap import open_desk
from app.cli.demo_stage import Daemon, stage
from app.cli.demo_view import Row, following, summary
from app.cli.desk import me
from app.cli.errors import CommandError, ExitCode
from app.cli.output import console, show_table
from app.cli.session import Session, debug_option, example, pass_session
from app.cli.watch import has_ended
from app.clock import Clock, SystemClock
from app.config import Config, load
from app.desk import Desk
from app.domain.job import Job, State
from app.emulators.catalogue.scene import Part, Scene, demonstration

_LOOK_S: Final = 0.15
_LONGEST_S: Final = 55.0


@click.command(epilog=example("tidewaiter demo", "tidewaiter demo --keep-running"))
@click.option(
    "--keep-files/--remove-files", default=True, show_default=True, help="Keep the files, the database and the log."
)
@click.option("--keep-running", is_flag=True, help="Keep daemon, page and APIs running until Ctrl-C.")
@debug_option
@pass_session
def demo(invocation: Session, /, *, keep_files: bool, keep_running: bool) -> None:
    """Watch exports of five emulated APIs, from start to end.

    It starts emulated servers and the real daemon on this machine, submits at least one export to each, waits until
    the daemon has landed them, computes every checksum again, and stops the daemon. It takes half a minute at most and
    leaves nothing running. Meanwhile the status page is served; its address is printed first.
    """
    scratch = Path(tempfile.mkdtemp(prefix="tidewaiter-demo-"))
    try:
        ended_well = asyncio.run(_run_until_signal(invocation, scratch, keep_running=keep_running))
    except asyncio.CancelledError:
        raise CommandError(ExitCode.INTERRUPTED) from None
    finally:
        if not keep_files:
            shutil.rmtree(scratch, ignore_errors=True)
    if keep_files:
        _show_places(scratch)
    click.get_current_context().exit(ExitCode.OK if ended_well else ExitCode.FAILED)


async def _run_until_signal(invocation: Session, scratch: Path, *, keep_running: bool) -> bool:
    """Run the demo, and stop it in order when the terminal is closed or the process is terminated."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  # inside a coroutine there is one
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await _run(invocation, scratch, keep_running=keep_running)


async def _run(invocation: Session, scratch: Path, *, keep_running: bool) -> bool:
    clock = SystemClock()
    scene = demonstration(clock)
    async with stage(scratch, scene) as path:
        config = load(path, {})
        async with Daemon(path, scratch / "daemon.log") as daemon:
            with invocation.log(config) as log:
                async with open_desk(config, log, clock) as service:
                    rows = await _watched(service, scene, daemon, clock, f"http://{config.http.listen}/")
            verified = await asyncio.to_thread(_verify, rows, config)
            _show_summary(rows, verified, scene)
            if keep_running:
                await _keep_running(daemon, clock, f"http://{config.http.listen}/")
            code = await daemon.stop()
    if code != 0:
        click.echo(f"the daemon ended with exit code {code}")
    return code == 0 and all(verified.values()) and all(row.job.state is State.SUCCEEDED for row in rows)


def _show_summary(rows: Sequence[Row], verified: Mapping[str, bool], scene: Scene) -> None:
    click.echo()
    show_table(summary(rows, verified))
    click.echo()
    for remark in scene.told():
        click.echo(f"- {remark}")


async def _keep_running(daemon: Daemon, clock: Clock, page: str) -> None:
    """Keep everything running until Ctrl-C.

    Raises:
        CommandError: the daemon died.
    """
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    click.echo(f"\nThe page stays up at {page}; Ctrl-C ends it.")
    while not stop.is_set():
        daemon.check()
        await clock.sleep(_LOOK_S)


async def _watched(service: Desk, scene: Scene, daemon: Daemon, clock: Clock, page: str) -> list[Row]:
    """Submit every part and follow the jobs until all have ended.

    Raises:
        CommandError: the daemon died, or it takes too long.
    """
    started_at = clock.monotonic()
    _introduce(page)
    jobs = [await _submitted(service, part) for part in scene.parts]
    with following(lambda: clock.monotonic() - started_at) as show:
        while True:
            rows = [await _row(service, part, job) for part, job in zip(scene.parts, jobs, strict=True)]
            show(rows)
            if all(has_ended(row.job) for row in rows):
                return rows
            daemon.check()
            if clock.monotonic() - started_at > _LONGEST_S:
                raise CommandError(ExitCode.FAILED, f"not done after {_LONGEST_S:g} s; the log is {daemon.log}")
            await clock.sleep(_LOOK_S)


async def _submitted(service: Desk, part: Part) -> Job:
    job, _ = await service.submit(part.account, part.wish.operation, part.wish.params, actor=me())
    return job


async def _row(service: Desk, part: Part, job: Job) -> Row:
    now = await service.jobs.get(job.id) or job
    return Row(part, now, await service.jobs.artifacts(job.id))


def _verify(rows: Sequence[Row], config: Config) -> dict[str, bool]:
    """Whether each file on the disk has the checksum that the daemon recorded, by its key."""
    return {
        artifact.key: _sha256(Path(config.storage.place) / artifact.key) == artifact.sha256
        for row in rows
        for artifact in row.artifacts
    }


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _introduce(page: str) -> None:
    out = console()
    out.print("[bold]Tidewaiter demo[/bold]: exports of five emulated APIs, by a real daemon on a fresh database.")
    out.print(f"Its page is at [bold]{page}[/bold] meanwhile.\n", highlight=False)


def _show_places(scratch: Path) -> None:
    click.echo(f"\nfiles          {scratch / 'exports'}")
    click.echo(f"log            {scratch / 'daemon.log'}")
    click.echo(f"configuration  {scratch / 'tidewaiter.toml'}")
