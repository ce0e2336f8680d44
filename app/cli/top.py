"""``tidewaiter top``: lanes, what is due, throughput and what has landed, live on a terminal, as text elsewhere."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click
from rich.live import Live

from app.cli import offers
from app.cli.desk import at_desk
from app.cli.errors import CommandError, ExitCode
from app.cli.keyboard import keys
from app.cli.output import console
from app.cli.session import Session, config_option, example, pass_session
from app.cli.top_json import as_json as as_json_of
from app.cli.top_view import Sight, fitting, whole
from app.clock import Clock, SystemClock

if TYPE_CHECKING:
    from app.config import Config
    from app.desk import Desk

_OFTEN_S: Final = 2.0
_SHARE_OF_TIME: Final = 20.0
_LONGEST_REST_S: Final = 5.0
_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
_INTERVAL: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|)")


class Interval(click.ParamType[float]):
    """A time such as 2s, 500ms or 1min, in seconds."""

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
        "tidewaiter top --json --every 1min >> pictures.jsonl",
    )
)
@click.option("--every", type=Interval(), metavar="TIME", help="How long between two pictures.  [default: 2s]")
@click.option("--once", is_flag=True, help="Print one picture and end, as without a terminal.")
@click.option("--account", metavar="NAME", shell_complete=offers.accounts, help="Only the lanes and jobs of this one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each picture, each on a line.")
@config_option
@pass_session
def top(session: Session, /, *, every: float | None, once: bool, account: str | None, as_json: bool) -> None:
    """Watch lanes, jobs and landings live in the terminal.

    It reads the database, so it shows every daemon's work, from any machine that reaches it. q or Ctrl-C ends it, with
    exit code 0. Without a terminal it prints one picture as text and ends; with --every one after the other. While the
    database cannot be reached it says so and goes on trying; one picture alone ends with 69 then.

    Requests are those that count against the limit, as the lane's daemon told at its last sign of life.
    """
    if once and every is not None:
        raise click.UsageError("--every is for more than one picture, --once for one")
    screen = console()
    live = sys.stdout.isatty() and not (once or as_json or screen.is_dumb_terminal)
    tell = _tell_json if as_json else _tell_text
    with suppress(KeyboardInterrupt):
        asyncio.run(_watched(session, account, every, _on_screen if live else _printed(tell, every)))


_Show = Callable[["_Eye", asyncio.Event, float], Awaitable[None]]


class _Eye:
    """Looks at everything, and remembers what it saw last."""

    def __init__(self, desk: "Desk", config: "Config", clock: Clock, account: str | None) -> None:
        from app.store.overview import OverviewStore  # noqa: PLC0415  # help and completion do without

        self._overview = OverviewStore(desk.jobs)
        self._desk = desk
        self._shards = {name: one.shards for name, one in config.accounts.items()}
        self._clock = clock
        name = desk.jobs.database.name
        self.sight = Sight(name, clock.now(), None, (), config.worker.lease_s, account=account)
        self.took_s = 0.0

    async def look(self) -> Sight:
        """What there is to be seen now; where the database is away, what was seen last, and why it is not new."""
        from app.store.errors import StoreUnavailableError  # noqa: PLC0415
        from app.web.page.lanes import lanes_of  # noqa: PLC0415

        began, now, account = self._clock.monotonic(), self._clock.now(), self.sight.account
        try:
            picture = await self._overview.picture(now, account)
        except StoreUnavailableError as error:
            self.sight = replace(self.sight, now=now, trouble=str(error))
            return self.sight
        self.took_s = self._clock.monotonic() - began
        lanes = lanes_of(picture, self._desk.accounts, self._shards, now)
        mine = [lane for lane in lanes if account in (None, lane.account)]
        self.sight = replace(self.sight, now=now, picture=picture, lanes=mine, trouble=None)
        return self.sight

    async def rest(self, stop: asyncio.Event, every_s: float) -> None:
        """Wait for the next picture; a database that is slow is asked less often."""
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(every_s, min(_LONGEST_REST_S, _SHARE_OF_TIME * self.took_s)))


async def _watched(session: Session, account: str | None, every: float | None, show: _Show) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    async with at_desk(session, refusal=ExitCode.USAGE) as (desk, config):
        if account is not None and account not in desk.accounts:
            known = ", ".join(sorted(desk.accounts)) or "none is configured"
            raise CommandError(ExitCode.USAGE, f"unknown account {account!r}; configured: {known}")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await show(_Eye(desk, config, SystemClock(), account), stop, every or _OFTEN_S)


async def _on_screen(eye: _Eye, stop: asyncio.Event, every_s: float) -> None:
    """Draw on a screen of its own, which is gone afterwards; draw anew whenever its size changes."""
    screen = console()

    def draw() -> None:
        live.update(fitting(eye.sight, screen.width, screen.height), refresh=True)

    def press(typed: str) -> None:
        if "q" in typed.lower():
            stop.set()

    with Live(console=screen, screen=True, auto_refresh=False) as live, keys(press):
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, draw)
        while not stop.is_set():
            await eye.look()
            draw()
            await eye.rest(stop, every_s)


def _printed(tell: Callable[[Sight], None], every: float | None) -> _Show:
    """Print one picture, or one after the other."""

    async def show(eye: _Eye, stop: asyncio.Event, every_s: float) -> None:
        while not stop.is_set():
            sight = await eye.look()
            if sight.trouble is not None and every is None:
                raise CommandError(ExitCode.UNAVAILABLE, sight.trouble)
            tell(sight)
            if every is None:
                return
            await eye.rest(stop, every_s)

    return show


def _tell_json(sight: Sight) -> None:
    click.echo(json.dumps(as_json_of(sight), ensure_ascii=False))


def _tell_text(sight: Sight) -> None:
    """Print the whole picture; off a terminal without blanks at the ends of lines, and with an empty line after it."""
    out = console()
    if sys.stdout.isatty():
        out.print(whole(sight))
        return
    with out.capture() as captured:
        out.print(whole(sight))
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")
