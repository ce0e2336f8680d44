"""One job of 10,000 files of 10 KB: wall time, processor time, and the counts that no load of the machine changes."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.processes import BenchError, Cores, cpu_of, memory_of, python, started, wait_until
from tests.bench.remote import list_server
from tests.bench.report import Finding, at_most

_FILES = 10_000
_BYTES = 10_000
_WALL_S = 30.0
_CPU_MS = 0.7
_PATIENCE_S = 600.0
_SPEC = """
name = "lister"
title = "Lister"
base_url = "${account.server}"
error = "error"

[account]
server = { type = "url", help = "the server" }

[operations.report]
title = "Report"

[operations.report.schedule]
first_delay_s = 0

[operations.report.submit]
url = "/jobs"
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ then = "ready" }]

[operations.report.results]
send_auth = false

[[operations.report.results.files]]
each = "files"
label = "name"
"""
_CONFIG = """
[database]
url = "sqlite:///{folder}/tidewaiter.db"
[storage]
root = "{folder}/exports"
[worker]
lookout_s = 0.2
[log]
format = "json"
[providers]
folders = ["{folder}/specs"]
[accounts.files]
provider = "lister"
allow_private = true
bounds = {{ most_files = {files} }}
settings = {{ server = "{server}" }}
"""


def measure(folder: Path, cores: Cores, say: Callable[[str], None]) -> list[Finding]:
    """Land all files once, in an empty storage."""
    config, log, counts = folder / "tidewaiter.toml", folder / "daemon.log", folder / "counts.json"
    (folder / "specs").mkdir()
    (folder / "specs" / "lister.toml").write_text(_SPEC)
    with list_server(folder, cores.others, _FILES, _BYTES) as server:
        config.write_text(_CONFIG.format(folder=folder, files=_FILES, server=server))
        say(f"{_FILES:,} files of {_BYTES:,} bytes in one job")
        command = python("tests.bench.counted", str(counts), "--config", str(config), "serve")
        with started(command, cores=cores.measured, output=log) as daemon:
            wait_until(lambda: _has(log, "daemon.started"), _PATIENCE_S, daemon, log)
            with started(_submit(config), cores=cores.others, output=folder / "submit.log") as submit:
                if submit.wait(60.0) != 0:
                    raise BenchError(f"The job was not submitted: {(folder / 'submit.log').read_text()}")
            begun_at, before = time.monotonic(), cpu_of(daemon.pid)
            wait_until(lambda: _has(log, "job.finished"), _PATIENCE_S, daemon, log)
            wall_s = time.monotonic() - begun_at
            cpu_s = (cpu_of(daemon.pid) - before).all_s
            _, highest_mb = memory_of(daemon.pid)
    found = json.loads(counts.read_text("utf-8"))
    cpu_ms = 1000 * cpu_s / _FILES
    say(f"  {wall_s:.0f} s, {cpu_ms:.2f} ms of processor time for each file, {found}")
    return [
        at_most(f"{_FILES:,} files of 10 KB in one job", f"{wall_s:.0f} s", f"{_WALL_S:g} s", wall_s / _WALL_S, 1),
        at_most("processor time for each file", f"{cpu_ms:.2f} ms", f"{_CPU_MS:g} ms", cpu_ms / _CPU_MS, 1),
        _each("hand-offs to a thread for each file", found["hand_offs"]),
        _each("syncs for each file", found["syncs"]),
        _each("listings of a folder for each file", found.get("listings", 0)),
        Finding("memory of it, at its highest", f"{highest_mb:.0f} MB", "", highest_mb),
    ]


def _submit(config: Path) -> list[str]:
    """The command that submits the job."""
    return python("tidewaiter.cli.main", "--config", str(config), "submit", "files", "report")


def _each(what: str, count: int) -> Finding:
    return Finding(what, f"{count / _FILES:.2f}", "", count / _FILES)


def _has(log: Path, event: str) -> bool:
    # The lines of files are many, and those that are waited for are the first and the last.
    if not log.exists():
        return False
    with log.open("rb") as file:
        head = file.read(65_536)
        file.seek(max(0, log.stat().st_size - 2_097_152))
        return f'"{event}"'.encode() in head or f'"{event}"'.encode() in file.read()
