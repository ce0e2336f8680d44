"""Downloads one gibibyte through a redirect, with its checksum, and compares the time with curl's.

Same raw file server, same disk, in turns. The daemon's clock runs from the request that is answered with the redirect
to the line that says that the job is finished: by then the file is hashed, synced, renamed, its manifest written, and
the job committed. curl's clock runs from start to exit, and curl does none of these; beside it stands what it takes to
do them by hand, a sync and then a SHA-256. A third one is a loop over aiohttp that hashes while it writes, then syncs
and renames: what a program without the daemon's promises would do.

A loopback without a pace is faster than SHA-256, so a second server sends at the pace of a network of 10 Gbit/s.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from tests.bench.daemon_under_test import DaemonUnderTest
from tests.bench.processes import BenchError, Cores, memory_of, python, started, wait_until
from tests.bench.remote import Stub, file_server, stub
from tests.bench.report import Finding, at_most
from tests.bench.seeding import seed

_BLOCK = 2**26
_BLOCKS = 16
_ROUNDS = 3
_RATIO = 1.2
_LOOP_RATIO = 1.1
_MEMORY_MB = 120.0
_PATIENCE_S = 120.0
_PACE = 1.25e9


_Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Round:
    """Seconds until curl had the file, until it was also durable and hashed, and until the daemon's job was finished.

    ``loop_s`` is how long the loop over aiohttp took, and ``highest_mb`` the daemon's highest resident memory.
    """

    curl_s: float
    by_hand_s: float
    loop_s: float
    daemon_s: float
    highest_mb: float


def measure(folder: Path, cores: Cores, say: _Say) -> list[Finding]:
    """Time of the daemon against curl's, and the daemon's memory."""
    block = folder / "block"
    block.write_bytes(os.urandom(_BLOCK))
    free = _rounds(folder / "free", cores, block, None, say)
    paced = _rounds(folder / "paced", cores, block, _PACE, say)
    highest_mb = max(one.highest_mb for one in free + paced)
    return [
        at_most(*_beside("1 GiB through a redirect, landed", free, "curl", lambda one: one.curl_s), _RATIO),
        Finding(*_beside("the same", free, "curl, sync, SHA-256", lambda one: one.by_hand_s)),
        at_most(
            *_beside("the same", free, "loop over aiohttp, hashed and synced", lambda one: one.loop_s), _LOOP_RATIO
        ),
        Finding(*_beside("the same at 10 Gbit/s", paced, "curl", lambda one: one.curl_s)),
        at_most("memory of it", f"{highest_mb:.0f} MB", f"{_MEMORY_MB:g} MB", highest_mb / _MEMORY_MB, 1),
    ]


def _beside(
    what: str, rounds: Sequence[_Round], name: str, seconds: Callable[[_Round], float]
) -> tuple[str, str, str, float]:
    daemon_s, other_s = median(one.daemon_s for one in rounds), median(map(seconds, rounds))
    ratio = median(one.daemon_s / seconds(one) for one in rounds)
    return what, f"{daemon_s:.2f} s", f"{other_s:.2f} s {name}", ratio


def _rounds(folder: Path, cores: Cores, block: Path, pace: float | None, say: _Say) -> list[_Round]:
    """Curl and the daemon in turns, from a server that keeps this pace in bytes each second."""
    folder.mkdir()
    say(f"{_BLOCK * _BLOCKS / 2**30:g} GiB, {'as fast as it goes' if pace is None else f'{pace / 1e9:g} GB/s'}")
    digest = _digest_of([block] * _BLOCKS)
    rounds: list[_Round] = []
    with (
        file_server(folder, cores.every, block, _BLOCKS, pace) as url,
        stub(folder, cores.every, url) as remote,
    ):
        _curl(url, folder, digest, cores)  # nobody has to be the first
        for number in range(_ROUNDS):
            curl_s, by_hand_s = _curl(url, folder, digest, cores)
            loop_s = _loop(url, folder, digest, cores)
            daemon_s, highest_mb = _land(folder / f"download-{number}", remote, digest, cores)
            say(f"  curl {curl_s:.2f} s, with sync and SHA-256 {by_hand_s:.2f} s, loop {loop_s:.2f} s")
            say(f"  daemon {daemon_s:.2f} s")
            rounds.append(_Round(curl_s, by_hand_s, loop_s, daemon_s, highest_mb))
    return rounds


def _digest_of(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
    return digest.hexdigest()


def _curl(url: str, folder: Path, digest: str, cores: Cores) -> tuple[float, float]:
    """Seconds that curl needs, and seconds until what it wrote is also durable and hashed."""
    target, output = folder / "curl.out", folder / "curl.log"
    os.sync()
    started_at = time.monotonic()
    with started(
        ["curl", "--silent", "--show-error", "-o", str(target), url], cores=cores.every, output=output
    ) as curl:
        code = curl.wait()
    curl_s = time.monotonic() - started_at
    if code != 0:
        raise BenchError(f"curl ended with code {code}: {output.read_text()}")
    with target.open("rb") as file:
        os.fsync(file.fileno())
    if _digest_of([target]) != digest:
        raise BenchError("curl has another file than the server.")
    by_hand_s = time.monotonic() - started_at
    target.unlink()
    return curl_s, by_hand_s


def _loop(url: str, folder: Path, digest: str, cores: Cores) -> float:
    """Seconds that the loop over aiohttp needs, from its start to its exit."""
    target, output = folder / "loop.out", folder / "loop.log"
    output.unlink(missing_ok=True)
    os.sync()
    started_at = time.monotonic()
    with started(python("tests.bench.bare_download", url, str(target)), cores=cores.every, output=output) as loop:
        code = loop.wait()
    loop_s = time.monotonic() - started_at
    if code != 0 or output.read_text().strip() != digest:
        raise BenchError(f"The loop ended with code {code}: {output.read_text()}")
    target.unlink()
    return loop_s


def _land(folder: Path, remote: Stub, digest: str, cores: Cores) -> tuple[float, float]:
    """Seconds from the redirect to the finished job, and the daemon's highest memory in MB; checks what has landed."""
    database = f"sqlite:///{folder}.db"
    seed(database, 1, due=1)
    daemon = DaemonUnderTest.configure(folder, database, remote.origin)
    os.sync()
    with daemon.serve(cores.every) as process:
        wait_until(lambda: any(daemon.events("job.finished")), _PATIENCE_S, process, daemon.log)
        finished_at = time.monotonic()
        _, highest_mb = memory_of(process.pid)
    redirect_at = remote.counters().redirect_at
    landed = [event["sha256"] for event in daemon.events("file.landed")]
    if redirect_at is None or landed != [digest]:
        raise BenchError(f"The daemon landed {landed} and not {digest}.")
    shutil.rmtree(daemon.exports)
    return finished_at - redirect_at, highest_mb
