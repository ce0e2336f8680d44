"""One export from a small server: what `tidewaiter run` does, against the address at which the server listens."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from tidewaiter.bootstrap import run_once
from tidewaiter.config import Config
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.domain.manifest import Artifact
from tidewaiter.log import configure

QUICK = {"first_delay_s": 0.0, "interval_s": 0.05, "factor": 1.0}


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """The origin of a server on a port of its own, until the block is left."""
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/")


@dataclass(frozen=True, slots=True)
class Landed:
    """How one export ended, and what its files hold, by their names."""

    job: Job
    artifacts: list[Artifact]
    files: dict[str, bytes]


async def run(
    out: Path, provider: str, settings: Mapping[str, Json], operation: str, params: Mapping[str, str], **account: Json
) -> Landed:
    """Make one export with a provider of the catalogue, its account as given, and read what has landed."""
    made = {"provider": provider, "allow_private": True, "settings": settings, "schedule": QUICK, **account}
    tables: dict[str, Json] = {key: {} for key in ("database", "storage", "worker", "retention", "log", "providers")}
    config = Config.model_validate({**tables, "accounts": {"own": made}})
    log = configure("json", "error", ())
    try:
        job, artifacts = await run_once(config, "own", operation, params, out=out, on_change=_unheard, log=log)
    finally:
        log.close()
    return Landed(job, artifacts, {one.name: (out / one.key).read_bytes() for one in artifacts})


def _unheard(_job: Job) -> None:
    """Nobody watches."""
