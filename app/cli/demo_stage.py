"""The demo's stage: emulated servers, a configuration with two accounts on them, and the daemon as its own process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.cli.errors import CommandError, ExitCode
from app.clock import Clock
from app.config import PREFIX
from app.emulators.exports import ExportForm
from app.emulators.faults import Fault, FaultKind, FaultRule
from app.emulators.files import FileHost
from app.emulators.symplify import SymplifyEmulator

_TOKEN: Final = "demo-token"  # noqa: S105  # of an emulator on this machine
_BUILD_S: Final = 6.0
_ROWS: Final = 12_000
_STOP_S: Final = 10.0

_CONFIG: Final = """\
# Written by `tidewaiter demo`: two accounts on emulated servers of this machine.

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
"""

_ACCOUNT: Final = """
[accounts.{name}]
provider = "symplify"
allow_private = true # the emulator is on this machine

[accounts.{name}.settings]
server = "{server}"
customer_id = "{customer}"
token_file = "token"
result = "{result}"

[accounts.{name}.limits]
requests = 120
period_s = 60
spacing_s = 0

[accounts.{name}.schedule]
first_delay_s = 0.5
interval_s = 1
factor = 1.0
cap_s = 1
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """One export that the demo asks for, and what is special about it."""

    account: str
    params: Mapping[str, str]
    what: str


OPERATION: Final = "statistics"
WISHES: Final = (
    Wish("by-url", {"export_type": "OPENS", "period": "LAST_DAY"}, "from a signed URL"),
    Wish("by-redirect", {"export_type": "SENT", "period": "LAST_WEEK"}, "through a redirect"),
    Wish("by-url", {"export_type": "CLICKS", "period": "LAST_DAY"}, "as JSON lines"),
    Wish("by-redirect", {"export_type": "OPTOUTS", "period": "TODAY"}, "an empty file"),
)


@asynccontextmanager
async def stage(scratch: Path, clock: Clock) -> AsyncIterator[Path]:
    """Start the servers and write the configuration that leads to them; gives its path."""
    expired_once = [FaultRule("url", 1, Fault(FaultKind.LINK_EXPIRED))]
    async with FileHost(clock=clock, secrets=[_TOKEN]) as files:
        by_url = _emulator(clock, files, "5004", expired_once)
        by_redirect = _emulator(clock, files, "5005", [])
        async with by_url, by_redirect:
            accounts = (
                _ACCOUNT.format(name="by-url", result="url", server=by_url.origin, customer="5004"),
                _ACCOUNT.format(name="by-redirect", result="redirect", server=by_redirect.origin, customer="5005"),
            )
            yield _write_config(scratch, accounts)


def _emulator(clock: Clock, files: FileHost, customer_id: str, faults: Sequence[FaultRule]) -> SymplifyEmulator:
    return SymplifyEmulator(
        clock=clock,
        files=files,
        token=_TOKEN,
        customer_id=customer_id,
        build_s=_BUILD_S,
        rows=_ROWS,
        content={"CLICKS": ExportForm.NDJSON, "OPTOUTS": ExportForm.EMPTY},
        faults=faults,
    )


def _write_config(scratch: Path, accounts: Sequence[str]) -> Path:
    token = scratch / "token"
    token.touch(mode=0o600)
    token.write_text(f"{_TOKEN}\n")
    path = scratch / "tidewaiter.toml"
    path.write_text("".join([_CONFIG, *accounts]))
    return path


class Daemon:
    """The real daemon, in a process of its own that is gone when the demo is."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Daemon":
        # The configuration that was just written is the whole of it, whatever the environment would override.
        environ = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
        arguments = ("-m", "app.cli.main", "serve", "--config", str(self._config))
        with self.log.open("wb") as log:
            # In a session of its own: Ctrl-C is for the demo, which then stops the daemon in good order.
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
