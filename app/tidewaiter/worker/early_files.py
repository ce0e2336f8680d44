"""Files that a remote job has made before it has finished: found after a poll, and fetched before the next one."""

from collections.abc import Callable
from dataclasses import replace

from tidewaiter.domain import outcome as o
from tidewaiter.providers.steps.file_listing import listing_of
from tidewaiter.worker.file_walk import FileWalk
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.step_context import StepContext


class EarlyFiles:
    """Decides after a poll whether files are fetched now.

    Args:
        fetcher: knows which files have landed.
        walk: makes a walk over lists for a step.
    """

    def __init__(self, fetcher: ResultFetcher, walk: Callable[[StepContext], ListWalk]) -> None:
        self._fetcher = fetcher
        self._walk = walk

    async def find(self, step: StepContext, read: o.Pending) -> o.Pending:
        """The outcome of a poll with the links to all files that are there, if one of them has not landed yet.

        Lists are requested in the step of the poll, so the download begins only if it has something to do. If they
        cannot be read, the next poll tries again.
        """
        links = read.links
        listing = listing_of(step.operation.parts, step.job) if read.lists else None
        if listing is not None:
            walk = self._walk(step)
            found = await FileWalk(step.job, listing, step.session, walk, walk).links()
            links = found if isinstance(found, tuple) else ()
        wanted = bool(links) and await self._fetcher.wants_early(step, links)
        return replace(read, links=links if wanted else (), lists=False)
