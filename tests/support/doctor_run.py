"""Runs the doctor and returns its findings."""

import asyncio
import io
from collections.abc import Collection, Mapping
from pathlib import Path

from tidewaiter.bootstrap import run_checks
from tidewaiter.config import load
from tidewaiter.doctor.findings import Finding
from tidewaiter.log import configure


async def consulted(
    folder: Path,
    text: str,
    *,
    environ: Mapping[str, str] | None = None,
    accounts: Collection[str] = (),
    offline: bool = False,
    tests_keys: bool = False,
) -> dict[tuple[str, str], Finding]:
    """What the doctor finds, by subject and check."""
    path = folder / "tidewaiter.toml"
    await asyncio.to_thread(path.write_text, text)
    config = load(path, environ or {})
    log = configure("json", "error", config.secrets, stream=io.StringIO())
    found: list[Finding] = []
    await run_checks(config, log, found.extend, accounts=accounts, offline=offline, tests_keys=tests_keys)
    log.close()
    return {(one.subject, one.check): one for one in found}
