"""What the demo runs: emulated servers, a configuration with accounts on them, and the daemon in its own process."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from app.cli.account_table import account_table
from app.cli.errors import CommandError, ExitCode
from app.config import PREFIX
from app.emulators.catalogue.entry import Account
from app.emulators.catalogue.scene import Scene

_STOP_S: Final = 10.0

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


@asynccontextmanager
async def stage(scratch: Path, scene: Scene) -> AsyncIterator[Path]:
    """Start the servers and write a configuration with accounts on them; yields its path."""
    async with AsyncExitStack() as stack:
        for server in scene.servers:
            await stack.enter_async_context(server)
        yield _write_config(scratch, scene.accounts())


def _write_config(scratch: Path, accounts: Mapping[str, Account]) -> Path:
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


def _secret_files(scratch: Path, name: str, account: Account) -> Mapping[str, str]:
    """Write each secret into a file of its own that only its owner can read."""
    files = {setting: f"{name}-{setting}" for setting in sorted(account.secrets)}
    for setting, file in files.items():
        (scratch / file).touch(mode=0o600)
        (scratch / file).write_text(f"{account.settings[setting]}\n")
    return files


class Daemon:
    """The real daemon, in a process of its own that ends with the demo."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Daemon":
        # The environment must not override the configuration that was just written.
        environ = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
        arguments = ("-m", "app.cli.main", "serve", "--config", str(self._config))
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
            Its exit code; it is negative where the daemon had to be killed.
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
