"""The calls of the client about many jobs at once: batches, backfills and schedules."""

from collections.abc import Mapping
from datetime import date
from math import ceil
from typing import Any, Final
from urllib.parse import quote

from tidewaiter.client.api_session import ApiSession
from tidewaiter.clock import Clock
from tidewaiter.domain.job import State
from tidewaiter.web.api.batch_schemas import BackfillShape, BatchShape
from tidewaiter.web.api.body_schemas import JobShape

LONGEST_WAIT_S: Final = 60.0
"""How long one request waits at most."""
LEAST_ROUND_S: Final = 1.0
"""How long a round of waiting takes at least, also if the daemon stops and lets nobody wait."""


class GroupCalls:
    """Batches, backfills and schedules; see :class:`AsyncClient`, which has these methods.

    Args:
        api: sends the requests.
        clock: the time.
    """

    def __init__(self, api: ApiSession, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def batch(self, name: str) -> BatchShape:
        """A batch as it is now."""
        return await self._batch(name, 0)

    async def wait_batch(self, name: str, timeout_s: float | None = None) -> BatchShape:
        """A batch, once all its jobs have ended, or the rest of them waits for a person.

        Args:
            name: of the batch.
            timeout_s: how long to wait; ``None`` for as long as it takes.

        Raises:
            TimeoutError: it has not ended in this time.
            NotFoundError: there is no such batch.
        """
        ends_at = float("inf") if timeout_s is None else self._clock.monotonic() + timeout_s
        batch = await self._batch(name, 0)
        while not _is_over(batch):
            began_at = self._clock.monotonic()
            if began_at >= ends_at:
                raise TimeoutError(
                    f"batch {name} has not ended after {timeout_s:g} seconds: {batch.open} jobs are open"
                )
            batch = await self._batch(name, ceil(min(ends_at - began_at, LONGEST_WAIT_S)))
            if not _is_over(batch) and self._clock.monotonic() - began_at < LEAST_ROUND_S:
                await self._clock.sleep(LEAST_ROUND_S)
        return batch

    async def create_backfill(
        self,
        /,
        account: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        *,
        first: str | date,
        to: str | date,
        window: str,
        name: str | None = None,
        **options: str | int | bool | Mapping[str, str],
    ) -> BackfillShape:
        """Make a backfill: one job for each window of a span of time.

        Args:
            account: one that is configured.
            operation: one of its provider.
            params: of the operation, with templates such as ``${window.from}``.
            first: the first day, or a time.
            to: the last day, which is included, or a time, which is not.
            window: a number and h, d, w or mo, such as ``1d``.
            name: of the backfill and its batch. The same request with the same name returns the first backfill. Only
                with a name is the request repeated after a broken connection.
            options: further members of the body of ``POST /v1/backfills``: ``timezone``, ``newest_first``, ``at_once``,
                ``reuse``, ``labels``.
        """
        span = {"from": _text(first), "to": _text(to), "window": window}
        body = {"account": account, "operation": operation, "params": dict(params or {}), **span, **options}
        if name is not None:
            body["name"] = name
        return await self._api.ask(BackfillShape, "POST", "/v1/backfills", json=body, is_repeatable=name is not None)

    async def backfill(self, name: str) -> BackfillShape:
        """A backfill as it is now."""
        return await self._api.ask(BackfillShape, "GET", f"/v1/backfills/{quote(name, safe='')}")

    async def wait_backfill(self, name: str, timeout_s: float | None = None) -> BackfillShape:
        """A backfill, once its last window has ended, or the rest of its jobs waits for a person.

        A paused backfill continues only when a person resumes it; until then it has not ended. The arguments and the
        errors are those of :meth:`wait_batch`.
        """
        await self.wait_batch(name, timeout_s)
        return await self.backfill(name)

    async def run_schedule(
        self, name: str, *, params: Mapping[str, Any] | None = None, as_of: date | None = None
    ) -> JobShape:
        """Submit a schedule's job now, in addition to its ticks. It is sent once.

        Args:
            name: of the schedule.
            params: in place of the schedule's own; ``None`` as a value leaves one out.
            as_of: the day for which its dates are filled in; today without it.
        """
        body: dict[str, object] = {"params": dict(params or {})}
        if as_of is not None:
            body["as_of"] = as_of.isoformat()
        path = f"/v1/schedules/{quote(name, safe='')}/run"
        return await self._api.ask(JobShape, "POST", path, json=body, is_repeatable=False)

    async def _batch(self, name: str, wait_s: int) -> BatchShape:
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        path = f"/v1/batches/{quote(name, safe='')}"
        return await self._api.ask(BatchShape, "GET", path, headers=headers, wait_s=wait_s)


def _is_over(batch: BatchShape) -> bool:
    waits_for_a_person = batch.complete and 0 < batch.open <= batch.states.get(State.PARKED, 0)
    return batch.ended_at is not None or waits_for_a_person


def _text(at: str | date) -> str:
    return at if isinstance(at, str) else at.isoformat()
