"""The client for asyncio."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from math import ceil
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from tidewaiter.client.api_session import TEMPORARY, ApiSession
from tidewaiter.client.errors import (
    ChecksumError,
    ConflictError,
    JobNotSucceededError,
    NotFoundError,
    UnexpectedReplyError,
)
from tidewaiter.client.group_calls import LEAST_ROUND_S, LONGEST_WAIT_S, GroupCalls
from tidewaiter.clock import Clock, SystemClock
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.web.api.body_schemas import ArtifactShape, ArtifactsShape, JobPage, JobShape

ENDED: Final = TERMINAL | {State.PARKED}
"""The states in which a wait ends: final ones, and that of a job that waits for a person."""
_MOST_IDS: Final = 100
_SHARED_WAIT_S: Final = 5.0
_PIECE: Final = 1_048_576


class AsyncClient(GroupCalls):
    """Requests exports, waits for them and fetches their files. Use it as an ``async with`` block, or close it.

    Every method raises :class:`ApiError` for a problem, and ``ConnectionError`` if the API cannot be reached. A request
    that changes nothing twice is repeated until it succeeds or the patience is over: everything that reads, a submit
    with a unique key, *retry* and *acknowledge*.

    Args:
        url: of the daemon, such as ``http://127.0.0.1:8090``.
        token: a token of the daemon; ``None`` for a daemon on loopback without tokens.
        patience_s: how long to repeat while the API cannot be reached.
        ssl_context: for a daemon with a certificate of a private authority.
        clock: the time, for tests.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience_s: float = 60.0,
        ssl_context: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        super().__init__(ApiSession(url, token, patience_s, ssl_context, clock), clock)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def submit(
        self,
        account: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        unique_key: str | None = None,
        batch: str | None = None,
        labels: Mapping[str, str] | None = None,
        traceparent: str | None = None,
    ) -> JobShape:
        """Request an export.

        Args:
            account: one that is configured.
            operation: one of its provider.
            params: of the operation.
            unique_key: identifies this request within the account, with up to 255 visible ASCII characters. The same
                request with the same key returns the first job; another request with it is refused. Only with a key is
                the request repeated after a broken connection.
            batch: the name of the batch that it joins; the batch is made with its first job.
            labels: names and values of your own, by which jobs are found.
            traceparent: the trace that the job belongs to (W3C Trace Context).
        """
        headers = {} if unique_key is None else {"Idempotency-Key": f'"{unique_key}"'}
        if traceparent is not None:
            headers["traceparent"] = traceparent
        body: dict[str, object] = {"account": account, "operation": operation, "params": dict(params or {})}
        body |= {} if batch is None else {"batch": batch}
        body |= {} if labels is None else {"labels": dict(labels)}
        is_repeatable = unique_key is not None
        return await self._api.ask(
            JobShape, "POST", "/v1/jobs", json=body, headers=headers, is_repeatable=is_repeatable
        )

    async def job(self, number: int) -> JobShape:
        """A job as it is now."""
        return await self._api.ask(JobShape, "GET", f"/v1/jobs/{number}")

    async def jobs(self, /, **filters: str | int | datetime | Iterable[str | int]) -> AsyncGenerator[JobShape, None]:
        """All jobs that match, the newest first, page by page.

        Args:
            filters: the query parameters of ``GET /v1/jobs``: ``account="newsletter"``,
                ``state=["failed", "expired"]``, ``created_after=`` with a datetime and its zone, ``unhandled=True``.
        """
        address: str | None = f"/v1/jobs?{_query(filters)}"
        read: set[str] = set()
        while address is not None:
            page = await self._api.ask(JobPage, "GET", address)
            for job in page.jobs:
                yield job
            read.add(address)
            address = page.next
            if address in read:
                raise UnexpectedReplyError(200, f"names a page that was read before: {address[:100]!r}")

    async def wait(self, number: int, timeout_s: float | None = None) -> JobShape:
        """A job, once it has ended or waits for a person: its state is in :data:`ENDED`.

        Args:
            number: of the job.
            timeout_s: how long to wait; ``None`` for as long as it takes.

        Raises:
            TimeoutError: the job has not ended in this time.
            NotFoundError: there is no such job.
        """
        (job,) = await self.wait_all([number], timeout_s)
        return job

    async def wait_all(self, numbers: Iterable[int], timeout_s: float | None = None) -> list[JobShape]:
        """The same for many jobs, in the order of their numbers as given; one request waits for a hundred."""
        asked = list(numbers)
        ended = {job.id: job async for job in self._ends(asked, "all", timeout_s)}
        return [ended[number] for number in asked]

    async def as_ended(self, numbers: Iterable[int], timeout_s: float | None = None) -> AsyncGenerator[JobShape, None]:
        """Each of these jobs as it ends, as :meth:`wait` does for one."""
        async for job in self._ends(numbers, "any", timeout_s):
            yield job

    async def files(self, number: int) -> list[ArtifactShape]:
        """The files that a job has landed."""
        page = await self._api.ask(ArtifactsShape, "GET", f"/v1/jobs/{number}/artifacts")
        found = list(page.artifacts)
        while page.next is not None:
            page = await self._api.ask(ArtifactsShape, "GET", page.next)
            found += page.artifacts
        return found

    async def stream(self, file: ArtifactShape) -> AsyncGenerator[bytes, None]:
        """The content of a file, piece by piece. A broken connection is resumed where it broke.

        Raises:
            ChecksumError: at the end, if the content is not the file that landed.
        """
        digest, offset, patience = hashlib.sha256(), 0, self._api.patience()
        while True:
            headers = {"Accept-Encoding": "identity"}
            if offset:
                headers |= {"Range": f"bytes={offset}-", "If-Range": f'"{file.sha256}"'}
            try:
                async with self._api.replying("GET", file.location, headers=headers) as reply:
                    if offset and reply.status != 206:
                        raise ChecksumError(f"{file.name} cannot be resumed: it has changed")
                    async for piece in reply.content.iter_chunked(_PIECE):
                        digest.update(piece)
                        offset += len(piece)
                        if offset > file.size:  # a body without an end must not fill the disk
                            raise ChecksumError(f"{file.name} has more than the {file.size} bytes that landed")
                        patience.renew()
                        yield piece
                break
            except TEMPORARY as error:
                await patience.after(error)
        if (offset, digest.hexdigest()) != (file.size, file.sha256):
            raise ChecksumError(f"{file.name} has {offset} bytes that are not the {file.size} bytes that landed")

    async def download(self, file: ArtifactShape, path: str | PathLike[str]) -> Path:
        """Write a file to a path, which exists only when the file is whole and its checksum is right.

        Args:
            file: one of :meth:`files`.
            path: of the new file, or a folder that exists.

        Returns:
            The path of the file.

        Raises:
            ChecksumError: the content is not the file that landed.
        """
        target = Path(path)
        if await asyncio.to_thread(target.is_dir):
            target /= Path(file.name).name
        partial = target.with_name(f".{uuid4().hex}.part")
        try:
            with await asyncio.to_thread(partial.open, "wb") as output:
                async for piece in self.stream(file):
                    await asyncio.to_thread(output.write, piece)
            await asyncio.to_thread(partial.replace, target)
        except BaseException:  # a caller that is cancelled leaves no part behind either
            partial.unlink(missing_ok=True)
            raise
        return target

    async def adopt(self, number: int, handle: str, *, kept: Mapping[str, str] | None = None) -> JobShape:
        """Let a parked job follow the remote job with this handle, which a person has found. It is sent once.

        ``kept`` are values that the lost reply would have had, if the provider's spec keeps any.
        """
        path, body = f"/v1/jobs/{number}/adopt", {"handle": handle, **({"kept": dict(kept)} if kept else {})}
        return await self._api.ask(JobShape, "POST", path, json=body, is_repeatable=False)

    async def retry(self, number: int) -> JobShape:
        """Submit a job again: the parked job itself, or the new job that repeats an ended one."""
        try:
            return await self._decide(number, "retry")
        except ConflictError as error:
            if not error.is_repeat:
                raise
            # A parked job becomes itself again. If the reply was lost, the job is under way now: that is no conflict.
            job = await self.job(number)
            if job.state in ENDED:
                raise
            return job

    async def acknowledge(self, number: int) -> JobShape:
        """Say that somebody knows of a failure."""
        return await self._decide(number, "acknowledge")

    async def cancel(self, number: int) -> JobShape:
        """Ask for a job to be stopped; :meth:`wait` shows whether it was."""
        return await self._decide(number, "cancel", is_repeatable=False)

    async def _decide(self, number: int, action: str, *, is_repeatable: bool = True) -> JobShape:
        return await self._api.ask(JobShape, "POST", f"/v1/jobs/{number}/{action}", is_repeatable=is_repeatable)

    async def _ends(
        self, numbers: Iterable[int], until: str, timeout_s: float | None
    ) -> AsyncGenerator[JobShape, None]:
        """Each of these jobs once it has ended. More jobs than one request may name take turns."""
        ends_at = float("inf") if timeout_s is None else self._clock.monotonic() + timeout_s
        waiting = list(dict.fromkeys(numbers))
        known: set[int] = set()
        while waiting:
            asked, others = waiting[:_MOST_IDS], waiting[_MOST_IDS:]
            began_at = self._clock.monotonic()
            longest_s = _SHARED_WAIT_S if others else LONGEST_WAIT_S
            if not known.issuperset(asked):  # the first look does not wait, so that it shows which do not exist
                longest_s = 0.0
                known.update(asked)
            wait_s = ceil(max(min(ends_at - began_at, longest_s), 0.0))
            ended = await self._ended(asked, until, wait_s)
            for job in ended.values():
                yield job
            waiting = [*others, *(number for number in asked if number not in ended)]
            now = self._clock.monotonic()
            if waiting and now >= ends_at:
                shown = ", ".join(map(str, waiting[:10]))
                raise TimeoutError(f"{len(waiting)} jobs have not ended after {timeout_s:g} seconds: {shown}")
            if wait_s and not ended and now - began_at < LEAST_ROUND_S:  # a daemon that stops lets nobody wait
                await self._clock.sleep(LEAST_ROUND_S)

    async def _ended(self, numbers: list[int], until: str, wait_s: int) -> dict[int, JobShape]:
        query = urlencode({"id": numbers, "until": until}, doseq=True)
        headers = {"Prefer": f"wait={wait_s}"}
        page = await self._api.ask(JobPage, "GET", f"/v1/jobs?{query}", headers=headers, wait_s=wait_s)
        jobs = {job.id: job for job in page.jobs}
        if missing := [number for number in numbers if number not in jobs]:
            raise NotFoundError(404, {"detail": f"there is no job {', '.join(map(str, missing))}"})
        return {number: job for number, job in jobs.items() if job.state in ENDED}


def require_success(job: JobShape) -> JobShape:
    """The job, if it has succeeded.

    Raises:
        JobNotSucceededError: it has not.
    """
    if job.state is not State.SUCCEEDED:
        raise JobNotSucceededError(job)
    return job


def _query(filters: Mapping[str, str | int | datetime | Iterable[str | int]]) -> str:
    def texts(value: str | int | datetime | Iterable[str | int]) -> list[str]:
        match value:
            case bool():
                return ["true"] if value else []
            case datetime():
                return [value.isoformat()]
            case str() | int():
                return [str(value)]
            case _:
                return [str(one) for one in value]

    return urlencode([(name, text) for name, value in filters.items() for text in texts(value)])
