"""Downloading the files of one list side by side, the good ones kept when others fail.

The step itself has one slot of the worker; more files at once take the slots that no other job wants, and give each
back when its file has ended. A host serves one file alone before it is asked for several. What has landed is durable,
logged and recorded every few seconds, so that a daemon that is killed downloads little again.
"""

import asyncio
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import count

from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.download_transitions import closes_account, ends_download, most_severe_outcome
from tidewaiter.domain.file_names import file_name
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.manifest import Artifact
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.storage.base import Landed, LandingGroup, StorageError
from tidewaiter.transport.wire import AccountClosedError, AccountPausedError, HostClosedError
from tidewaiter.worker.archive_landing import ArchiveLanding, PackedArchive
from tidewaiter.worker.archive_reading import ArchiveLimits, Member
from tidewaiter.worker.authenticated_client import SignInError
from tidewaiter.worker.file_download import Downloaded, Downloader, FileSource, storage_failure
from tidewaiter.worker.file_hosts import FileHosts
from tidewaiter.worker.file_slots import FileQueue, HostShares
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.step_context import StepContext

_AT_ONCE = 250  # files that are looked at before other tasks run
_LOOK_AGAIN_S = 60.0
_SYNC_AFTER_S = 1.0
_MOST_UNSYNCED = 64
_RECORD_AFTER_S = 3.0

_Missing = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class DownloadTools:
    """What the downloads of all jobs share."""

    downloader: Downloader
    archives: ArchiveLanding
    hosts: FileHosts
    clock: Clock
    job_log: JobLog


class ListDownload:
    """The files of one job in one step.

    Args:
        tools: what all downloads share.
        step: the step; every artifact is given to it as soon as it is durable.
        links: all files, in the provider's order.
        names: the identity of each.
    """

    def __init__(self, tools: DownloadTools, step: StepContext, links: Sequence[Link], names: Sequence[str]) -> None:
        self._tools = tools
        self._step = step
        self._job = step.job
        self._session = step.session
        self._links = links
        self._names = names
        self._source = FileSource(step.session, step.operation.file_headers(step.job), self._check_host)
        # The members of archives get free numbers in the order of the list.
        self._one_by_one = any(link.archive is not None for link in links)
        self._free_numbers: Iterator[int] = iter(())
        self._room = 0
        self._failures: list[o.Outcome] = []
        self._waits: list[o.NotYet] = []
        self._not_sent: SignInError | AccountPausedError | None = None
        self._is_over = False
        self._landed: list[tuple[int, tuple[Artifact, ...], int]] = []
        self._synced_at = self._recorded_at = 0.0

    async def land(
        self, missing: Sequence[_Missing], placed: MutableMapping[int, tuple[Artifact, ...]]
    ) -> o.Outcome | None:
        """Land files.

        Args:
            missing: the place in the list, the number and the key of each.
            placed: gets the artifacts that have landed, by their place in the list: one, or the members of an archive.

        Returns:
            One outcome for all files that did not land; ``None`` if all did.

        Raises:
            SignInError, AccountPausedError: nothing could be requested from the provider, and no file has a graver
            outcome.
        """
        if not missing:
            return None
        taken = {one.number for every in placed.values() for one in every} | {number for _, number, _ in missing}
        self._free_numbers = (number for number in count(len(self._links)) if number not in taken)
        again = {place for place, _, _ in missing}
        kept = sum(len(every) for place, every in placed.items() if place not in again)
        self._room = self._step.operation.bounds.most_files - kept
        self._begin()
        try:
            async with self._tools.downloader.group(self._job.id, len(missing)) as group:
                try:
                    await (self._each(missing, group, placed) if len(missing) > 1 else self._only(missing[0], group))
                finally:
                    await self._sync(group, placed)
        except StorageError as error:  # of the folder of the step, so of no file alone
            self._failures.append(storage_failure(error))
        worst = most_severe_outcome(self._failures, landed=self._step.has_landed)
        if self._not_sent is not None and not isinstance(worst, o.StorageFull | o.Unauthorized | o.Throttled):
            raise self._not_sent
        # A host that stays closed for longer is not asked before its time, whenever the job's next step is.
        return worst or min(self._waits, key=lambda one: one.retry_after_s or 0.0, default=None)

    def _begin(self) -> None:
        self._failures, self._waits, self._not_sent, self._is_over = [], [], None, False
        self._synced_at = self._recorded_at = self._tools.clock.monotonic()

    # --- side by side -------------------------------------------------------------------------------------------------

    async def _each(
        self, missing: Sequence[_Missing], group: LandingGroup, placed: MutableMapping[int, tuple[Artifact, ...]]
    ) -> None:
        """Begin one file after the other, as the slots of the worker and the shares of the hosts allow."""
        shares = HostShares(self._step.slots, one_by_one=self._one_by_one)
        queue = await self._queued(missing)
        running: dict[asyncio.Task[bool], str] = {}
        try:
            while (queue and not self._is_over) or running:
                await self._begin_more(queue, group, shares, running)
                if running and not self._is_over:
                    await asyncio.wait(running, timeout=self._due_in_s(), return_when=asyncio.FIRST_COMPLETED)
                for task in [one for one in running if self._is_over or one.done()]:
                    task.cancel()  # does nothing to one that is done
                    await asyncio.wait([task])
                    shares.end(running.pop(task), served=_has_served(task))
                    if not task.cancelled() and (error := task.exception()) is not None:
                        raise error
                await self._keep(group, placed)
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)
            for host in running.values():
                shares.end(host, served=False)

    async def _only(self, missing: _Missing, group: LandingGroup) -> None:
        """Land a single file, in the task and with the slot of the step."""
        place, number, key = missing
        if not self._passes_over(place):
            await self._one(group, place, number, key)

    async def _queued(self, missing: Sequence[_Missing]) -> FileQueue[_Missing]:
        """The files by their hosts; an empty name is the provider itself."""
        queue: FileQueue[_Missing] = FileQueue()
        for looked_at, one in enumerate(missing, 1):
            url = self._links[one[0]].url
            queue.add(one, "" if self._session.owns(url) else origin_of(url))
            if looked_at % _AT_ONCE == 0:
                await self._tools.clock.sleep(0)
        return queue

    async def _begin_more(
        self,
        queue: FileQueue[_Missing],
        group: LandingGroup,
        shares: HostShares,
        running: dict[asyncio.Task[bool], str],
    ) -> None:
        looked_at = 0
        while not self._is_over and shares.may_begin() and (found := queue.take(shares.has_room)) is not None:
            looked_at += 1
            if looked_at % _AT_ONCE == 0:
                await self._tools.clock.sleep(0)
            (place, number, key), host = found
            if not self._passes_over(place):
                await shares.begin(host)
                running[asyncio.create_task(self._one(group, place, number, key))] = host

    def _passes_over(self, place: int) -> bool:
        """Whether a file is not requested in this step, because nothing is from there."""
        url = self._links[place].url
        own = self._session.owns(url)
        if own and (self._not_sent is not None or any(map(closes_account, self._failures))):
            return True
        # Before the landing is opened, which may have to read a large part again.
        closed = self._closed(url, own=own)
        if closed is not None:
            self._waits.append(closed)
        return closed is not None

    async def _one(self, group: LandingGroup, place: int, number: int, key: str) -> bool:
        """Land one file; whether its host served it."""
        try:
            got = await self._land(group, place, number, key)
        except HostClosedError as error:
            self._waits.append(_not_served(error))
            return False
        except (SignInError, AccountPausedError) as error:
            self._not_sent = error
            return False
        if isinstance(got, tuple):
            artifacts, resumed_from = got
            self._landed.append((place, artifacts, resumed_from))
            return True
        if isinstance(got, o.Retry) and got.host is not None:
            self._waits.append(self._close(got.host, got))
        else:
            self._session.report(got)
            self._failures.append(got)
            self._is_over = self._is_over or ends_download(got)
        return False

    # --- what has landed ----------------------------------------------------------------------------------------------

    def _due_in_s(self) -> float | None:
        """In how many seconds something must be synced or recorded; ``None`` if nothing waits for it."""
        now = self._tools.clock.monotonic()
        if self._landed:
            return max(0.0, self._synced_at + _SYNC_AFTER_S - now)
        if self._step.artifacts and self._step.record is not None:
            return max(0.0, self._recorded_at + _RECORD_AFTER_S - now)
        return None

    async def _keep(self, group: LandingGroup, placed: MutableMapping[int, tuple[Artifact, ...]]) -> None:
        """Sync what has landed, and record it, if it is time."""
        now = self._tools.clock.monotonic()
        if self._landed and (now >= self._synced_at + _SYNC_AFTER_S or len(self._landed) >= _MOST_UNSYNCED):
            await self._sync(group, placed)
            self._synced_at = now
        if now >= self._recorded_at + _RECORD_AFTER_S:
            await self._step.record_landed()
            self._recorded_at = now

    async def _sync(self, group: LandingGroup, placed: MutableMapping[int, tuple[Artifact, ...]]) -> None:
        """Make durable what has landed, give it to the step, and log it."""
        landed, self._landed = self._landed, []
        if not landed:
            return
        syncing = asyncio.ensure_future(group.sync())
        try:
            await asyncio.shield(syncing)
        except asyncio.CancelledError:
            # An interrupted step records what it has landed, too.
            await asyncio.wait([syncing])
            if syncing.exception() is None:
                self._give(landed, placed)
            raise
        except StorageError as error:
            self._failures.append(storage_failure(error))
            self._is_over = True
            return
        self._give(landed, placed)

    def _give(
        self,
        landed: Sequence[tuple[int, tuple[Artifact, ...], int]],
        placed: MutableMapping[int, tuple[Artifact, ...]],
    ) -> None:
        for place, artifacts, resumed_from in landed:
            placed[place] = artifacts
            self._step.landed(artifacts)
            for artifact in artifacts:
                self._tools.job_log.landed(self._job, artifact, resumed_from)

    # --- one file -----------------------------------------------------------------------------------------------------

    async def _land(
        self, group: LandingGroup, place: int, number: int, key: str
    ) -> tuple[tuple[Artifact, ...], int] | o.Outcome:
        link, identity = self._links[place], self._names[place]
        whole = key if link.archive is None else archive_key(key, number)
        got = await self._tools.downloader.download(
            self._job, self._step.operation, self._source, link, key=whole, identity=identity, group=group
        )
        if not isinstance(got, Downloaded):
            return got
        self._tools.hosts.served(self._job.account, origin_of(link.url))
        if link.archive is not None:
            archive = PackedArchive(link.archive, whole, link.label, identity, got.landed)
            members = await self._unpack(archive, number, key)
            return (members, 0) if isinstance(members, tuple) else members
        artifact = artifact_of(
            self._tools.clock.now(),
            link,
            got.landed,
            number=number,
            key=key,
            media_type=got.media_type,
            identity=identity,
        )
        self._room -= 1
        return (artifact,), got.resumed_from

    async def _unpack(self, archive: PackedArchive, first: int, key: str) -> tuple[Artifact, ...] | o.Outcome:
        """Land the members of an archive that has been downloaded; ``first`` is the number of the first one."""
        operation, folder = self._step.operation, key.rpartition("/")[0]

        def place_of(member: Member, place: int, of: int) -> tuple[int, str]:
            number = first if place == 0 else next(self._free_numbers)
            total = max(of, len(self._links))
            return (
                number,
                f"{folder}/{file_name(member.path, number, total, operation.media_type, self._job.operation)}",
            )

        got = await self._tools.archives.land(
            self._job.id,
            archive,
            ArchiveLimits(self._room, operation.bounds.largest_file_bytes),
            place_of,
            media_type=operation.media_type,
            may_remove=self._step.lease.held,
        )
        if not isinstance(got, list):
            return got
        self._room -= len(got)
        return tuple(got)  # all of them are recorded at once

    def _closed(self, url: str, *, own: bool) -> o.NotYet | None:
        """Why a file is not requested now; ``None`` if it is."""
        try:
            if own:
                self._session.check_open()
            else:
                self._check_host(url)
        except AccountClosedError as error:
            return not_open(error)
        except HostClosedError as error:
            return _not_served(error)
        return None

    def _check_host(self, url: str) -> None:
        self._tools.hosts.check(self._job.account, origin_of(url))

    def _close(self, host: str, busy: o.Retry) -> o.NotYet:
        """Close the host of a file for a while."""
        asked = busy.retry_after_s
        wait_s = None if asked is None else self._step.operation.policy.clamp(asked)
        closing = self._tools.hosts.throttled(self._job.account, host, wait_s, busy.reason)
        return o.NotYet(str(closing), max(0.0, closing.until - self._tools.clock.now()), exact=True)


def _has_served(task: asyncio.Task[bool]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result()


def archive_key(key: str, number: int) -> str:
    """Where an archive is kept until its members have landed; no file has such a name."""
    return f"{key.rpartition('/')[0]}/_archive-{number}"


def not_open(error: AccountClosedError) -> o.NotYet:
    """The outcome of a download while the account is closed: other downloads take its slot.

    It tries again before the closing ends, because a person may open the account.
    """
    return o.NotYet(str(error), min(error.wait_s, _LOOK_AGAIN_S), exact=True)


def _not_served(error: HostClosedError) -> o.NotYet:
    return o.NotYet(str(error), error.wait_s, exact=True)


def artifact_of(
    now: float, link: Link, landed: Landed, *, number: int, key: str, media_type: str | None, identity: str
) -> Artifact:
    """The artifact of a file that has just landed."""
    return Artifact(
        number=number,
        name=key.rsplit("/", 1)[-1],
        label=link.label,
        key=key,
        size=landed.size,
        sha256=landed.sha256,
        media_type=media_type or "application/octet-stream",
        landed_at=now,
        count=link.count,
        identity=identity,
    )
