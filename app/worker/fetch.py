"""Landing a job's files: each whole or not at all, the good ones kept when another fails, the manifest last."""

import re
from collections.abc import MutableSequence, Sequence
from contextlib import suppress
from dataclasses import replace

from app.clock import Clock
from app.domain import outcome as o
from app.domain.job import Job
from app.domain.manifest import MANIFEST_NAME, Artifact, file_name, folder_of, render_manifest
from app.domain.wire import Link, WireReply
from app.providers.interpreter import BoundOperation
from app.providers.pages import PageReader
from app.storage.base import Landed, Storage, StorageError
from app.store.jobs import Answer, JobStore
from app.worker.cancelling import despite_cancel_request
from app.worker.download import Downloaded, Downloader, storage_failure
from app.worker.narrator import Narrator
from app.worker.pages import Walk
from app.worker.session import SignedClient

_LARGEST_FILE_BYTES = 1 << 40


class Fetcher:
    """Downloads links into storage.

    Args:
        storage: where files land.
        jobs: tells which files of a job have landed already.
        clock: the time.
        narrator: told of every landed file.
        largest_bytes: a file that grows beyond this is given up: an endless body must end somewhere.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: JobStore,
        clock: Clock,
        narrator: Narrator,
        largest_bytes: int = _LARGEST_FILE_BYTES,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._clock = clock
        self._narrator = narrator
        self._largest_bytes = largest_bytes
        self._downloader = Downloader(storage, clock, narrator.digest_unread, largest_bytes)

    async def fetch(
        self,
        job: Job,
        operation: BoundOperation,
        client: SignedClient,
        links: Sequence[Link],
        landed: MutableSequence[Artifact],
    ) -> o.Outcome:
        """Land every file that has not landed yet, then the manifest.

        Args:
            job: the job whose files they are.
            operation: reads the heads of file replies.
            client: the way to the files.
            links: the files, in the provider's order.
            landed: every artifact is appended as soon as it is durable, so that a failure or an interruption keeps it.

        Returns:
            ``Stored``, or the outcome of the first file that failed.
        """
        links = [_as_it_lands(link) for link in links]
        try:
            kept = await self._kept(job, links)
        except StorageError as error:
            return storage_failure(error)
        failure: o.Outcome | None = None
        for number, link in enumerate(links):
            if number in kept:
                continue
            artifact = await self._fetch_one(job, operation, client, link, number=number, total=len(links))
            if isinstance(artifact, Artifact):
                landed.append(artifact)
                continue
            failure = failure or artifact
            if not isinstance(artifact, o.Retry | o.LinksExpired):
                break
        if failure is not None:
            return failure
        return await self._complete(job, [*kept.values(), *landed])

    async def fetch_pages(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: Walk, landed: MutableSequence[Artifact]
    ) -> o.Outcome:
        """Land the pages of a list as one file, then the manifest; the arguments and the rest are as for `fetch`."""
        link = Link("", pages.label, media_type=pages.media_type)
        try:
            kept = await self._kept(job, (link,))
        except StorageError as error:
            return storage_failure(error)
        if not kept:
            artifact = await self._join(job, operation, pages, walk, link)
            if not isinstance(artifact, Artifact):
                return artifact
            landed.append(artifact)
        return await self._complete(job, [*kept.values(), *landed])

    async def _join(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: Walk, link: Link
    ) -> Artifact | o.Outcome:
        key = self._key(job, operation, link, 0, 1)
        try:
            landing = await self._storage.open(key, job.id, 0)
            try:
                if landing.offset:
                    await landing.restart()
                count = await walk.land(pages, landing, self._largest_bytes)
                if not isinstance(count, int):
                    return count
                stored = await landing.finish()
            finally:
                await landing.discard()
        except StorageError as error:
            return storage_failure(error)
        artifact = self._artifact(replace(link, count=count), 0, key, stored, link.media_type)
        self._narrator.landed(job, artifact, 0)
        return artifact

    async def land_reply(self, job: Job, operation: BoundOperation, inline: o.Inline, reply: WireReply) -> o.Outcome:
        """Land a file that came as the body of the reply just read."""
        link = Link(reply.url, inline.label, media_type=inline.media_type)
        key = self._key(job, operation, link, 0, 1)
        try:
            stored = await self._storage.put(key, reply.body)
            artifact = self._artifact(link, 0, key, stored, inline.media_type or operation.media_type)
            self._narrator.landed(job, artifact, 0)
            return await self._complete(job, [artifact], inline.status)
        except StorageError as error:
            return storage_failure(error)

    async def land_nothing(self, job: Job, empty: o.Empty) -> o.Outcome:
        """Write the manifest of a job that has no files."""
        return await self._complete(job, (), empty.status)

    async def copy(self, job: Job, answer: Answer) -> o.Outcome:
        """Land a copy of every file of another job's answer; ``Retry`` where they are no longer what they were."""
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        copies: list[Artifact] = []
        try:
            for one in answer.artifacts:
                key = f"{folder}/{one.name}"
                stored = await self._storage.copy(one.key, key)
                if stored.sha256 != one.sha256:
                    return o.Retry(f"the files of job {answer.job_id}, whose answer this is, have changed")
                copies.append(replace(one, key=key, landed_at=self._clock.now()))
                self._narrator.landed(job, copies[-1], 0)
        except StorageError as error:
            return storage_failure(error)
        outcome = await self._complete(job, copies)
        return replace(outcome, shared_from=answer.job_id) if isinstance(outcome, o.Stored) else outcome

    async def drop_parts(self, job: Job) -> None:
        """Remove what an earlier download of a job has left, whose files nobody wants any more.

        Where the storage fails, the parts are left to its sweep.
        """
        with suppress(StorageError):
            await self._storage.drop_partials(job.id)

    async def _kept(self, job: Job, links: Sequence[Link]) -> dict[int, Artifact]:
        """The artifacts of an earlier download that are still there, by number."""
        recorded = {one.number: one for one in await self._jobs.artifacts(job.id) if one.number < len(links)}
        return {
            number: artifact
            for number, artifact in recorded.items()
            if artifact.label == links[number].label and await self._storage.find(artifact.key) == artifact.size
        }

    async def _complete(self, job: Job, artifacts: Sequence[Artifact], status: str | None = None) -> o.Outcome:
        """Write the manifest, which says that everything is there; ``status`` is the provider's word, if just read."""
        document = render_manifest(
            job_id=job.id,
            account=job.account,
            operation=job.operation,
            handle=job.handle,
            status=status or job.remote_status,
            artifacts=artifacts,
            finished_at=self._clock.now(),
        )
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        try:
            # Not to be left half way by a cancel request: with its manifest a job has succeeded.
            await despite_cancel_request(self._storage.put(f"{folder}/{MANIFEST_NAME}", document))
        except StorageError as error:
            return storage_failure(error)
        return o.Stored(tuple(sorted(artifacts, key=lambda one: one.number)), status)

    async def _fetch_one(
        self, job: Job, operation: BoundOperation, client: SignedClient, link: Link, *, number: int, total: int
    ) -> Artifact | o.Outcome:
        """Land one file; whatever goes wrong is an outcome."""
        key = self._key(job, operation, link, number, total)
        downloaded = await self._downloader.download(job, operation, client, link, key=key, number=number)
        if not isinstance(downloaded, Downloaded):
            return downloaded
        artifact = self._artifact(link, number, key, downloaded.landed, downloaded.media_type)
        self._narrator.landed(job, artifact, downloaded.resumed_from)
        return artifact

    def _key(self, job: Job, operation: BoundOperation, link: Link, number: int, total: int) -> str:
        folder = folder_of(job.account, job.operation, job.created_at, job.id)
        name = file_name(link.label, number, total, link.media_type or operation.media_type, job.operation)
        return f"{folder}/{name}"

    def _artifact(self, link: Link, number: int, key: str, stored: Landed, media_type: str | None) -> Artifact:
        return Artifact(
            number=number,
            name=key.rsplit("/", 1)[-1],
            label=link.label,
            key=key,
            size=stored.size,
            sha256=stored.sha256,
            media_type=media_type or "application/octet-stream",
            landed_at=self._clock.now(),
            count=link.count,
        )


def _as_it_lands(link: Link) -> Link:
    """A link whose label names the file that lands, which is the unpacked one."""
    return replace(link, label=re.sub(r"(?i)\.gz(ip)?$", "", link.label)) if link.gzip else link
