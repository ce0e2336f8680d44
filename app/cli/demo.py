"""``tidewaiter demo``: exports of five emulated APIs by the real daemon, to be watched."""

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
@click.option("--keep-running", is_flag=True, help="Then leave daemon, page and APIs up until Ctrl-C.")
@debug_option
@pass_session
def demo(session: Session, /, *, keep_files: bool, keep_running: bool) -> None:
    """Watch exports of five emulated APIs, from beginning to end.

    It starts emulated servers and the real daemon on this machine, asks for an export or more of each, waits until the
    daemon has landed them, computes every checksum again, and stops it. It takes half a minute at most and leaves
    nothing running. The status page is up meanwhile; its address is the first thing that is printed.
    """
    scratch = Path(tempfile.mkdtemp(prefix="tidewaiter-demo-"))
    try:
        ended_well = asyncio.run(_unless_asked_to_stop(session, scratch, keep_running=keep_running))
    except asyncio.CancelledError:
        raise CommandError(ExitCode.INTERRUPTED) from None
    finally:
        if not keep_files:
            shutil.rmtree(scratch, ignore_errors=True)
    if keep_files:
        _show_places(scratch)
    click.get_current_context().exit(ExitCode.OK if ended_well else ExitCode.FAILED)


async def _unless_asked_to_stop(session: Session, scratch: Path, *, keep_running: bool) -> bool:
    """Play, and come down in good order when the terminal is closed or the process is asked to end."""
    loop, playing = asyncio.get_running_loop(), asyncio.current_task()
    assert playing is not None  # noqa: S101  # inside a coroutine there is one
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, playing.cancel)
    return await _play(session, scratch, keep_running=keep_running)


async def _play(session: Session, scratch: Path, *, keep_running: bool) -> bool:
    clock = SystemClock()
    scene = demonstration(clock)
    async with stage(scratch, scene) as path:
        config = load(path, {})
        async with Daemon(path, scratch / "daemon.log") as daemon:
            with session.log(config) as log:
                async with open_desk(config, log, clock) as desk:
                    rows = await _watched(desk, scene, daemon, clock, f"http://{config.http.listen}/")
            verified = await asyncio.to_thread(_verify, rows, config)
            _conclude(rows, verified, scene)
            if keep_running:
                await _linger(daemon, clock, f"http://{config.http.listen}/")
            code = await daemon.stop()
    if code != 0:
        click.echo(f"the daemon ended with exit code {code}")
    return code == 0 and all(verified.values()) and all(row.job.state is State.SUCCEEDED for row in rows)


def _conclude(rows: Sequence[Row], verified: Mapping[str, bool], scene: Scene) -> None:
    click.echo()
    show_table(summary(rows, verified))
    click.echo()
    for remark in scene.told():
        click.echo(f"- {remark}")


async def _linger(daemon: Daemon, clock: Clock, page: str) -> None:
    """Leave everything up until Ctrl-C.

    Raises:
        CommandError: the daemon died.
    """
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, enough.set)
    click.echo(f"\nThe page stays up at {page}; Ctrl-C ends it.")
    while not enough.is_set():
        daemon.check()
        await clock.sleep(_LOOK_S)


async def _watched(desk: Desk, scene: Scene, daemon: Daemon, clock: Clock, page: str) -> list[Row]:
    """Submit every part and follow the jobs until all have ended.

    Raises:
        CommandError: the daemon died, or it takes too long.
    """
    started_at = clock.monotonic()
    _introduce(page)
    jobs = [await _submitted(desk, part) for part in scene.parts]
    with following(lambda: clock.monotonic() - started_at) as tell:
        while True:
            rows = [await _row(desk, part, job) for part, job in zip(scene.parts, jobs, strict=True)]
            tell(rows)
            if all(has_ended(row.job) for row in rows):
                return rows
            daemon.check()
            if clock.monotonic() - started_at > _LONGEST_S:
                raise CommandError(ExitCode.FAILED, f"not done after {_LONGEST_S:g} s; the log is {daemon.log}")
            await clock.sleep(_LOOK_S)


async def _submitted(desk: Desk, part: Part) -> Job:
    job, _ = await desk.submit(part.account, part.wish.operation, part.wish.params, actor=me())
    return job


async def _row(desk: Desk, part: Part, job: Job) -> Row:
    now = await desk.jobs.get(job.id) or job
    return Row(part, now, await desk.jobs.artifacts(job.id))


def _verify(rows: Sequence[Row], config: Config) -> dict[str, bool]:
    """Whether each file on the disk has the checksum that the daemon noted, by its key."""
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
