"""Landing what a poll's own reply brings: the file itself, or the word that there is none."""

from dataclasses import replace

from app.domain import outcome as o
from app.domain.job import Job
from app.domain.wire import WireReply
from app.providers.interpreter import BoundOperation
from app.worker.fetch import Fetcher


async def land_answer(
    fetcher: Fetcher, job: Job, operation: BoundOperation, seen: o.Inline | o.Empty, reply: WireReply
) -> o.Outcome:
    """Land the file, or nothing but the manifest, under the handle that the reply gives where it gives one."""
    named = job.but(handle=seen.handle or job.handle)
    if isinstance(seen, o.Inline):
        landed = await fetcher.land_reply(named, operation, seen, reply)
    else:
        landed = await fetcher.land_nothing(named, seen)
    return replace(landed, handle=seen.handle) if isinstance(landed, o.Stored) else landed
