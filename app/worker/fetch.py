"""Landing a job's files: each whole or not at all, the good ones kept when another fails, the manifest last."""

import re
from collections.abc import Callable, Collection, MutableSequence, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random

from app.clock import Clock
from app.domain import outcome as o
from app.domain.identity import identities, pairs, part_number
from app.domain.job import Job
from app.domain.manifest import MANIFEST_NAME, Artifact, file_name, folder_of, render_manifest
from app.domain.placing import places
from app.domain.wire import Link
from app.providers.interpreter import BoundOperation
from app.providers.pages import PageReader
from app.storage.base import Landed, Storage, StorageError
from app.store.jobs import Answer, JobStore
from app.worker.cancelling import despite_cancel_request
from app.worker.download import Downloaded, Downloader, storage_failure
from app.worker.hosts import Hosts
from app.worker.list_download import ListDownload, Parts, artifact_of
from app.worker.narrator import Narrator
from app.worker.pages import Walk
from app.worker.reading import in_time
from app.worker.session import SignedClient
from app.worker.source import InlineSource

_ARTIFACT_BYTES = 512
_LINK_BYTES = 256
_LARGEST_FILE_BYTES = 1 << 40


def _unweighed(_: o.Outcome) -> None:
    """For whom the outcome of a single file means nothing more."""


def _always() -> bool:
    return True


class Fetcher:
    """Downloads links into storage.

    Args:
        storage: where files land.
        jobs: tells which files of a job have landed already.
        clock: the time.
        narrator: told of every landed file.
        rand: spreads the delays of hosts.
        largest_bytes: a file that grows beyond this is given up: an endless body must end somewhere.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: JobStore,
        clock: Clock,
        narrator: Narrator,
        *,
        rand: Random,
        largest_bytes: int = _LARGEST_FILE_BYTES,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._clock = clock
        self._narrator = narrator
        self._largest_bytes = largest_bytes
        self._downloader = Downloader(storage, clock, narrator.digest_unread, largest_bytes)
        self._parts = Parts(self._downloader, Hosts(clock, rand), clock, narrator)

    async def fetch(
        self,
        job: Job,
        operation: BoundOperation,
        client: SignedClient,
        links: Sequence[Link],
        landed: MutableSequence[Artifact],
        *,
        weigh: Callable[[o.Outcome], object] = _unweighed,
        held: Callable[[], bool] = _always,
    ) -> o.Outcome:
        """Land every file that has not landed yet, then the manifest.

        Args:
            job: the job whose files they are.
            operation: reads the heads of file replies.
            client: the way to the files.
            links: the files, in the provider's order.
            landed: every artifact is appended as soon as it is durable, so that a failure or an interruption keeps it.
            weigh: called at once with the outcome of each file that did not land, for what it means for the account.
            held: whether the lane is still ours, asked before anything is removed.

        Returns:
            ``Stored``, or the gravest outcome of the files that did not land; see :mod:`app.domain.gravity`.

        Raises:
            SignInError, AccountPausedError: nothing could be asked of the provider; files of other hosts have landed.
        """
        size = len(links) * _LINK_BYTES
        links, names = await in_time(size, partial(_identified, links, job.submits))

        def key_of(place: int, number: int) -> str:
            return self._key(job, operation, links[place], number, len(links))

        try:
            recorded = await self._jobs.artifacts(job.id)
            kept = await self._still_there(names, recorded)
            missing = await in_time(size, lambda: list(places(kept, len(links), key_of)))
            if missing and not await self._withdraw_manifest(job, held):
                return o.Interrupted()
            download = ListDownload(
                self._parts, job, operation, client, links=links, names=names, landed=landed, weigh=weigh
            )
            placed = dict(kept)
            failure = await download.land(missing, placed)
            if failure is not None:
                return failure
            # What earlier visits have landed is read again before the manifest vouches for it, once for each job.
            changed = [place for place, one in kept.items() if not await self._is_whole(one)]
            failure = await download.land([(at, kept[at].number, kept[at].key) for at in changed], placed)
            if failure is not None:
                return failure
        except StorageError as error:
            return storage_failure(error)
        if not held():
            return o.Interrupted()
        files = [replace(placed[place], number=place) for place in range(len(links))]
        return await self._complete(job, files, clear=bool(recorded) or job.fetches > 1)

    async def _withdraw_manifest(self, job: Job, held: Callable[[], bool]) -> bool:
        """Remove the manifest of a visit that died after it wrote it; ``False`` where the lane is not ours any more."""
        if job.fetches <= 1:
            return True
        if not held():
            return False
        await self._storage.remove(f"{_folder(job)}/{MANIFEST_NAME}")
        return True

    async def _still_there(self, names: Sequence[str], recorded: Sequence[Artifact]) -> dict[int, Artifact]:
        """The artifacts of earlier visits that are wanted now and are still there, by their place in the list."""
        found = pairs(names, [one.identity for one in recorded])
        kept = {place: recorded[at] for place, at in found.items()}
        return {place: one for place, one in kept.items() if await self._storage.find(one.key) == one.size}

    async def _is_whole(self, artifact: Artifact) -> bool:
        """Whether what is stored is what was recorded, by its checksum."""
        return await self._storage.measure(artifact.key) == Landed(artifact.size, artifact.sha256)

    async def fetch_pages(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: Walk, landed: MutableSequence[Artifact]
    ) -> o.Outcome:
        """Land the pages of a list as one file, then the manifest; the arguments and the rest are as for `fetch`."""
        link = Link("", pages.label, media_type=pages.media_type)
        (identity,) = identities((link,), job.submits)
        try:
            recorded = await self._jobs.artifacts(job.id)
            kept = list((await self._still_there((identity,), recorded)).values())
            if kept and not await self._is_whole(kept[0]):
                kept = []
        except StorageError as error:
            return storage_failure(error)
        if not kept:
            artifact = await self._join(job, operation, pages, walk, link, identity=identity)
            if not isinstance(artifact, Artifact):
                return artifact
            landed.append(artifact)
        files = [replace(one, number=0) for one in (*kept, *landed)]
        return await self._complete(job, files, clear=bool(recorded) or job.fetches > 1)

    async def _join(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: Walk, link: Link, *, identity: str
    ) -> Artifact | o.Outcome:
        key = self._key(job, operation, link, 0, 1)
        try:
            landing = await self._storage.open(key, job.id, 0)
            try:
                if landing.offset:
                    await landing.restart()
                count = await walk.land(pages, landing, self._largest(operation))
                if not isinstance(count, int):
                    return count
                stored = await landing.finish()
            finally:
                await landing.discard()
        except StorageError as error:
            return storage_failure(error)
        artifact = artifact_of(
            self._clock.now(),
            replace(link, count=count),
            stored,
            number=0,
            key=key,
            media_type=link.media_type,
            identity=identity,
        )
        self._narrator.landed(job, artifact, 0)
        return artifact

    async def land_reply(
        self, job: Job, operation: BoundOperation, inline: o.Inline, source: InlineSource, url: str
    ) -> o.Outcome:
        """Land a file that is the body of the reply just begun, by the same rules as any download.

        Args:
            job: the job whose file it is.
            operation: reads the head of the reply.
            inline: what the reply is.
            source: the reply.
            url: where it came from.

        Returns:
            ``Stored``, or why the reply is no file or could not be kept.
        """
        if inline.content is not None:
            return await self._land_content(job, operation, inline, inline.content, url)
        link = Link(url, inline.label)
        # What the reply calls itself names the file; what it has to be is for the spec to say.
        key = self._key(job, operation, replace(link, media_type=inline.media_type), 0, 1)
        (identity,) = identities((Link("", inline.label),), job.submits)
        got = await self._downloader.download(job, operation, source, link, key=key, number=part_number(identity))
        if not isinstance(got, Downloaded):
            return got
        artifact = artifact_of(
            self._clock.now(), link, got.landed, number=0, key=key, media_type=got.media_type, identity=identity
        )
        self._narrator.landed(job, artifact, 0)
        return await self._complete(job, [artifact], inline.status, clear=job.fetches > 0)

    async def _land_content(
        self, job: Job, operation: BoundOperation, inline: o.Inline, content: bytes, url: str
    ) -> o.Outcome:
        """Land what was made of a reply's head: there is no body to look at."""
        media_type = inline.media_type or operation.media_type
        link = Link(url, inline.label, media_type=media_type)
        key = self._key(job, operation, link, 0, 1)
        (identity,) = identities((Link("", inline.label),), job.submits)
        try:
            stored = await self._storage.put(key, content)
        except StorageError as error:
            return storage_failure(error)
        artifact = artifact_of(
            self._clock.now(), link, stored, number=0, key=key, media_type=media_type, identity=identity
        )
        self._narrator.landed(job, artifact, 0)
        return await self._complete(job, [artifact], inline.status, clear=job.fetches > 0)

    async def land_nothing(self, job: Job, empty: o.Empty) -> o.Outcome:
        """Write the manifest of a job that has no files."""
        return await self._complete(job, (), empty.status, clear=job.fetches > 0)

    async def copy(self, job: Job, answer: Answer) -> o.Outcome:
        """Land a copy of every file of another job's answer; ``Retry`` where they are no longer what they were."""
        copies: list[Artifact] = []
        try:
            for one in answer.artifacts:
                key = f"{_folder(job)}/{one.name}"
                stored = await self._storage.copy(one.key, key)
                if stored.sha256 != one.sha256:
                    return o.Retry(f"the files of job {answer.job_id}, whose answer this is, have changed")
                copies.append(replace(one, key=key, landed_at=self._clock.now(), identity=None))
                self._narrator.landed(job, copies[-1], 0)
        except StorageError as error:
            return storage_failure(error)
        outcome = await self._complete(job, copies, clear=job.fetches > 1)
        return replace(outcome, shared_from=answer.job_id) if isinstance(outcome, o.Stored) else outcome

    async def drop_parts(self, job: Job) -> None:
        """Remove what an earlier download of a job has left, whose files nobody wants any more.

        Where the storage fails, the parts are left to its sweep.
        """
        with suppress(StorageError):
            await self._storage.drop_partials(job.id)

    async def _complete(
        self, job: Job, artifacts: Sequence[Artifact], status: str | None = None, *, clear: bool
    ) -> o.Outcome:
        """Write the manifest, which says that everything is there.

        Args:
            job: the job.
            artifacts: its files, in the order of their numbers.
            status: the provider's word, where it was just read.
            clear: whether files of earlier visits may be there that are none of these; they are removed first.
        """
        render = partial(
            render_manifest,
            job_id=job.id,
            account=job.account,
            operation=job.operation,
            handle=job.handle,
            status=status or job.remote_status,
            artifacts=artifacts,
            finished_at=self._clock.now(),
        )
        document = await in_time(len(artifacts) * _ARTIFACT_BYTES, render)
        try:
            if clear:
                await self._clear(job, frozenset(one.key for one in artifacts))
            # Not to be left half way by a cancel request: with its manifest a job has succeeded.
            await despite_cancel_request(self._storage.put(f"{_folder(job)}/{MANIFEST_NAME}", document))
        except StorageError as error:
            return storage_failure(error)
        return o.Stored(tuple(artifacts), status)

    async def _clear(self, job: Job, keep: Collection[str]) -> None:
        """Remove the job's files that are not to be kept: of earlier lists, and of visits that died unrecorded."""
        for key in await self._storage.list(_folder(job)):
            if key not in keep:
                await self._storage.remove(key)

    def _largest(self, operation: BoundOperation) -> int:
        """How many bytes a file of this account may have."""
        return min(self._largest_bytes, operation.bounds.largest_file_bytes)

    def _key(self, job: Job, operation: BoundOperation, link: Link, number: int, total: int) -> str:
        name = file_name(link.label, number, total, link.media_type or operation.media_type, job.operation)
        return f"{_folder(job)}/{name}"


def _folder(job: Job) -> str:
    return folder_of(job.account, job.operation, job.created_at, job.id)


def _identified(links: Sequence[Link], of: int) -> tuple[list[Link], tuple[str, ...]]:
    """The links as they land, and what tells each from the others; see :func:`app.domain.identity.identities`."""
    landing = [_as_it_lands(link) for link in links]
    return landing, identities(landing, of)


def _as_it_lands(link: Link) -> Link:
    """A link whose label names the file that lands, which is the unpacked one."""
    return replace(link, label=re.sub(r"(?i)\.gz(ip)?$", "", link.label)) if link.gzip else link
