"""A stub API with a limit of requests in a sliding period, which records when each request arrives.

``python -m tests.bench.limited FD REQUESTS PERIOD_S`` serves on a listening socket that it inherits. A request beyond
the limit is refused with 429; whatever else is asked is answered at once. ``GET /record`` tells when requests came.
"""

import asyncio
import socket
import sys
import time

from aiohttp import web


class _Limited:
    def __init__(self, requests: int, period_s: float) -> None:
        self._requests = requests
        self._period_s = period_s
        self._asked_at: list[float] = []
        self._refused = 0

    async def answer(self, _request: web.Request) -> web.Response:
        now = time.monotonic()
        self._asked_at.append(now)
        counted = sum(1 for at in self._asked_at[-self._requests - 1 :] if now - at < self._period_s)
        if counted > self._requests:
            self._refused += 1
            return web.json_response({"error": "rate limit exceeded"}, status=429)
        return web.json_response({"total_visitors": "41478"})

    async def record(self, _request: web.Request) -> web.Response:
        return web.json_response({"asked_at": self._asked_at, "refused": self._refused, "now": time.monotonic()})


async def _serve(listener: socket.socket, limited: _Limited) -> None:
    app = web.Application()
    app.router.add_get("/record", limited.record)
    app.router.add_post("/{path:.*}", limited.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1])), _Limited(int(sys.argv[2]), float(sys.argv[3]))))
