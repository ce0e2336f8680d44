"""Each emulator of the catalogue works with the account that `tidewaiter emulate` prints for it."""

import dataclasses
import tomllib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tidewaiter.bootstrap import run_once
from tidewaiter.cli.emulate import account_table
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config
from tidewaiter.domain.job import Job, State
from tidewaiter.emulators.catalogue import CATALOGUE
from tidewaiter.log import configure


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
async def test_each_sample_request_succeeds(name: str, tmp_path: Path) -> None:
    """Real servers, a real run for each thing that the entry says can be asked for, and its file on the disk."""
    entry = CATALOGUE[name]
    quick = {"build_s": 0.2} if "build_s" in {field.name for field in dataclasses.fields(entry.options)} else {}
    served = entry.build(SystemClock(), 0, entry.options(**quick))
    log = configure("json", "error", ())
    async with AsyncExitStack() as stack:
        stack.callback(log.close)
        for server in served.servers.values():
            await stack.enter_async_context(server)
        tables = tomllib.loads(account_table("emulated", served.account()))
        others: dict[str, object] = {
            key: {} for key in ("database", "storage", "worker", "retention", "log", "providers")
        }
        config = Config.model_validate({**others, **tables})
        for wish in served.samples:
            job, artifacts = await run_once(
                config, "emulated", wish.operation, wish.params, out=tmp_path, on_change=_unheard, log=log
            )
            assert (job.state, job.reason) == (State.SUCCEEDED, None)
            assert all((tmp_path / artifact.key).stat().st_size == artifact.size for artifact in artifacts)
            assert artifacts


def _unheard(_job: Job) -> None:
    """Nobody watches."""
