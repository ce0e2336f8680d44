"""Sends the requests of a client and reads the replies; repeats what it may while the API cannot be reached."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from tidewaiter.client.errors import ApiError, UnavailableError, UnexpectedReplyError, error_of
from tidewaiter.clock import Clock

Shape = TypeVar("Shape", bound=BaseModel)
TEMPORARY: Final = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError, UnavailableError)
"""What may be over when the request is sent again."""
_CONNECT_S: Final = 10.0
_REPLY_S: Final = 30.0
_FIRST_DELAY_S: Final = 0.5
_LONGEST_DELAY_S: Final = 5.0


class Patience:
    """Waits after failures, longer each time, until the time for it is over.

    Args:
        patience_s: how long to go on after the first of several failures; 0 for not at all.
        clock: the time.
    """

    def __init__(self, patience_s: float, clock: Clock) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._ends_at: float | None = None
        self._delay_s = _FIRST_DELAY_S

    def renew(self) -> None:
        """Begin anew, because something has worked."""
        self._ends_at, self._delay_s = None, _FIRST_DELAY_S

    async def after(self, error: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            ApiError: the error itself, if the time is over.
            ConnectionError: the same, for an error without a reply.
        """
        now = self._clock.monotonic()
        self._ends_at = self._ends_at or now + self._patience_s
        asked_s = (error.retry_after_s or 0.0) if isinstance(error, ApiError) else 0.0
        delay_s = max(self._delay_s, asked_s)
        if now + delay_s > self._ends_at or isinstance(error, aiohttp.ClientSSLError):
            raise error if isinstance(error, ApiError) else ConnectionError(_words_of(error)) from error
        await self._clock.sleep(delay_s)
        self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)


class ApiSession:
    """The connections of one client.

    Args:
        url: of the daemon, such as ``http://127.0.0.1:8090``.
        token: for ``Authorization``; ``None`` for a daemon without tokens.
        patience_s: how long requests that may be repeated are repeated.
        ssl_context: the authorities to trust, if not those of the system.
        clock: the time.
    """

    def __init__(
        self, url: str, token: str | None, patience_s: float, ssl_context: ssl.SSLContext | None, clock: Clock
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._patience_s = patience_s
        self._ssl = ssl_context or True
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def patience(self, *, is_repeatable: bool = True) -> Patience:
        """For one request."""
        return Patience(self._patience_s if is_repeatable else 0.0, self._clock)

    async def call(
        self, method: str, path: str, *, is_repeatable: bool = True, wait_s: float = 0.0, **options: Any
    ) -> Any:
        """The JSON of a reply.

        Args:
            method: of the request.
            path: with its query, already encoded.
            is_repeatable: whether the request may be sent again after a failure that leaves open whether it arrived.
            wait_s: how long the API may take beyond the usual.
            options: ``json`` and ``headers``.

        Raises:
            ApiError: the API answered with a problem.
            ConnectionError: it cannot be reached.
        """
        patience, is_repeat = self.patience(is_repeatable=is_repeatable), False
        while True:
            try:
                async with self.replying(method, path, wait_s=wait_s, **options) as reply:
                    body = await reply.read()
            except TEMPORARY as error:
                await patience.after(error)
                is_repeat = True
                continue
            except ApiError as error:
                error.is_repeat = is_repeat
                raise
            try:
                return json.loads(body)
            except ValueError:
                raise UnexpectedReplyError(reply.status, "is no JSON") from None

    async def ask(self, shape: type[Shape], method: str, path: str, **options: Any) -> Shape:
        """The same as :meth:`call`, read as this shape.

        Raises:
            UnexpectedReplyError: the reply has another shape.
        """
        found = await self.call(method, path, **options)
        try:
            return shape.model_validate(found)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise UnexpectedReplyError(200, f"is no {shape.__name__}: {where}: {first['msg']}") from None

    @asynccontextmanager
    async def replying(
        self, method: str, path: str, *, wait_s: float = 0.0, headers: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A reply whose body has not been read, from one attempt.

        Raises:
            ApiError: the API answered with a problem.
            aiohttp.ClientError: the connection failed.
            TimeoutError: there was no reply in time.
        """
        if not path.startswith("/"):  # what a reply names must not turn the token to another host
            raise UnexpectedReplyError(200, f"names an address that is no path: {path[:100]!r}")
        if self._session is None:
            self._session = aiohttp.ClientSession()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_REPLY_S + wait_s)
        async with self._session.request(
            method,
            URL(f"{self._url}{path}", encoded=True),
            headers={**self._headers, **(headers or {})},
            timeout=timeout,
            ssl=self._ssl,
            allow_redirects=False,
            **options,
        ) as reply:
            if reply.status >= 300:
                raise error_of(reply.status, await reply.read(), reply.headers)
            yield reply


def _words_of(error: Exception) -> str:
    return f"Tidewaiter cannot be reached: {error or type(error).__name__}"
