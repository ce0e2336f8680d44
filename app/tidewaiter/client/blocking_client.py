"""The client for programs without asyncio: the same calls on an event loop in a thread of its own."""

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import wraps
from types import TracebackType
from typing import Concatenate, Final, ParamSpec, TypeVar

from tidewaiter.client.async_client import AsyncClient

P = ParamSpec("P")
T = TypeVar("T")
_END: Final = object()


def _blocking(
    method: Callable[Concatenate[AsyncClient, P], Awaitable[T]],
) -> Callable[Concatenate["Client", P], T]:
    """The method of :class:`Client` for one of :class:`AsyncClient` that returns a value."""

    @wraps(method)
    def call(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._run(method(client._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[AsyncClient, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate["Client", P], Generator[T, None, None]]:
    """The method of :class:`Client` for one of :class:`AsyncClient` that is a generator."""

    @wraps(method)
    def iterate(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        items = method(client._client, *args, **kwargs)
        try:
            while (item := client._run(anext(items, _END))) is not _END:
                yield item  # type: ignore[misc]  # it is not the end
        finally:
            if not client._loop.is_closed():
                client._run(items.aclose())

    return iterate


class Client:
    """Requests exports, waits for them and fetches their files. Use it as a ``with`` block, or close it.

    It may be used by several threads. For its methods and arguments see :class:`AsyncClient`.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience_s: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._client = AsyncClient(url, token, patience_s=patience_s, ssl_context=ssl_context)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tidewaiter-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        if not self._loop.is_closed():
            self._run(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    submit = _blocking(AsyncClient.submit)
    job = _blocking(AsyncClient.job)
    jobs = _iterating(AsyncClient.jobs)
    wait = _blocking(AsyncClient.wait)
    wait_all = _blocking(AsyncClient.wait_all)
    as_ended = _iterating(AsyncClient.as_ended)
    files = _blocking(AsyncClient.files)
    stream = _iterating(AsyncClient.stream)
    download = _blocking(AsyncClient.download)
    retry = _blocking(AsyncClient.retry)
    acknowledge = _blocking(AsyncClient.acknowledge)
    cancel = _blocking(AsyncClient.cancel)
    adopt = _blocking(AsyncClient.adopt)
    batch = _blocking(AsyncClient.batch)
    wait_batch = _blocking(AsyncClient.wait_batch)
    create_backfill = _blocking(AsyncClient.create_backfill)
    backfill = _blocking(AsyncClient.backfill)
    wait_backfill = _blocking(AsyncClient.wait_backfill)
    run_schedule = _blocking(AsyncClient.run_schedule)

    def _run(self, call: Awaitable[T]) -> T:
        future = asyncio.run_coroutine_threadsafe(_awaited(call), self._loop)
        try:
            return future.result()
        except BaseException:  # after Ctrl-C the call must not go on in its thread
            future.cancel()
            raise


async def _awaited(call: Awaitable[T]) -> T:
    return await call
