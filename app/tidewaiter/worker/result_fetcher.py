"""Landing a job's files: each whole or not at all, the good ones kept when another fails, the manifest last."""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random

from tidewaiter.clock import Clock
from tidewaiter.database.job_store import JobStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.file_identity import identities, landed_archives, pair_files
from tidewaiter.domain.file_names import file_name, free_places
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.manifest import MANIFEST_NAME, ArchiveMember, Artifact, StoredResult, folder_of, manifest_pieces
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.results.listed_files import packed
from tidewaiter.providers.results.paged_lists import PageReader
from tidewaiter.storage.base import Landed, Storage, StorageError
from tidewaiter.transport.reply_bodies import ReplyBeginning
from tidewaiter.worker.archive_landing import ArchiveLanding, PackedArchive
from tidewaiter.worker.archive_reading import ArchiveLimits, Member
from tidewaiter.worker.authenticated_client import read_off_loop
from tidewaiter.worker.file_download import Downloaded, Downloader, InlineSource, storage_failure
from tidewaiter.worker.file_hosts import FileHosts
from tidewaiter.worker.job_download import DownloadTools, ListDownload, archive_key, artifact_of
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.manifest_writing import write_manifest
from tidewaiter.worker.page_walk import ListWalk
from tidewaiter.worker.step_context import StepContext, despite_cancel_request

_MANY_ARTIFACTS = 100
_LINK_BYTES = 512
_LARGEST_FILE_BYTES = 1 << 40


class ResultFetcher:
    """Downloads links into storage.

    Args:
        storage: where files land.
        jobs: knows which files of a job have landed already.
        clock: the time.
        job_log: gets a line for every landed file.
        rand: spreads the delays of hosts.
        largest_bytes: the download of a larger file is given up: an endless body must end somewhere.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: JobStore,
        clock: Clock,
        job_log: JobLog,
        *,
        rand: Random,
        largest_bytes: int = _LARGEST_FILE_BYTES,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._clock = clock
        self._job_log = job_log
        self._largest_bytes = largest_bytes
        self._downloader = Downloader(storage, clock, job_log, largest_bytes)
        self._archives = ArchiveLanding(storage, clock, job_log.text_without_secrets)
        self._tools = DownloadTools(self._downloader, self._archives, FileHosts(clock, rand), clock, job_log)

    async def land_files(self, step: StepContext, links: Sequence[Link]) -> o.Outcome:
        """Land every file that has not landed yet, then the manifest.

        Args:
            step: the step. It gets every artifact as soon as that is durable, so that a failure or an interruption
                keeps it. Its lease is checked before anything is removed.
            links: the files, in the provider's order.

        Returns:
            ``Stored``, or the gravest outcome of the files that did not land; see :func:`gravest_outcome`.

        Raises:
            SignInError, AccountPausedError: nothing could be requested from the provider; files of other hosts have
            landed.
        """
        job, operation = step.job, step.operation
        size = len(links) * _LINK_BYTES
        links, names = await read_off_loop(size, partial(_named, links, job.submits))

        def key_of(place: int, number: int) -> str:
            return self._key(job, operation, links[place], number, len(links))

        try:
            recorded = await step.recorded(self._jobs)
            kept = await self._still_there(names, recorded)
            firsts = {place: ones[0] for place, ones in kept.items()}
            others = [one for ones in kept.values() for one in ones[1:]]
            missing = await read_off_loop(size, lambda: list(free_places(firsts, len(links), key_of, others)))
            if missing and not await self._begin_anew(step, recorded):
                return o.Interrupted()
            download = ListDownload(self._tools, step, links, names)
            placed = dict(kept)
            failure = await download.land(missing, placed)
            if failure is not None:
                return failure
            # Files of earlier steps are read again before the manifest lists them, once for each job.
            changed = [at for at, ones in kept.items() if not all([await self._is_whole(one) for one in ones])]
            failure = await download.land([(at, firsts[at].number, firsts[at].key) for at in changed], placed)
            if failure is not None:
                return failure
        except StorageError as error:
            return storage_failure(error)
        if not step.lease.held():
            return o.Interrupted()
        every = (one for place in range(len(links)) for one in placed[place])
        files = [replace(one, number=number) for number, one in enumerate(every)]
        return await self._complete(job, files, clear=bool(recorded) or job.fetches > 1)

    async def wants_early(self, step: StepContext, links: Sequence[Link]) -> bool:
        """Whether one of these files has not landed, and all may land: other files at each poll have no end."""
        job, most = step.job, step.operation.bounds.most_files
        _, names = await read_off_loop(len(links) * _LINK_BYTES, partial(_named, links, job.submits))
        recorded = await self._jobs.artifacts(job.id)
        pairs = pair_files(names, [one.identity for one in recorded])
        missing = len(links) - len({*pairs, *landed_archives(names, recorded)})
        return missing > 0 and len(recorded) + missing <= most

    async def land_early(self, step: StepContext, links: Sequence[Link]) -> o.Outcome:
        """Land the files that a running remote job has made; the manifest is written after it has finished.

        Returns:
            ``PartLanded``, or the gravest outcome of the files that did not land.

        Raises:
            SignInError, AccountPausedError: as for :meth:`land_files`.
        """
        job, operation = step.job, step.operation
        size = len(links) * _LINK_BYTES
        links, names = await read_off_loop(size, partial(_named, links, job.submits))

        def key_of(place: int, number: int) -> str:
            # More files may follow, so even a single one is numbered.
            return self._key(job, operation, links[place], number, len(links) + 1)

        try:
            kept = await self._still_there(names, recorded := await step.recorded(self._jobs))
            firsts = {place: ones[0] for place, ones in kept.items()}
            missing = await read_off_loop(size, lambda: list(free_places(firsts, len(links), key_of, recorded)))
            # No number of a file that has landed is given away, although this list may not have it.
            counted = {one for ones in kept.values() for one in ones}
            others = tuple(one for one in recorded if one not in counted)
            failure = await ListDownload(self._tools, step, links, names).land(missing, {**kept, -1: others})
        except StorageError as error:
            return storage_failure(error)
        return o.PartLanded() if failure is None else failure

    async def _begin_anew(self, step: StepContext, recorded: Sequence[Artifact]) -> bool:
        """Remove what a step that died has left: members of an archive, a manifest. This step may fail for good.

        Returns:
            ``False`` if the lease may be over.
        """
        if step.job.fetches <= 1:
            return True
        if not step.lease.held():
            return False
        await self._clear(step.job, frozenset(one.key for one in recorded))
        return True

    async def _still_there(self, names: Sequence[str], recorded: Sequence[Artifact]) -> dict[int, tuple[Artifact, ...]]:
        """The artifacts of earlier steps that are in the list and still stored, by their place in the list.

        Of an archive these are its members; if one of them is missing, none counts.
        """
        found = pair_files(names, [one.identity for one in recorded])
        kept = {place: (recorded[at],) for place, at in found.items()} | dict(landed_archives(names, recorded))
        return {place: ones for place, ones in kept.items() if all([await self._is_there(one) for one in ones])}

    async def _is_there(self, artifact: Artifact) -> bool:
        return await self._storage.find(artifact.key) == artifact.size

    async def _is_whole(self, artifact: Artifact) -> bool:
        """Whether what is stored is what was recorded, by its checksum."""
        return await self._storage.measure(artifact.key) == Landed(artifact.size, artifact.sha256)

    async def land_pages(self, step: StepContext, pages: PageReader, walk: ListWalk) -> o.Outcome:
        """Land the pages of a list as one file, then the manifest; the rest is as for :meth:`land_files`."""
        job = step.job
        link = Link("", pages.label, media_type=pages.media_type)
        (identity,) = identities((link,), job.submits)
        try:
            recorded = await step.recorded(self._jobs)
            kept = [one for ones in (await self._still_there((identity,), recorded)).values() for one in ones]
            if kept and not await self._is_whole(kept[0]):
                kept = []
        except StorageError as error:
            return storage_failure(error)
        if not kept:
            artifact = await self._join(job, step.operation, pages, walk, link, identity=identity)
            if not isinstance(artifact, Artifact):
                return artifact
            step.landed([artifact])
        files = [replace(one, number=0) for one in (*kept, *step.artifacts)]
        return await self._complete(job, files, clear=bool(recorded) or job.fetches > 1)

    async def _join(
        self, job: Job, operation: BoundOperation, pages: PageReader, walk: ListWalk, link: Link, *, identity: str
    ) -> Artifact | o.Outcome:
        key = self._key(job, operation, link, 0, 1)
        try:
            async with self._storage.group(job.id, 1) as group, await group.open(key, 0) as landing:
                if landing.offset:
                    await landing.restart()
                count = await walk.land(pages, landing, self._largest(operation))
                if not isinstance(count, int):
                    return count
                stored = await landing.finish()
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
        self._job_log.landed(job, artifact, 0)
        return artifact

    async def land_reply(
        self, job: Job, operation: BoundOperation, inline: o.Inline, beginning: ReplyBeginning
    ) -> o.Outcome:
        """Land a file that is the body of the reply just beginning, by the same rules as any download.

        Args:
            job: the job whose file it is.
            operation: reads the head of the reply.
            inline: what the reply was read as.
            beginning: the reply.

        Returns:
            ``Stored``, or why the reply is no file or could not be stored.
        """
        url, source = beginning.reply.url, InlineSource(beginning, certain=inline.certain)
        if inline.content is not None:
            return await self._land_content(job, operation, inline, inline.content, url)
        link = _as_it_lands(packed(Link(url, inline.label), operation.unpack(job)))
        # The reply's media type names the file, if that is not packed; the spec decides which type it must have.
        named = operation.media_type if link.gzip or link.archive else inline.media_type
        key = self._key(job, operation, replace(link, media_type=named), 0, 1)
        (identity,) = identities((Link("", inline.label),), job.submits)
        whole = key if link.archive is None else archive_key(key, 0)
        async with self._downloader.group(job.id, 1) as group:
            got = await self._downloader.download(
                job, operation, source, link, key=whole, identity=identity, group=group
            )
        if not isinstance(got, Downloaded):
            return got
        if link.archive is not None:
            archive = PackedArchive(link.archive, whole, link.label, identity, got.landed)
            return await self._land_members(job, operation, inline, archive)
        artifact = artifact_of(
            self._clock.now(), link, got.landed, number=0, key=key, media_type=got.media_type, identity=identity
        )
        self._job_log.landed(job, artifact, 0)
        return await self._complete(job, [artifact], inline.status, clear=_may_have_landed(job))

    async def _land_members(
        self, job: Job, operation: BoundOperation, inline: o.Inline, archive: PackedArchive
    ) -> o.Outcome:
        """Land the members of an archive that was the body of a reply."""

        def place_of(member: Member, place: int, of: int) -> tuple[int, str]:
            return place, self._key(job, operation, Link("", member.path), place, of)

        limits = ArchiveLimits(operation.bounds.most_files, self._largest(operation))
        got = await self._archives.land(
            job.id, archive, limits, place_of, media_type=operation.media_type, may_remove=lambda: True
        )
        if not isinstance(got, list):
            return got
        for artifact in got:
            self._job_log.landed(job, artifact, 0)
        return await self._complete(job, got, inline.status, clear=_may_have_landed(job))

    async def _land_content(
        self, job: Job, operation: BoundOperation, inline: o.Inline, content: bytes, url: str
    ) -> o.Outcome:
        """Land a file whose whole content is known."""
        media_type = self._job_log.text_without_secrets(inline.media_type or "") or operation.media_type
        link = Link(url, inline.label, media_type=media_type)
        key = self._key(job, operation, link, 0, 1)
        (identity,) = identities((Link("", inline.label),), job.submits)
        try:
            if job.fetches:
                await self._storage.drop_partials(job.id)
            stored = await self._storage.put(key, content)
        except StorageError as error:
            return storage_failure(error)
        artifact = artifact_of(
            self._clock.now(), link, stored, number=0, key=key, media_type=media_type, identity=identity
        )
        self._job_log.landed(job, artifact, 0)
        return await self._complete(job, [artifact], inline.status, clear=_may_have_landed(job))

    async def land_no_files(self, job: Job, empty: o.Empty) -> o.Outcome:
        """Write the manifest of a job that has no files."""
        return await self._complete(job, (), empty.status, clear=_may_have_landed(job))

    async def land_copies(self, job: Job, result: StoredResult) -> o.Outcome:
        """Land a copy of every file of another job's result; ``Retry`` if one of them has changed since."""
        copies: list[Artifact] = []
        try:
            for one in result.artifacts:
                key = f"{_folder(job)}/{one.name}"
                stored = await self._storage.copy(one.key, key)
                if stored.sha256 != one.sha256:
                    return o.Retry(f"the files of job {result.job_id}, whose result this job shares, have changed")
                # A copy is no file of a link, but the archive that it came from stays in the manifest.
                kept = None if ArchiveMember.read(one.identity) is None else one.identity
                copies.append(replace(one, key=key, landed_at=self._clock.now(), identity=kept))
                self._job_log.landed(job, copies[-1], 0)
        except StorageError as error:
            return storage_failure(error)
        outcome = await self._complete(job, copies, clear=job.fetches > 1)
        return replace(outcome, shared_from=result.job_id) if isinstance(outcome, o.Stored) else outcome

    async def drop_parts(self, job: Job) -> None:
        """Remove the partial files of a job that are of no more use.

        If the storage fails, retention removes them later.
        """
        with suppress(StorageError):
            await self._storage.drop_partials(job.id)

    async def _complete(
        self, job: Job, artifacts: Sequence[Artifact], status: str | None = None, *, clear: bool
    ) -> o.Outcome:
        """Write the manifest, which says that all files have landed.

        Args:
            job: the job.
            artifacts: its files, in the order of their numbers.
            status: the provider's status of the remote job, if it was just read.
            clear: whether earlier steps may have left other files, or unfinished ones; they are removed first.
        """
        pieces = manifest_pieces(
            job,
            params=self._job_log.without_secrets(job.params),
            labels=self._job_log.without_secrets(dict(job.context.labels)),
            status=status or job.remote_status,
            artifacts=artifacts,
            finished_at=self._clock.now(),
        )
        key, is_long = f"{_folder(job)}/{MANIFEST_NAME}", len(artifacts) > _MANY_ARTIFACTS
        try:
            if clear:
                await self._clear(job, frozenset(one.key for one in artifacts))
                if job.fetches:
                    await self._storage.drop_partials(job.id)
            # A cancel request does not stop this: with its manifest a job has succeeded.
            await despite_cancel_request(write_manifest(self._storage, key, job.id, pieces, is_long=is_long))
        except StorageError as error:
            return storage_failure(error)
        return o.Stored(tuple(artifacts), status)

    async def _clear(self, job: Job, keep: Collection[str]) -> None:
        """Remove the job's files that are not to be kept: of earlier lists, and of steps that died uncommitted."""
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


def _may_have_landed(job: Job) -> bool:
    """Whether an earlier step may have landed a file without a commit: polls are not counted before they are sent."""
    return job.state is not State.SUBMITTING or job.submits > 1 or job.fetches > 0


def _named(links: Sequence[Link], of: int) -> tuple[Sequence[Link], Sequence[str]]:
    """Links as their files land, and the identity of each; for ten thousand links that takes a second."""
    landing = [_as_it_lands(link) for link in links]
    return landing, identities(landing, of)


def _as_it_lands(link: Link) -> Link:
    """A link whose label names the file that lands, which is the unpacked one."""
    return replace(link, label=re.sub(r"(?i)\.gz(ip)?$", "", link.label)) if link.gzip else link
