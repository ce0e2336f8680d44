"""A gibibyte through a redirect, landed with its checksum, beside what curl needs for the bare download.

Same raw file server, same disk, in turns. The clock runs from the request that is answered with the redirect to the
line that says that the job is finished: by then the file is hashed, synced, renamed, its manifest written, and the job
committed. curl's clock runs from start to exit, and curl does none of these; what it needs with a sync is told beside.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.processes import BenchError, Cores, memory_of, started, wait_until
from tests.bench.remote import Stub, file_server, stub
from tests.bench.report import Finding, at_most
from tests.bench.seeding import seed

_BLOCK = 2**26
_BLOCKS = 16
_ROUNDS = 3
_RATIO = 1.2
_MEMORY_MB = 120.0
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class _Landing:
    """One landed file: seconds to the finished job, and the daemon's highest resident memory in MB."""

    took_s: float
    highest_mb: float


def measure(folder: Path, cores: Cores, say: Callable[[str], None]) -> list[Finding]:
    """Time of the daemon against curl's, and the daemon's memory."""
    block = folder / "block"
    block.write_bytes(os.urandom(_BLOCK))
    digest = _digest_of(block)
    landings: list[_Landing] = []
    bare: list[tuple[float, float]] = []
    say(f"{_BLOCK * _BLOCKS / 2**30:g} GiB, {_ROUNDS} times by curl and by the daemon")
    with file_server(folder, cores.every, block, _BLOCKS) as url, stub(folder, cores.every, url) as remote:
        _curl(url, folder, cores)  # nobody has to be the first
        for number in range(_ROUNDS):
            bare.append(_curl(url, folder, cores))
            say(f"  curl    {bare[-1][0]:5.2f} s, {bare[-1][1]:5.2f} s with a sync")
            landings.append(_land(folder / f"download-{number}", remote, digest, cores))
            say(f"  daemon  {landings[-1].took_s:5.2f} s, {landings[-1].highest_mb:.0f} MB at its highest")
    return _findings(landings, [plain for plain, _ in bare], [synced for _, synced in bare])


def _digest_of(block: Path) -> str:
    content, digest = block.read_bytes(), hashlib.sha256()
    for _ in range(_BLOCKS):
        digest.update(content)
    return digest.hexdigest()


def _curl(url: str, folder: Path, cores: Cores) -> tuple[float, float]:
    """Seconds that curl needs, and seconds until what it wrote is durable too."""
    target, output = folder / "curl.out", folder / "curl.log"
    os.sync()
    started_at = time.monotonic()
    with started(
        ["curl", "--silent", "--show-error", "-o", str(target), url], cores=cores.every, output=output
    ) as curl:
        code = curl.wait()
    took_s = time.monotonic() - started_at
    if code != 0 or target.stat().st_size != _BLOCK * _BLOCKS:
        raise BenchError(f"curl ended with code {code}: {output.read_text()}")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    synced_s = time.monotonic() - started_at
    target.unlink()
    return took_s, synced_s


def _land(folder: Path, remote: Stub, digest: str, cores: Cores) -> _Landing:
    """Let a daemon land the file of a job that is due, and check what it has landed."""
    database = f"sqlite:///{folder}.db"
    seed(database, 1, due=1)
    daemon = DaemonUnderTest.configure(folder, database, remote.origin)
    os.sync()
    with daemon.serve(cores.every) as process:
        wait_until(lambda: any(daemon.events("job.finished")), _PATIENCE_S, process, daemon.log)
        finished_at = time.monotonic()
        _, highest_mb = memory_of(process.pid)
    redirect_at = remote.counters().redirect_at
    (landed,) = daemon.events("file.landed")
    if redirect_at is None or landed["sha256"] != digest:
        raise BenchError(f"The daemon landed {landed} and not {digest}.")
    shutil.rmtree(daemon.exports)
    return _Landing(finished_at - redirect_at, highest_mb)


def _findings(landings: list[_Landing], bare_s: list[float], synced_s: list[float]) -> list[Finding]:
    took_s, highest_mb = median(one.took_s for one in landings), max(one.highest_mb for one in landings)
    curl_s, durable_s = median(bare_s), median(synced_s)
    return [
        at_most("1 GiB through a redirect, landed", f"{took_s:.2f} s", f"{curl_s:.2f} s curl", took_s / curl_s, _RATIO),
        Finding("the same, curl with a sync", f"{took_s:.2f} s", f"{durable_s:.2f} s curl", took_s / durable_s),
        at_most("memory of it", f"{highest_mb:.0f} MB", f"{_MEMORY_MB:g} MB", highest_mb / _MEMORY_MB, 1),
    ]
