"""Examples of the step ``list``: one page of one of the lists that lead to the files."""

from dataclasses import dataclass

from tidewaiter.domain.http_values import Link, WireReply
from tidewaiter.domain.job import Job
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition
from tidewaiter.providers.spec.provider_spec import Example
from tidewaiter.providers.steps import file_listing
from tidewaiter.providers.steps.file_listing import FileListing


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list, and the links to the files if it is the last list."""

    listed: ListedItems
    links: tuple[Link, ...] | None


def page_of(example: Example) -> PagePosition:
    """The position of the page that an example is about."""
    return PagePosition(example.page.number, example.page.offset, example.page.next)


def listing_of(operation: BoundOperation, job: Job, example: Example) -> FileListing:
    """The lists of a job; raises ``UnsendableError`` if they are fewer than the example says."""
    listing = file_listing.listing_of(operation.parts, job)
    if listing is None or example.list > listing.depth:
        raise UnsendableError(f"the results of this job have no list {example.list}")
    return listing


def read_list(operation: BoundOperation, job: Job, example: Example, reply: WireReply, now: float) -> object:
    """What the reply of an example means."""
    listing = listing_of(operation, job, example)
    listed = listing.read(job, example.list - 1, page_of(example), reply, now)
    if not isinstance(listed, ListedItems):
        return listed
    if example.list < listing.depth:
        return ListPage(listed, None)
    links = listing.links(job, listed, listing.most_files)
    return ListPage(listed, links) if isinstance(links, tuple) else links
