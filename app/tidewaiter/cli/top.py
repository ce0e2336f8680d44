"""``tidewaiter top``: lanes, due jobs, throughput and landed files; live on a terminal, as text or JSON elsewhere."""

import asyncio
import json
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click
from rich.live import Live

from tidewaiter.cli import name_completion
from tidewaiter.cli.exit_codes import CommandError, ExitCode
from tidewaiter.cli.invocation import Invocation, config_option, example, open_job_service, pass_invocation
from tidewaiter.cli.output import console
from tidewaiter.cli.top_view import TopState, delay_of, fitting, whole
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.job import Job, State

if TYPE_CHECKING:
    from tidewaiter.config import Config
    from tidewaiter.services import JobService
    from tidewaiter.web.ui.dashboard import LaneView

_OFTEN_S: Final = 2.0
_SHARE_OF_TIME: Final = 20.0
_LONGEST_REST_S: Final = 5.0
_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
_INTERVAL: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|)")
_SUSPEND: Final = 6, termios.VSUSP  # where the settings of a terminal have the key of Ctrl-Z


class Interval(click.ParamType[float]):
    """A duration such as 2s, 500ms or 1min, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        if isinstance(value, float):
            return value
        found = _INTERVAL.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no time; write it as 2s, 500ms or 1min", param, ctx)
        seconds = float(found[1]) * _UNITS[found[2]]
        if not 0.1 <= seconds <= 86_400.0:
            self.fail(f"{value!r} is not between 100ms and 24h", param, ctx)
        return seconds


@click.command(
    epilog=example(
        "tidewaiter top",
        "tidewaiter top --once --account newsletter",
        "tidewaiter top --json --every 1min >> states.jsonl",
    )
)
@click.option("--every", type=Interval(), metavar="TIME", help="The time between two updates.  [default: 2s]")
@click.option("--once", is_flag=True, help="Print the state once and end, as without a terminal.")
@click.option(
    "--account", metavar="NAME", shell_complete=name_completion.accounts, help="Only lanes and jobs of this account."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each update, each on a line.")
@config_option
@pass_invocation
def top(invocation: Invocation, /, *, every: float | None, once: bool, account: str | None, as_json: bool) -> None:
    """Watch lanes, jobs and landings live in the terminal.

    It reads the database, so it shows the work of all daemons, on any machine that reaches the database. q or Ctrl-C
    ends it, with exit code 0. Without a terminal it prints the state once as text and ends; with --every it repeats.
    While the database cannot be reached it says so and tries again; without --every it ends with 69.

    Requests are those that count against the limit, as the lane's daemon last reported.
    """
    if once and every is not None:
        raise click.UsageError("--every is for more than one snapshot, --once for one")
    screen = console()
    live = sys.stdout.isatty() and not (once or as_json or screen.is_dumb_terminal)
    print_state = _print_json if as_json else _print_text
    with suppress(KeyboardInterrupt):
        asyncio.run(_watched(invocation, account, every, _on_screen if live else _print_states(print_state, every)))


_Show = Callable[["_Observer", asyncio.Event, float], Awaitable[None]]


class _Observer:
    """Reads the state of everything, and keeps the last one."""

    def __init__(self, service: "JobService", config: "Config", clock: Clock, account: str | None) -> None:
        from tidewaiter.database.dashboard_store import DashboardStore  # noqa: PLC0415  # help and completion do without

        self._overview = DashboardStore(service.jobs, lambda: config.worker.downloads)
        self._accounts = service.accounts
        self._database = service.jobs.database
        self._shards = {name: one.shards for name, one in config.accounts.items()}
        self._clock = clock
        name = service.jobs.database.name
        self.state = TopState(name, clock.now(), None, (), config.worker.lease_s, account=account)
        self.took_s = 0.0

    async def look(self) -> TopState:
        """The state now; if the database cannot be reached, the last state and the reason."""
        from tidewaiter.database.errors import StoreUnavailableError  # noqa: PLC0415
        from tidewaiter.web.ui.dashboard import lanes_of  # noqa: PLC0415

        began, now, account = self._clock.monotonic(), self._clock.now(), self.state.account
        try:
            snapshot = await self._overview.snapshot(now, account)
        except StoreUnavailableError as error:
            self.state = replace(self.state, now=now, trouble=str(error), writes=None)
            return self.state
        writes = await self._write_fault()
        self.took_s = self._clock.monotonic() - began
        lanes = lanes_of(snapshot, self._accounts, self._shards, now)
        mine = [lane for lane in lanes if account in (None, lane.account)]
        self.state = replace(self.state, now=now, snapshot=snapshot, lanes=mine, trouble=None, writes=writes)
        return self.state

    async def _write_fault(self) -> str | None:
        """Why the database accepts no writes; ``None`` if it does, or if this role may only read."""
        from tidewaiter.database.errors import MissingRightError, StoreUnavailableError  # noqa: PLC0415

        try:
            await self._database.check_writable()
        except MissingRightError:
            return None
        except StoreUnavailableError as error:
            return str(error)
        return None

    async def rest(self, stop: asyncio.Event, every_s: float) -> None:
        """Wait until the next update; a slow database is read less often."""
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(every_s, min(_LONGEST_REST_S, _SHARE_OF_TIME * self.took_s)))


async def _watched(invocation: Invocation, account: str | None, every: float | None, show: _Show) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    async with open_job_service(invocation, refusal=ExitCode.USAGE) as (service, config):
        if account is not None and account not in service.accounts:
            known = ", ".join(sorted(service.accounts)) or "none is configured"
            raise CommandError(ExitCode.USAGE, f"unknown account {account!r}; configured: {known}")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await show(_Observer(service, config, SystemClock(), account), stop, every or _OFTEN_S)


async def _on_screen(observer: _Observer, stop: asyncio.Event, every_s: float) -> None:
    """Draw on the alternate screen; draw again whenever its size changes."""
    screen = console()

    def draw() -> None:
        live.update(fitting(observer.state, screen.width, screen.height), refresh=True)

    def press(typed: str) -> None:
        if "q" in typed.lower():
            stop.set()

    with Live(console=screen, screen=True, auto_refresh=False) as live, keys(press):
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, draw)
        while not stop.is_set():
            await observer.look()
            draw()
            await observer.rest(stop, every_s)


def _print_states(print_state: Callable[[TopState], None], every: float | None) -> _Show:
    """Print the state once, or again and again."""

    async def show(observer: _Observer, stop: asyncio.Event, every_s: float) -> None:
        while not stop.is_set():
            state = await observer.look()
            if state.trouble is not None and every is None:
                raise CommandError(ExitCode.UNAVAILABLE, state.trouble)
            print_state(state)
            if every is None:
                return
            await observer.rest(stop, every_s)

    return show


def _print_json(state: TopState) -> None:
    click.echo(json.dumps(top_json(state), ensure_ascii=False))


def _print_text(state: TopState) -> None:
    """Print the whole state; off a terminal without trailing blanks, and with an empty line after it."""
    out = console()
    if sys.stdout.isatty():
        out.print(whole(state, out.width))
        return
    with out.capture() as captured:
        out.print(whole(state))
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")


def top_json(state: TopState) -> dict[str, Any]:
    """The overview at one moment. Without an overview ``error`` says why.

    ``writes`` says why the database accepts no writes.
    With one account, ``jobs`` is null: counting them would read them all.
    """
    head = {"at": rfc3339(state.now), "database": state.database, "account": state.account}
    head |= {"error": state.trouble, "writes": state.writes}
    snapshot = state.snapshot
    if snapshot is None:
        return head
    from tidewaiter.services.resource_json import overview_json  # noqa: PLC0415  # help and completion do without

    overview = overview_json(snapshot)
    return {
        **overview,
        **head,
        "jobs": None if state.account else overview["jobs"],
        "daemons": [
            {
                "owner": one.owner,
                "host": one.host,
                "pid": one.pid,
                "version": one.version,
                "started_at": rfc3339(one.started_at),
                "seen_at": rfc3339(one.lease_until - state.lease_s),
            }
            for one in snapshot.workers
        ],
        "lanes": [_lane_json(lane, state.now) for lane in state.lanes],
        "landings": {
            "per_minute": [minute.ended.get(State.SUCCEEDED, 0) for minute in snapshot.minutes],
            "delay_p50_s": delay_of(snapshot, 0.5),
            "delay_p95_s": delay_of(snapshot, 0.95),
        },
        "notifications": {
            name: {"waiting": one.waiting, "dead": one.dead} for name, one in snapshot.undelivered.items()
        },
        "parked": [_trouble_json(job) for job in snapshot.parked],
        "failed": [_trouble_json(job) for job in snapshot.failures],
    }


def _lane_json(lane: "LaneView", now: float) -> dict[str, Any]:
    limits = lane.limits
    return {
        "lane": lane.id,
        "due": lane.due,
        "oldest_due_at": rfc3339(now - lane.late_s if lane.due else None),
        "account": lane.account,
        "shard": lane.shard,
        "provider": lane.provider,
        "host": lane.host,
        "condition": lane.condition.value,
        "reason": lane.reason,
        "until": rfc3339(lane.until),
        "requests": {"used": lane.used, "most": limits.requests, "period_s": limits.period_s},
        "late_s": round(lane.late_s, 3),
        "live": lane.live,
    }


def _trouble_json(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "account": job.account,
        "operation": job.operation,
        "state": job.state.value,
        "reason": job.reason,
        "finished_at": rfc3339(job.finished_at),
    }


@contextmanager
def keys(on_key: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_key`` with each key, without waiting for the end of a line and without showing it.

    Ctrl-C keeps its meaning; Ctrl-Z is disabled, because it would leave the shell on the alternate screen. If standard
    input is not a terminal, nothing happens. Leaving the block restores the terminal's settings.
    """
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def read() -> None:
        typed = os.read(terminal, 1024)
        if typed:
            on_key(typed.decode(errors="replace"))
        else:
            loop.remove_reader(terminal)

    try:
        tty.setcbreak(terminal)
        settings = termios.tcgetattr(terminal)
        group, place = _SUSPEND
        settings[group][place] = bytes([os.fpathconf(terminal, "PC_VDISABLE") % 256])
        termios.tcsetattr(terminal, termios.TCSANOW, settings)
        loop.add_reader(terminal, read)
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
