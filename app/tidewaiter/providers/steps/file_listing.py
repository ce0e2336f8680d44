"""Files from lists: the requests for lists that lead to the files, each made of an item of the list above."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidewaiter.domain.http_values import Json, Link, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import Refused, Retry
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.replies.reply_defaults import FileTrouble
from tidewaiter.providers.results.listed_files import TooManyFiles, absent_values, with_item
from tidewaiter.providers.results.nested_lists import NestedLists
from tidewaiter.providers.results.paged_lists import ListedItems, PagePosition, PageReader
from tidewaiter.providers.steps.compiled_operation import AccountParts, CompiledOperation


@dataclass(frozen=True, slots=True)
class FileListing:
    """Builds the requests for the lists of a job, and reads the replies. Levels count from 0.

    A job that is passed to a method has the values of the items above; :meth:`below` adds those of one more item.
    """

    lists: NestedLists = field(repr=False)
    account: AccountParts

    @property
    def depth(self) -> int:
        """The number of levels."""
        return len(self.lists.levels)

    @property
    def is_one_link(self) -> bool:
        """Whether the lists are one request, whose reply names the one file."""
        return self.lists.one_file is not None

    @property
    def begins_with_poll(self) -> bool:
        """Whether the reply to the poll that says ready is the first page of the first list."""
        return self.lists.levels[0].begins_with_poll

    @property
    def most_files(self) -> int:
        """The most files, and the most items of each level, that are accepted."""
        return self.account.bounds.most_files

    @property
    def most_pages(self) -> int:
        """The most pages of one list."""
        return self.account.bounds.most_pages

    def request(self, job: Job, level: int, page: PagePosition) -> WireRequest:
        """The request for a page; raises ``UnsendableError`` if the job lacks a value, see :meth:`fault`."""
        return self.lists.levels[level].paged.request(job, page)

    def fault(self, job: Job, level: int) -> Retry | None:
        """Why a list cannot be requested with the values of the item above it; ``None`` if it can."""
        above = f"an item of list {level} of {self.depth}"
        if absent := absent_values(self.lists.levels[level].url, job):
            return Retry(f"{above} lacks {' and '.join(absent)}, which the address of the next list needs")
        try:
            self.request(job, level, PagePosition())
        except UnsendableError as error:
            return Retry(f"the request for the next list cannot be built from {above}: {error}")
        return None

    def read(self, job: Job, level: int, page: PagePosition, reply: WireReply, now: float) -> ListedItems | FileTrouble:
        """The items of a page of a level, or why there are none."""
        account = self.account
        pages = PageReader(self.lists.levels[level].paged, account.messages, account.origin, bounds=account.bounds)
        return pages.read(job, page, reply, now)

    def read_link(self, job: Job, reply: WireReply, now: float) -> tuple[Link, ...] | FileTrouble:
        """The links in the reply to the first request, if that is all there is to ask."""
        listed = self.read(job, 0, PagePosition(), reply, now)
        return self.links(job, listed, self.most_files) if isinstance(listed, ListedItems) else listed

    def below(self, job: Job, level: int, item: Json) -> Job:
        """The job with the values of an item of this level."""
        return with_item(job, self.lists.levels[level].values(item))

    def links(self, job: Job, listed: ListedItems, most: int) -> tuple[Link, ...] | Refused | Retry:
        """The links to the files of a page of the last list.

        Args:
            job: with the values of the items above.
            listed: the page.
            most: the number of files that are accepted.
        """
        every: list[Link] = []
        if self.lists.levels[-1].whole and not all(map(self.lists.reader.finds, listed.items)):
            # No items prove the shape of such a reply, so a reply about something else would be one without files.
            return Retry("the reply holds no list of files: each finds nothing in it")
        base = listed.url or f"{self.lists.base_url}/"
        for item in listed.items:
            self.account.messages.hide(self.lists.reader.secrets(item))
            links = self.lists.reader.links(self.below(job, self.depth - 1, item), item, base, most - len(every))
            if isinstance(links, TooManyFiles):
                return self.too_many(job)
            if isinstance(links, str):
                return Retry(links)
            every += links
        account, named = self.account, self.lists.one_file
        if named is not None and (label := named(job)):
            every = [replace(one, label=label) for one in every]
        return account.messages.redact_labels(tuple(map(account.own.link, every)))

    def too_many(self, job: Job) -> Refused:
        """The outcome if a level has more items, or the last one more files, than are accepted."""
        return Refused(
            f"the provider lists more than {self.most_files} files: raise accounts.{job.account}.bounds.most_files, "
            "or request fewer"
        )


@dataclass(frozen=True, slots=True)
class NamedFile:
    """What the reply that names the one file has: the link, and the values that are kept when the file has landed."""

    links: tuple[Link, ...]
    kept: Mapping[str, str]


def with_kept_values(
    parts: CompiledOperation, job: Job, reply: WireReply, read: tuple[Link, ...] | FileTrouble
) -> NamedFile | FileTrouble:
    """What was read of a reply that names the file, with its kept values; or why they cannot be had."""
    step = parts.steps.kept_with_link.of(job)
    if not isinstance(read, tuple) or step is None:
        return read if not isinstance(read, tuple) else NamedFile(read, {})
    kept = step.read(job, parts.reading(reply, parts.steps.results.of(job)), parts.account.own)
    return NamedFile(read, kept.values) if kept.problem is None else Retry(kept.problem)


def listing_of(parts: CompiledOperation, job: Job) -> FileListing | None:
    """Finds the links to a job's files if they are in lists that must be requested; else ``None``."""
    results = parts.steps.results.of(job)
    lists = None if results is None or not isinstance(results.source, NestedLists) else results.source
    return None if lists is None else FileListing(lists, parts.account)
