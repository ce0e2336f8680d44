"""The links of long lists: pages of a table, so that a row of a job stays small however many files it has.

The column ``links`` of such a job has a marker in place of the links: ``paged:1:``, the version of the job that wrote
them, the number of pages, and the number of links, which earlier programs left out. A step reads only the pages of the
version in the marker of its own job.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Connection, Integer, bindparam, delete, select

from tidewaiter.database.engine import Database
from tidewaiter.database.sealing import PAGED, Seal, links_of
from tidewaiter.database.tables import links
from tidewaiter.domain.http_values import Link, SealedLinks
from tidewaiter.domain.job import Job
from tidewaiter.domain.state_machine import JobUpdate

PAGE_LINKS: Final = 500
"""More links than these are stored in pages of so many."""
_MARKER: Final = re.compile(rf"{PAGED}1:(\d+):(\d+)(?::\d+)?")
_OF_JOB: Final = links.c.job_id == bindparam("number", type_=BigInteger())
_OF_VERSION: Final = links.c.version == bindparam("at_version", type_=Integer())
_READ: Final = select(links.c.text).where(_OF_JOB, _OF_VERSION, links.c.page == bindparam("at_page", type_=Integer()))
_DELETE_OTHERS: Final = delete(links).where(_OF_JOB, links.c.version != bindparam("at_version", type_=Integer()))


@dataclass(frozen=True, slots=True)
class _Pages:
    version: int
    count: int

    @classmethod
    def of(cls, text: str) -> "_Pages | None":
        match = _MARKER.fullmatch(text)
        return None if match is None else cls(int(match[1]), int(match[2]))


class LinkStore:
    """Reads stored links. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
        seal: decrypts them.
    """

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    async def read(self, number: int, sealed: SealedLinks) -> tuple[Link, ...] | None:
        """The links of a job, a page at a time; ``None`` if no key decrypts them, or they are not there any more.

        Args:
            number: of the job.
            sealed: what its row has.
        """
        pages = _Pages.of(sealed.text)
        if pages is None:
            return await asyncio.to_thread(self._seal.links, sealed)
        found: list[Link] = []
        for page in range(pages.count):
            at = {"number": number, "at_version": pages.version, "at_page": page}
            async with self._database.reading() as connection:
                text = (await connection.execute(_READ, at)).scalar()
            read = None if text is None else await asyncio.to_thread(self._read_page, text)
            if read is None:
                return None
            found += read
        return tuple(found)

    def _read_page(self, text: str) -> tuple[Link, ...] | None:
        plain = self._seal.unsealed(text)
        return None if plain is None else links_of(plain)


class LinkWriter:
    """Writes links with the update of their job; runs in the transaction of the caller.

    Args:
        seal: encrypts them.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def column(self, job: Job) -> str:
        """What the row of a job has: its links, or the marker of their pages."""
        given = job.links
        if isinstance(given, SealedLinks) or len(given) <= PAGE_LINKS:
            return self._seal.stored(given)
        return f"{PAGED}1:{job.version}:{-(-len(given) // PAGE_LINKS)}:{len(given)}"

    def write(self, connection: Connection, updates: Sequence[JobUpdate]) -> None:
        """Write the pages of these updates, and delete those that their jobs had before."""
        for update in updates:
            job, before = update.job, update.before
            given = job.links if isinstance(job.links, tuple) and len(job.links) > PAGE_LINKS else ()
            for page, start in enumerate(range(0, len(given), PAGE_LINKS)):
                text = self._page(given[start : start + PAGE_LINKS])
                row = {"job_id": job.id, "version": job.version, "page": page, "text": text}
                connection.execute(links.insert(), row)
            if before is not None and before.links != job.links and _is_paged(before):
                connection.execute(_DELETE_OTHERS, {"number": job.id, "at_version": job.version})

    def _page(self, given: Sequence[Link]) -> str:
        return self._seal.sealed(json.dumps([link.to_json() for link in given]))


def has_pages(update: JobUpdate) -> bool:
    """Whether an update writes pages of links, or deletes some."""
    return _is_paged(update.job) or (update.before is not None and _is_paged(update.before))


def _is_paged(job: Job) -> bool:
    if isinstance(job.links, SealedLinks):
        return _Pages.of(job.links.text) is not None
    return len(job.links) > PAGE_LINKS
