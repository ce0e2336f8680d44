"""The reference for landed jobs: a loop as a person writes it with aiohttp, without durability.

``python -m tests.bench.bare_landed ORIGIN JOBS INTERVAL_S FOLDER`` submits, polls at the interval, follows the redirect
and writes the file. It prints the seconds of processor time that the jobs took, without the start of the interpreter.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from aiohttp import ClientSession

from tests.bench.account import CONCURRENCY, CUSTOMER, TOKEN


async def _land_all(origin: str, jobs: int, interval_s: float, folder: Path) -> None:
    batches = f"{origin}/rest/{CUSTOMER}/batches"
    headers = {"X-Carma-Authentication-Token": TOKEN, "Accept": "application/json"}
    slots = asyncio.Semaphore(CONCURRENCY)
    async with ClientSession(headers=headers) as session, asyncio.TaskGroup() as group:
        for number in range(jobs):
            group.create_task(_land(session, slots, batches, interval_s, folder / f"{number}.json"))


async def _land(session: ClientSession, slots: asyncio.Semaphore, batches: str, interval_s: float, path: Path) -> None:
    asked = {"exportType": "OPENS", "period": "LAST_DAY"}
    async with slots, session.post(f"{batches}/exports/statistics", json=asked) as response:
        batch = f"{batches}/{json.loads(await response.read())['batchId']}"
    status = "PENDING"
    while status == "PENDING":
        await asyncio.sleep(interval_s)
        async with slots, session.get(batch) as response:
            status = json.loads(await response.read())["status"]
    async with slots, session.get(f"{batch}/result") as response:
        path.write_bytes(await response.read())  # noqa: ASYNC240  # as such a loop does it


if __name__ == "__main__":
    _begun = time.process_time()
    asyncio.run(_land_all(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
    print(f"{time.process_time() - _begun:.3f}")
