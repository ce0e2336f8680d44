"""The reference: an aiohttp client that polls from memory, with the daemon's client settings and nothing else.

``python -m tests.bench.bare ORIGIN JOBS`` polls until it is ended. Each of the tasks takes the next job, asks, reads
the body, parses it, looks at the status word, and puts the job back at the end of the line. There is no database, no
budget, no retry, no redirect, no log: what the daemon does beyond this is the price of what it promises.
"""

import asyncio
import json
import ssl
import sys
from collections import deque

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from tests.bench.account import CONCURRENCY, CUSTOMER, FIRST_BATCH, TOKEN
from tidewaiter.transport.wire import Timeouts


async def _poll_all(origin: str, jobs: int) -> None:
    """Poll for ever, as tidewaiter.transport.aiohttp_wire would send it."""
    waiting = deque(range(FIRST_BATCH, FIRST_BATCH + jobs))
    same = Timeouts()
    limits = ClientTimeout(
        total=same.overall_s, connect=same.connect_s, sock_connect=same.connect_s, sock_read=same.read_s
    )
    connector = TCPConnector(
        ssl=ssl.create_default_context(), resolver=ThreadedResolver(), limit=0, keepalive_timeout=30.0
    )
    headers = {"User-Agent": "tidewaiter/bare", "Accept-Encoding": "gzip, deflate"}
    async with ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        headers=headers,
        max_line_size=8190,
        max_field_size=16_384,
        max_headers=100,
        read_bufsize=2**18,
        trust_env=False,
    ) as session, asyncio.TaskGroup() as group:  # fmt: skip
        for _ in range(CONCURRENCY):
            group.create_task(_poll_in_turn(session, limits, f"{origin}/rest/{CUSTOMER}/batches/", waiting))


async def _poll_in_turn(session: ClientSession, limits: ClientTimeout, batches: str, waiting: deque[int]) -> None:
    while True:
        job = waiting.popleft()
        async with session.request(
            "GET",
            URL(f"{batches}{job}", encoded=True),
            headers={"Accept": "application/json", "X-Carma-Authentication-Token": TOKEN},
            allow_redirects=False,
            timeout=limits,
        ) as response:
            reply = json.loads(await response.read())
        if reply["status"].strip() != "PENDING":
            raise AssertionError(reply)
        waiting.append(job)


if __name__ == "__main__":
    asyncio.run(_poll_all(sys.argv[1], int(sys.argv[2])))
