"""A real PgBouncer in front of a PostgreSQL server, where the program is installed."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.postgres import Postgres

_CONFIG = """
[databases]
* = host={host} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = options
default_pool_size = {sessions}
"""


def installed() -> str | None:
    """The program, if there is one."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass(slots=True)
class PgBouncer:
    """A pooler that can be killed and started again."""

    folder: Path
    port: int
    user: str | None
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """The URL of a database behind it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable&gssencmode=disable"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = installed()
        assert program is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, str(self.folder / "pgbouncer.ini")], user=self.user, stdout=log, stderr=log
            )
        until = time.monotonic() + 20
        while b"listening on" not in (self.folder / "log").read_bytes():
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            (self.folder / "log").write_bytes(b"")


@contextmanager
def pooling(server: Postgres, mode: str, sessions: int = 24) -> Iterator[PgBouncer]:
    """A pooler in a mode, ``session`` or ``transaction``, with so many sessions of the server."""
    folder = Path(tempfile.mkdtemp(prefix="tidewaiter-pgbouncer-"))
    pooler = PgBouncer(folder, free_port(), server.system_user)
    config = _CONFIG.format(host=server.socket.parent, port=pooler.port, mode=mode, sessions=sessions)
    (folder / "pgbouncer.ini").write_text(config)
    server.give_away(folder)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.kill()
        shutil.rmtree(folder, ignore_errors=True)
