"""A daemon in a process of its own, which a test kills, and a job that a command submits to it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = (sys.executable, "-m", "tidewaiter.cli.main")


@contextmanager
def serving_process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``tidewaiter serve`` with the configuration in a folder; killed when the block is left, if it still runs."""
    command = [*_PROGRAM, "serve"]
    with subprocess.Popen(command, cwd=folder, env=_environment(), stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def submitted_by_command(folder: Path, **params: str) -> None:
    """``tidewaiter submit shop report`` with these parameters."""
    given = [word for name, value in params.items() for word in ("-p", f"{name}={value}")]
    command = (*_PROGRAM, "submit", "shop", "report", *given)
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=_environment(), stdout=subprocess.DEVNULL)
    assert await process.wait() == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
