"""Jobs with very many links are written and read in a thread, so that the event loop is free."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import fields

import pytest

from tests.support.stored_jobs import Stores
from tidewaiter.database.group_commit import GroupCommit
from tidewaiter.database.notification_store import Outbox
from tidewaiter.database.row_codec import jobs_of
from tidewaiter.database.sealing import Seal, sealed_links
from tidewaiter.domain import outcome as o
from tidewaiter.domain.http_values import Link, SealedLinks
from tidewaiter.domain.job import Job
from tidewaiter.domain.job_json import job_json

LINKS = tuple(Link(f"https://files.example.com/{number}", f"{number}.ndjson") for number in range(5_000))


def row_of(job: Job) -> list[object]:
    """The row that is read for a job."""
    row = {field.name: getattr(job, field.name) for field in fields(Job)}
    return list(
        (
            row
            | {
                "params": "{}",
                "kept": "{}",
                "context": job.context.as_text(),
                "state": job.state.value,
                "links": Seal().stored(job.links),
            }
        ).values()
    )


@pytest.mark.parametrize(("links", "at_once"), [(LINKS, False), (LINKS[:5], True)])
async def test_many_links_leave_the_event_loop_free(stores: Stores, links: tuple[Link, ...], at_once: bool) -> None:
    """Both ways; a few links are not worth a thread."""
    group = GroupCommit("sqlite", Outbox("sqlite", ()), Seal())
    job = await stores.polling("h-1")
    update = stores.update(job, o.Ready(links))

    async def has_ended_at_once(work: Callable[[], Awaitable[object]]) -> bool:
        task = asyncio.ensure_future(work())
        await asyncio.sleep(0)
        ended = task.done()
        await task
        return ended

    assert await has_ended_at_once(lambda: group.encoded([update])) is at_once
    assert await has_ended_at_once(lambda: jobs_of([row_of(update.update.job)])) is at_once
    fetching = await stores.accepted(job, o.Ready(links))
    stored = fetching.links
    assert (await stores.jobs.links.read(job.id, stored) if isinstance(stored, SealedLinks) else stored) == links


@pytest.mark.parametrize(
    ("links", "listed"),
    [
        ((), None),
        (LINKS[:5], 5),
        (LINKS[:500], 500),
        (LINKS[:501], 501),
        (LINKS, 5_000),
        ((*LINKS[:5], Link("https://files.example.com/all.zip", archive="zip")), None),
    ],
)
async def test_a_job_says_how_many_files_are_listed(
    stores: Stores, links: tuple[Link, ...], listed: int | None
) -> None:
    """For a long list, too, whose links are not in the job's row; how many members an archive has is unknown."""
    job = await stores.polling("h-1")
    assert job.files_listed is None
    fetching = await stores.accepted(job, o.Ready(links))
    assert fetching.files_listed == listed
    assert job_json(fetching)["files_listed"] == listed


def test_links_of_an_earlier_version_are_not_counted() -> None:
    """The marker of pages that an earlier program wrote has no total; encrypted links have none either."""
    assert sealed_links("paged:1:7:12:5800").count == 5800
    assert sealed_links("paged:1:7:12").count is None
    assert sealed_links("gAAAAAB").count is None
