"""``python -m tests.peers [NAME ...] [--moment MOMENT]``: kills the worker of each at five moments, or at these.

Prints one JSON line for each run. The peers' environments are in ``.cache/matrix``, with the newest releases;
PostgreSQL is the tests' own. SIGTERM ends it with all that it has started.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg
from aiohttp import web

from tests.peers.contestants import CONTESTANTS, Contestant
from tests.peers.provider import CONTENT, Moment, Provider
from tests.support.peer_environments import prepared
from tests.support.postgres import Postgres
from tests.support.process_sessions import kill_session
from tidewaiter.database import migrate


def asked(database: str, query: str) -> int:
    """The number that a query finds."""
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as lite:
            return int(lite.execute(query).fetchone()[0])
    with psycopg.connect(database) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


class _Run:
    """One job of one contestant, whose worker is killed at one moment."""

    def __init__(self, name: str, contestant: Contestant, python: Path, folder: Path, database: str) -> None:
        self._contestant = contestant
        self._folder = folder
        self._database = database
        self._files = folder / "files"
        self._files.mkdir()
        self._prepare, self._work = contestant.commands(name, folder, python)
        self._worker: asyncio.subprocess.Process | None = None
        self._environ: dict[str, str] = {}

    def _landed(self) -> list[Path]:
        return [
            path
            for path in self._files.rglob("*")
            if path.is_file()
            and path.name != "manifest.json"
            and not any(part.startswith(".") for part in path.relative_to(self._files).parts)
        ]

    def _kill(self) -> None:
        assert self._worker is not None
        kill_session(self._worker.pid)

    async def _start(self, command: list[str]) -> asyncio.subprocess.Process:
        with (self._folder / "log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command, env=self._environ, stdout=log, stderr=log, cwd=self._folder, start_new_session=True
            )

    async def go(self, moment: Moment) -> dict[str, object]:
        """Kill the worker at the moment, start it again at once, and wait for the end of the job."""
        provider = Provider(moment, self._kill, self._landed, self._contestant.build_s)
        runner = web.AppRunner(provider.app())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        values = {"PROVIDER": provider.origin, "FOLDER": str(self._files), "DSN": self._database}
        # Without its bytecode each process would compile every module again.
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self._environ = {**kept, **values}
        self._contestant.write(self._folder, values)
        try:
            self._worker = await self._start(self._prepare)
            assert await self._worker.wait() == 0, (self._folder / "log").read_text()
            return await self._watched(provider)
        finally:
            if self._worker is not None:
                if self._worker.returncode is None:
                    self._kill()
                await self._worker.wait()
            await runner.cleanup()

    async def _watched(self, provider: Provider) -> dict[str, object]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._contestant.within_s
        torn = 0
        self._worker = await self._start(self._work)
        live, parked = 1, 0
        while live and loop.time() < until:
            torn += any(path.read_bytes() != CONTENT for path in self._landed())
            if self._worker.returncode is not None:
                self._worker = await self._start(self._work)
            await asyncio.sleep(0.2)
            with contextlib.suppress(psycopg.OperationalError, sqlite3.OperationalError):
                live = await asyncio.to_thread(asked, self._database, self._contestant.live)
                parked = await asyncio.to_thread(asked, self._database, self._contestant.asks)
        killed, again = provider.killed_at, provider.asked_again_at
        return {
            "killed": killed is not None,
            "remote_jobs": sum(provider.posts.values()),
            "downloads": provider.downloads,
            "torn": torn > 0,
            "landed": len(self._landed()),
            "live": live,
            "parked": parked,
            "request_after_s": None if killed is None or again is None else round(again - killed, 1),
            "end_after_s": None if killed is None or live else round(loop.time() - killed, 1),
        }


async def compare(name: str, moments: Sequence[Moment], server: Postgres) -> None:
    """The moments of one contestant, one after the other's beginning: most of the time is waiting."""
    contestant = CONTESTANTS[name]
    python, version = Path(sys.executable), "this tree"
    if contestant.packages:
        python, version = await asyncio.to_thread(prepared, contestant.module or name, contestant.packages)

    slots = asyncio.Semaphore(contestant.at_once)

    async def one(moment: Moment) -> None:
        async with slots:
            await in_a_folder(moment)

    async def in_a_folder(moment: Moment) -> None:
        with tempfile.TemporaryDirectory(prefix="matrix-") as made:
            folder = Path(made)
            if contestant.lite:
                database = f"sqlite:///{folder}/tidewaiter.db"
                if not contestant.packages:
                    migrate.upgrade(database)
            else:
                database = server.url(await asyncio.to_thread(server.create, migrated=not contestant.packages))
            found = await _Run(name, contestant, python, folder, database).go(moment)
            line = {"name": name, "version": version, "moment": moment.value, **found}
            sys.stdout.write(json.dumps(line) + "\n")
            if found["live"] or not found["killed"]:
                sys.stdout.write((folder / "log").read_text()[-3000:])
            sys.stdout.flush()

    async with asyncio.TaskGroup() as group:
        for moment in moments:
            group.create_task(one(moment))


async def main(names: Sequence[str], moments: Sequence[Moment]) -> None:
    """Compare these, or all, one after another."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    with tempfile.TemporaryDirectory(prefix="matrix-postgres-") as folder:
        server = await asyncio.to_thread(Postgres, Path(folder))
        try:
            for name in names or CONTESTANTS:
                await compare(name, moments, server)
        finally:
            await asyncio.to_thread(server.stop)


_parser = argparse.ArgumentParser(prog="python -m tests.peers")
_parser.add_argument("names", nargs="*", metavar="NAME")
_parser.add_argument("--moment", action="append", choices=[one.name.lower() for one in Moment])
_asked = _parser.parse_args()
_moments = [one for one in Moment if not _asked.moment or one.name.lower() in _asked.moment]
try:
    asyncio.run(main(_asked.names, _moments))
except asyncio.CancelledError:
    sys.exit(128 + signal.SIGTERM)
