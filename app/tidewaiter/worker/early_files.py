"""Files that the reply to a poll names: those of a running remote job are fetched before the next poll."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from tidewaiter.domain import outcome as o
from tidewaiter.domain.file_identity import joined
from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.providers.steps.file_listing import FileListing, listing_of
from tidewaiter.providers.steps.step_replies import too_many_files
from tidewaiter.worker.authenticated_client import read_off_loop
from tidewaiter.worker.file_walk import FileWalk
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.step_context import StepContext

_LINK_BYTES = 512
_Found: TypeAlias = o.Pending | o.Ready | o.Refused | o.Retry


class EarlyFiles:
    """Decides after a poll whether files are fetched now.

    Args:
        fetcher: knows which files have landed.
        walk: makes a walk over lists for a step.
        known: the links that are stored with the job of a step, or why they cannot be read.
    """

    def __init__(
        self,
        fetcher: ResultFetcher,
        walk: Callable[[StepContext], ListWalk],
        known: Callable[[StepContext], Awaitable[tuple[Link, ...] | o.Outcome]],
    ) -> None:
        self._fetcher = fetcher
        self._walk = walk
        self._known = known

    async def find(self, step: StepContext, read: o.Pending | o.Ready, reply: WireReply) -> _Found:
        """The outcome of a poll with the links to the files that can be fetched now; ``reply`` is the poll's."""
        if step.job.links and _lists_only_new(step):
            return await self._join(step, read)
        if isinstance(read, o.Ready):
            return await self._find_all(step, read, reply) if read.lists else read
        return await self._find_new(step, read, reply)

    async def _join(self, step: StepContext, read: o.Pending | o.Ready) -> _Found:
        """The outcome of a poll with the links of all replies so far, which are stored with it.

        Stored links that cannot be decrypted fail this poll, not the job: the key may come back, and no reply will
        have them again.
        """
        job, most = step.job, step.operation.bounds.most_files
        earlier = await self._known(step)
        if not isinstance(earlier, tuple):
            return o.Retry(getattr(earlier, "reason", ""))
        size = (len(earlier) + len(read.links)) * _LINK_BYTES
        links = await read_off_loop(size, partial(joined, earlier, read.links, job.submits))
        if len(links) > most:
            return too_many_files(job, len(links), most)
        # A new link is stored in any case; without one the download begins if a file is missing.
        wanted = isinstance(read, o.Ready) or bool(read.links) or await self._fetcher.wants_early(step, links)
        return replace(read, links=links if wanted else ())

    async def _find_new(self, step: StepContext, read: o.Pending, reply: WireReply) -> o.Pending:
        """The outcome of a poll with the links to all files that are there, if one of them has not landed yet.

        Lists are requested in the step of the poll, so the download begins only if it has something to do. If they
        cannot be read, the next poll tries again.
        """
        links = read.links
        listing = listing_of(step.operation.parts, step.job) if read.lists else None
        if listing is not None:
            links = await self._listed(step, listing, reply)
        wanted = bool(links) and await self._fetcher.wants_early(step, links)
        return replace(read, links=links if wanted else (), lists=False)

    async def _find_all(self, step: StepContext, read: o.Ready, reply: WireReply) -> o.Ready:
        """The outcome of a poll with the links to all files, if its reply is the first page of their list.

        The links are stored with the outcome. If the lists cannot be read to their end now, the outcome has none, and
        the step that downloads requests the lists from the beginning.
        """
        job = step.job.but(handle=read.handle or step.job.handle, kept={**step.job.kept, **read.kept})
        listing = listing_of(step.operation.parts, job)
        links = () if listing is None else await self._listed(replace(step, job=job), listing, reply)
        return replace(read, links=links, lists=False)

    async def _listed(self, step: StepContext, listing: FileListing, reply: WireReply) -> tuple[Link, ...]:
        walk = self._walk(step)
        first = reply if listing.begins_with_poll else None
        found = await FileWalk(step.job, listing, step.session, walk, walk).links(first)
        return found if isinstance(found, tuple) else ()


def _lists_only_new(step: StepContext) -> bool:
    """Whether the links that are stored with the job are of earlier replies, and no later one has them."""
    results = step.operation.parts.steps.results.of(step.job)
    return results is not None and results.only_new
