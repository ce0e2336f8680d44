"""Walking the lists that lead to a job's files: depth first, with one page of each level in memory."""

from functools import partial

from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.domain.job import Job
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition
from tidewaiter.providers.steps.file_listing import FileListing
from tidewaiter.worker.authenticated_client import read_off_loop
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.provider_session import ProviderSession

_ITEM_BYTES = 512


class FileWalk:
    """Finds the links to the files of one job.

    A link that comes again unchanged counts once: while a list is read page by page, its items may move to a page that
    follows.

    Args:
        job: the job.
        listing: builds the requests and reads the replies.
        session: asks the provider.
        first: walks the first list.
        following: walks the lists below, which wait while the account is closed: a walk that has begun goes on.
    """

    def __init__(
        self, job: Job, listing: FileListing, session: ProviderSession, first: ListWalk, following: ListWalk
    ) -> None:
        self._job = job
        self._listing = listing
        self._session = session
        self._walks = (first, following)
        self._links: dict[Link, None] = {}
        self._items = [0] * listing.depth
        self._first: WireReply | None = None

    async def links(self, first: WireReply | None = None) -> tuple[Link, ...] | o.Outcome:
        """All links in the order of the lists, or why they cannot be found.

        Args:
            first: a reply that is the first page of the first list already.
        """
        self._first = first
        broken = await self._walk(self._job, 0)
        return tuple(self._links) if broken is None else broken

    async def _walk(self, job: Job, level: int) -> o.Outcome | None:
        """Walk one list and all below it; returns what went wrong."""
        listing = self._listing
        broken: o.Outcome | None = None

        async def read_page(page: PagePosition) -> ListedItems | o.Outcome:
            reply, self._first = self._first, None
            if reply is not None:
                return await self._session.read(reply, partial(listing.read, job, level, page))
            return await self._session.send(listing.request(job, level, page), partial(listing.read, job, level, page))

        async def consume(listed: ListedItems) -> bool:
            nonlocal broken
            broken = await self._consume(job, level, listed)
            return broken is None

        walk = self._walks[min(level, 1)]
        return await walk.each_page(read_page, consume, listing.most_pages) or broken

    async def _consume(self, job: Job, level: int, listed: ListedItems) -> o.Outcome | None:
        listing = self._listing
        self._items[level] += len(listed.items)
        if self._items[level] > listing.most_files:
            return listing.too_many(job)
        if level == listing.depth - 1:
            size, room = len(listed.items) * _ITEM_BYTES, listing.most_files - len(self._links)
            links = await read_off_loop(size, partial(listing.links, job, listed, room))
            if not isinstance(links, tuple):
                return links
            self._links.update(dict.fromkeys(links))
            return None
        for item in listed.items:
            below = listing.below(job, level, item)
            broken = listing.fault(below, level + 1) or await self._walk(below, level + 1)
            if broken is not None:
                return broken
        return None
