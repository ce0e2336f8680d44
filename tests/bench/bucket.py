"""The requests that a bucket gets for what lands in it: counted by a real S3 server (moto), whatever its speed."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

from tests.bench.report import Finding
from tests.support.s3 import running_s3
from tidewaiter.storage.base import Storage
from tidewaiter.storage.open_storage import open_storage

_FILES: Final = 20
_SMALL: Final = 10_000
_LARGE: Final = 40 * 2**20
_PIECE: Final = 2**20
_REQUEST: Final = re.compile(rb'"(?:\x1b\[[0-9;]*m)*(GET|HEAD|PUT|POST|DELETE) ')


def measure(folder: Path, say: Callable[[str], None]) -> list[Finding]:
    """Land small files, manifests and a large file, and count the requests.

    Args:
        folder: for the server's log.
        say: told of each count.
    """
    log = folder / "moto.log"
    with running_s3(log) as server:
        bucket = server.bucket()
        with open_storage(None, f"s3://{bucket.name}", server.options) as storage:

            def requests_of(work: Callable[[Storage], Coroutine[None, None, None]]) -> Counter[str]:
                before = _counted(log)
                asyncio.run(work(storage))
                return _counted(log) - before

            counts = {
                f"a file of {_SMALL // 1000} KB": (requests_of(_land_small), _FILES),
                "a manifest": (requests_of(_put_manifests), _FILES),
                f"a file of {_LARGE >> 20} MiB": (requests_of(_land_large), 1),
            }
    findings = []
    for what, (requests, number) in counts.items():
        each = sum(requests.values()) / number
        words = ", ".join(f"{name} {count / number:g}" for name, count in sorted(requests.items()))
        say(f"  {what}: {words}")
        findings.append(Finding(f"requests to S3 for {what}", words, f"{number} landed", each))
    return findings


def _counted(log: Path) -> Counter[str]:
    return Counter(found.decode() for found in _REQUEST.findall(log.read_bytes()))


async def _land_small(storage: Storage) -> None:
    for number in range(_FILES):
        landing = await storage.open(f"a/small-{number}", number, 0)
        await landing.write(bytes(_SMALL))
        await landing.finish()


async def _put_manifests(storage: Storage) -> None:
    for number in range(_FILES):
        await storage.put(f"a/manifest-{number}", b"{}")


async def _land_large(storage: Storage) -> None:
    landing = await storage.open("a/large", 1, 0)
    for _ in range(_LARGE // _PIECE):
        await landing.write(bytes(_PIECE))
    await landing.finish()
