"""``tidewaiter demo``: runs exports of five emulated APIs by the real daemon, and shows them live.

The emulated servers run in this process, the daemon in one of its own.
"""

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import click

from tidewaiter.bootstrap import open_job_service
from tidewaiter.cli.demo_view import DemoRow, following, summary
from tidewaiter.cli.emulate import account_table
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, current_user, debug_option, example, pass_invocation
from tidewaiter.cli.job_progress import has_ended
from tidewaiter.cli.output import console, show_table
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.config import PREFIX, Config, load
from tidewaiter.domain.job import Job, State
from tidewaiter.emulators.catalogue import EmulatedAccount
from tidewaiter.emulators.demo_scene import DemoJob, DemoScene, demonstration
from tidewaiter.services import JobService

_CONFIG: Final = """\
# Written by `tidewaiter demo`: accounts on emulated servers of this machine.

[database]
url = "sqlite:///tidewaiter.db"

[storage]
root = "exports"

[worker]
lookout_s = 0.2
heartbeat_s = 5
drain_s = 5

[log]
format = "json"

[http]
listen = "127.0.0.1:{page}"

[callbacks]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"
"""
_STOP_S: Final = 10.0
_LOOK_S: Final = 0.15
_LONGEST_S: Final = 55.0


class DemoDaemon:
    """The real daemon, in a process of its own that ends with the demo."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "DemoDaemon":
        # The environment must not override the configuration that was just written.
        environ = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
        arguments = ("-m", "tidewaiter.cli.main", "serve", "--config", str(self._config))
        with self.log.open("wb") as log:
            # In a terminal session of its own: Ctrl-C reaches only the demo, which then stops the daemon in order.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                start_new_session=True,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def check(self) -> None:
        """Make sure that the daemon is alive.

        Raises:
            CommandError: it has ended; the sentence holds the end of its log.
        """
        code = self._process.returncode if self._process else None
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise CommandError(
                ExitCode.FAILED, f"the daemon has ended with exit code {code}; its log ends with\n{tail}"
            )

    async def stop(self) -> int:
        """Ask the daemon to stop, and wait until it has.

        Returns:
            Its exit code; it is negative if the daemon had to be killed.
        """
        process = self._process
        if process is None:
            return 0
        try:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        return await process.wait()


@asynccontextmanager
async def serve_scene(scratch: Path, scene: DemoScene) -> AsyncIterator[Path]:
    """Start the servers and write a configuration with accounts on them; yields its path."""
    async with AsyncExitStack() as stack:
        for server in scene.servers:
            await stack.enter_async_context(server)
        yield _write_config(scratch, scene.accounts())


def _write_config(scratch: Path, accounts: Mapping[str, EmulatedAccount]) -> Path:
    tables = [account_table(name, account, _secret_files(scratch, name, account)) for name, account in accounts.items()]
    path = scratch / "tidewaiter.toml"
    path.write_text("\n".join([_CONFIG.format(port=_free_port(), page=_free_port()), *tables]))
    return path


def _free_port() -> int:
    """A free port for the daemon."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _secret_files(scratch: Path, name: str, account: EmulatedAccount) -> Mapping[str, str]:
    """Write each secret into a file of its own that only its owner can read."""
    files = {setting: f"{name}-{setting}" for setting in sorted(account.secrets)}
    for setting, file in files.items():
        (scratch / file).touch(mode=0o600)
        (scratch / file).write_text(f"{account.settings[setting]}\n")
    return files


@click.command(epilog=example("tidewaiter demo", "tidewaiter demo --keep-running"))
@click.option(
    "--keep-files/--remove-files", default=True, show_default=True, help="Keep the files, the database and the log."
)
@click.option("--keep-running", is_flag=True, help="Keep daemon, page and APIs running until Ctrl-C.")
@debug_option
@pass_invocation
def demo(invocation: Invocation, /, *, keep_files: bool, keep_running: bool) -> None:
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


async def _run_until_signal(invocation: Invocation, scratch: Path, *, keep_running: bool) -> bool:
    """Run the demo, and stop it in order when the terminal is closed or the process is terminated."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101  # inside a coroutine there is one
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    return await _run(invocation, scratch, keep_running=keep_running)


async def _run(invocation: Invocation, scratch: Path, *, keep_running: bool) -> bool:
    clock = SystemClock()
    scene = demonstration(clock)
    async with serve_scene(scratch, scene) as path:
        config = load(path, {})
        async with DemoDaemon(path, scratch / "daemon.log") as daemon:
            with invocation.log(config) as log:
                async with open_job_service(config, log, clock) as service:
                    rows = await _watched(service, scene, daemon, clock, f"http://{config.http.listen}/")
            verified = await asyncio.to_thread(_verify, rows, config)
            _show_summary(rows, verified, scene)
            if keep_running:
                await _keep_running(daemon, clock, f"http://{config.http.listen}/")
            code = await daemon.stop()
    if code != 0:
        click.echo(f"the daemon ended with exit code {code}")
    return code == 0 and all(verified.values()) and all(row.job.state is State.SUCCEEDED for row in rows)


def _show_summary(rows: Sequence[DemoRow], verified: Mapping[str, bool], scene: DemoScene) -> None:
    click.echo()
    show_table(summary(rows, verified))
    click.echo()
    for remark in scene.summary():
        click.echo(f"- {remark}")


async def _keep_running(daemon: DemoDaemon, clock: Clock, page: str) -> None:
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


async def _watched(service: JobService, scene: DemoScene, daemon: DemoDaemon, clock: Clock, page: str) -> list[DemoRow]:
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


async def _submitted(service: JobService, part: DemoJob) -> Job:
    job, _ = await service.submit(part.account, part.sample.operation, part.sample.params, actor=current_user())
    return job


async def _row(service: JobService, part: DemoJob, job: Job) -> DemoRow:
    now = await service.jobs.get(job.id) or job
    return DemoRow(part, now, await service.jobs.artifacts(job.id))


def _verify(rows: Sequence[DemoRow], config: Config) -> dict[str, bool]:
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
