"""``python -m tests.bench.counted FILE ARGUMENT...``: the command line, which counts what no load changes.

At its end FILE has, as JSON: calls handed to the storage's threads, syncs of files and folders, listings of folders.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from tidewaiter.cli.main import main
from tidewaiter.storage.base import StorageThreads

T = TypeVar("T")

_counts: Counter[str] = Counter()


def _count(owner: object, name: str, counted: str) -> None:
    call = getattr(owner, name)

    def counting(*given: Any, **named: Any) -> Any:
        _counts[counted] += 1
        return call(*given, **named)

    setattr(owner, name, counting)


class _Counting:
    @staticmethod
    def handed_over(threads: StorageThreads, work: Callable[[], T], /) -> Awaitable[T]:
        _counts["hand_offs"] += 1
        return _hand_over(threads, work)


_hand_over = StorageThreads.__call__


if __name__ == "__main__":
    _count(os, "fsync", "syncs")
    _count(os, "listdir", "listings")
    StorageThreads.__call__ = _Counting.handed_over  # type: ignore[method-assign]  # a count, and the method itself
    try:
        code = main(sys.argv[2:])
    finally:
        Path(sys.argv[1]).write_text(json.dumps(_counts), "utf-8")
    sys.exit(code)
