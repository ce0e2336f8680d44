"""One export without a daemon: what is left in the folder when it ends early."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.one_export import listening, run
from tidewaiter.bootstrap.single_run import config_of_run
from tidewaiter.config import Config
from tidewaiter.domain.http_values import Json


async def test_a_run_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the download: no hidden folder and no unfinished file stay."""
    begun, ended, out = asyncio.Event(), asyncio.Event(), tmp_path / "out"

    async def submitted(_request: web.Request) -> web.Response:
        return web.json_response({"batchId": "7"})

    async def finished(_request: web.Request) -> web.Response:
        return web.json_response({"id": 7, "status": "FINISHED", "processed": 1, "total": 1})

    async def half_a_file(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/csv", "Content-Length": "1000"})
        await reply.prepare(request)
        await reply.write(b"a" * 500)
        begun.set()
        await ended.wait()
        return reply

    app = web.Application()
    app.router.add_post("/rest/1/batches/exports/statistics", submitted)
    app.router.add_get("/rest/1/batches/7", finished)
    app.router.add_get("/rest/1/batches/7/result", half_a_file)
    async with listening(app) as origin:
        settings = {"customer_id": "1", "token": "t", "server": origin, "result": "redirect"}
        running = asyncio.create_task(run(out, "symplify", settings, "statistics", {"export_type": "OPENED"}))
        await asyncio.wait({running, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
        during = list(out.glob(".tidewaiter-run-*"))
        running.cancel()
        ended.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert during
    assert list(out.iterdir()) == []


def test_a_run_has_one_account_and_no_schedule(tmp_path: Path) -> None:
    """A tick would make a job that nobody asked for; an unknown account leaves all names for the refusal."""
    made = {"provider": "symplify"}
    tables: dict[str, Json] = {key: {} for key in ("database", "storage", "worker", "retention", "log", "providers")}
    schedule = {"account": "other", "operation": "statistics", "cron": "* * * * *"}
    config = Config.model_validate(
        {**tables, "accounts": {"own": made, "other": made}, "schedules": {"nightly": schedule}}
    )
    alone = config_of_run(config, "own", "sqlite:///run.db", tmp_path)
    assert list(alone.accounts) == ["own"]
    assert alone.schedules == {}
    assert list(config_of_run(config, "owm", "sqlite:///run.db", tmp_path).accounts) == ["own", "other"]
