"""Stopping a step because of a cancel request: unlike a drain, and not where it is too late."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from app.domain.job import CANCELLED_AT_ONCE
from app.worker.visit import Visit

T = TypeVar("T")

CANCEL_ASKED: Final = "somebody asked to cancel the job"
"""The message with which a step's task is cancelled for a cancel request; asyncio passes it on to what is awaited."""


async def despite_cancel_request(work: Coroutine[Any, Any, T]) -> T:
    """Finish ``work`` although a cancel request comes meanwhile; a drain stops it as usual.

    Returns:
        The result of the work. The cancel request came too late then: the step goes on as if there were none.
    """
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError as error:
            current = asyncio.current_task()
            if CANCEL_ASKED not in error.args or current is None:
                task.cancel()
                raise
            current.uncancel()


class Stoppable:
    """The running steps of a lane, and which of them a cancel request has stopped."""

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[asyncio.Task[None], Visit]] = {}
        self._stopped: set[int] = set()

    def begin(self, step: asyncio.Task[None], visit: Visit) -> None:
        """A step begins."""
        self._under_way[visit.job.id] = step, visit

    def stop(self, job_id: int) -> None:
        """Stop the step of a job, once, where that leaves nothing in doubt, such as a download at its next chunk.

        A step that may have submitted goes on, and so does one that has ended and whose outcome is being committed.
        """
        if job_id not in self._under_way or job_id in self._stopped:
            return
        step, visit = self._under_way[job_id]
        if visit.job.state in CANCELLED_AT_ONCE:
            self._stopped.add(job_id)
            step.cancel(CANCEL_ASKED)

    def was_stopped(self, job_id: int) -> bool:
        """Whether the step of a job was stopped."""
        return job_id in self._stopped

    def end(self, job_id: int) -> None:
        """The step of a job has ended."""
        self._under_way.pop(job_id, None)
        self._stopped.discard(job_id)
