"""kill -9 during a delivery: each committed notification is sent; a repeated one has the same id."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from aiohttp import web
from sqlalchemy import text

from tests.chaos.daemon_processes import chaos_run, drain, kill
from tests.support.webhook_receiver import SECRET, receiver
from tidewaiter.clock import SystemClock
from tidewaiter.database.engine import Database
from tidewaiter.database.notification_store import NotificationStore
from tidewaiter.domain.notification import DeliveryStatus


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_killed_between_the_delivery_and_its_note(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The receiver has it, the daemon is killed before it hears so: told twice, with one id and one body."""
    url: str = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
    async with receiver() as made, chaos_run(tmp_path, url, build_s=0.2) as run:
        accounts = run.write_config(accounts=1, lease_s=2)
        table = f'\n[notifications.ops]\nurl = "{made.url}"\nsecret = "{SECRET}"\n'
        run.config.write_text(run.config.read_text() + table)
        dead = asyncio.Event()

        async def answer_the_dead(_: web.Request) -> web.StreamResponse:
            await dead.wait()
            return web.Response()

        made.answer = answer_the_dead
        numbers = await run.submit(accounts, 1, Random(1))
        daemon = await run.start()
        await made.until(1, within_s=40)
        await kill(daemon)
        dead.set()
        database = Database.open(url, SystemClock())
        (claimed,) = await NotificationStore(database).find()
        assert (claimed.job_id, claimed.status, claimed.attempts) == (numbers[0], DeliveryStatus.WAITING, 1)
        # The claim's minute is over.
        async with database.writing() as connection:
            await connection.execute(text("UPDATE notifications SET due_at = 1"))
        daemon = await run.start()
        first, second = await made.until(2, within_s=40)
        async with asyncio.timeout(20):
            while True:
                (notification,) = await NotificationStore(database).find()
                if notification.status is DeliveryStatus.DELIVERED:
                    break
                await asyncio.sleep(0.05)
        assert await drain(daemon) == 0
        await database.close()
        assert first.message_id == second.message_id == claimed.message_id
        assert first.body == second.body
        assert first.body["type"] == "job.succeeded"
        assert await run.reckon(numbers) == []
