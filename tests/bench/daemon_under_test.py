"""A daemon as an operator runs it: a configuration file, `serve`, a log file."""

import json
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.account import ACCOUNT, CONCURRENCY, CUSTOMER, TOKEN
from tests.bench.processes import python, started

DOWNLOADS = 4
"""Of a daemon whose configuration does not say how many files it downloads at once."""

_CONFIG = """
[database]
url = "{database}"
[storage]
root = "{exports}"
[worker]
polls = {concurrency}
downloads = {downloads}
heartbeat_s = 10
[log]
format = "json"
"""
_ACCOUNT = """[accounts.{account}]
provider = "symplify"
allow_private = true
[accounts.{account}.settings]
server = "{origin}"
customer_id = "{customer}"
token = "{token}"
result = "redirect"
[accounts.{account}.limits]
concurrency = {concurrency}
[accounts.{account}.schedule]
interval_s = {interval_s}
factor = 1
cap_s = 3600
"""


@dataclass(frozen=True, slots=True)
class DaemonUnderTest:
    """A configured daemon: where its files are. Each start appends to the same log."""

    folder: Path

    @classmethod
    def configure(
        cls,
        folder: Path,
        database: str,
        origin: str,
        more: str = "",
        *,
        interval_s: float = 3600.0,
        downloads: int = DOWNLOADS,
        accounts: Sequence[str] = (ACCOUNT,),
    ) -> "DaemonUnderTest":
        """Write the configuration of a daemon with Symplify accounts, and ``more``, into a new ``folder``."""
        folder.mkdir()
        values = {
            "database": database,
            "exports": folder / "exports",
            "origin": origin,
            "customer": CUSTOMER,
            "token": TOKEN,
            "concurrency": CONCURRENCY,
            "downloads": downloads,
            "interval_s": interval_s,
        }
        text = _CONFIG.format(**values) + "".join(_ACCOUNT.format(account=one, **values) for one in accounts)
        (folder / "tidewaiter.toml").write_text(text + more)
        return cls(folder)

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.folder / "daemon.log"

    @property
    def exports(self) -> Path:
        """Where its files land."""
        return self.folder / "exports"

    def serve(
        self, cores: Collection[int], module: str = "tidewaiter.cli.main", *arguments: str
    ) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run it on these cores while the block lasts, as the command of this module with these first arguments."""
        command = python(module, *arguments, "--config", str(self.folder / "tidewaiter.toml"), "serve")
        return started(command, cores=cores, output=self.log)

    def events(self, name: str) -> Iterator[dict[str, object]]:
        """The log lines of that event so far."""
        if not self.log.exists():
            return
        for line in self.log.read_text().splitlines():
            if f'"{name}"' in line and line.endswith("}"):
                event = json.loads(line)
                if event["event"] == name:
                    yield event
