"""Downloading the files of one list: each by itself, the good ones kept when others fail.

A host other than the provider's that answers 429 or 503 says nothing about the account: only the downloads from it
wait, for all jobs of the account. That is kept in memory: after a restart the host is asked once more.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from random import Random

from tidewaiter.clock import Clock
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import Backoff
from tidewaiter.domain.download_transitions import closes_account, ends_download, most_severe_outcome
from tidewaiter.domain.file_names import file_name
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.manifest import Artifact
from tidewaiter.providers.values.addresses import origin_of
from tidewaiter.storage.base import Landed
from tidewaiter.transport.wire import AccountClosedError, AccountPausedError, HostClosedError
from tidewaiter.worker.archive_landing import ArchiveLanding, PackedArchive
from tidewaiter.worker.archive_reading import ArchiveLimits, Member
from tidewaiter.worker.authenticated_client import SignInError
from tidewaiter.worker.file_download import Downloaded, Downloader, FileSource
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.step_context import StepContext

_BACKOFF = Backoff(base_s=5.0, factor=2.0, cap_s=300.0)
_SHORTEST_S = 1.0
_FORGET_AFTER_S = 2 * _BACKOFF.cap_s
_MANY = 256
_AT_ONCE = 250  # files that are looked at before other tasks run
_LOOK_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class HostClosing:
    """Until when a host is closed (epoch seconds), why, and how many times in a row it named no delay."""

    until: float
    reason: str
    without_delay: int

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.until, UTC)
        return f"closed for downloads until {moment:%Y-%m-%dT%H:%M:%SZ}: {self.reason}"


class FileHosts:
    """Which hosts are closed, for each account by itself.

    Args:
        clock: the time.
        rand: spreads the delays.
    """

    def __init__(self, clock: Clock, rand: Random) -> None:
        self._clock = clock
        self._rand = rand
        self._closings: dict[tuple[str, str], HostClosing] = {}

    def throttled(self, account: str, origin: str, retry_after_s: float | None, reason: str) -> HostClosing:
        """Close a host for as long as it asks, or for a growing backoff if it names no delay.

        Several downloads that ran together get the same reply; only the first of them makes the backoff grow.

        Args:
            account: whose downloads wait.
            origin: scheme, host and port.
            retry_after_s: the delay that the host asked for, within floor and cap.
            reason: the text of its reply.
        """
        now, before = self._clock.now(), self._closings.get((account, origin))
        if retry_after_s is None and before is not None and now < before.until:
            return before
        recent = before is not None and now < before.until + _FORGET_AFTER_S
        without_delay = before.without_delay if before is not None and recent else 0
        if retry_after_s is None:
            delay_s, without_delay = _BACKOFF.delay(without_delay, self._rand), without_delay + 1
        else:
            delay_s = max(retry_after_s, _SHORTEST_S)
        until = max(now + delay_s, before.until if before is not None else 0.0)
        closing = HostClosing(until, f"{origin} asked for it, {reason}", without_delay)
        self._closings[account, origin] = closing
        self._forget(now)
        return closing

    def served(self, account: str, origin: str) -> None:
        """A host gave a file: its delays start small again. A closing that is in force stays."""
        before = self._closings.get((account, origin))
        if before is not None and before.until <= self._clock.now():
            del self._closings[account, origin]

    def check(self, account: str, origin: str) -> None:
        """Raise ``HostClosedError`` if the host is closed."""
        closing = self._closings.get((account, origin))
        if closing is not None and (wait_s := closing.until - self._clock.now()) > 0:
            raise HostClosedError(str(closing), wait_s)

    def _forget(self, now: float) -> None:
        """Forget the closings that ended long ago."""
        if len(self._closings) > _MANY:
            self._closings = {key: one for key, one in self._closings.items() if now < one.until + _FORGET_AFTER_S}


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
        step: the step; every artifact is appended to its artifacts as soon as it is durable.
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
        self._free_numbers: Iterator[int] = iter(())
        self._room = 0

    async def land(
        self, missing: Sequence[tuple[int, int, str]], placed: MutableMapping[int, tuple[Artifact, ...]]
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
        failures: list[o.Outcome] = []
        waits: list[o.NotYet] = []
        not_sent: SignInError | AccountPausedError | None = None
        taken = {one.number for every in placed.values() for one in every} | {number for _, number, _ in missing}
        self._free_numbers = (number for number in count(len(self._links)) if number not in taken)
        again = {place for place, _, _ in missing}
        kept = sum(len(every) for place, every in placed.items() if place not in again)
        self._room = self._step.operation.bounds.most_files - kept
        async for place, number, key in self._in_pieces(missing):
            own = self._session.owns(self._links[place].url)
            if own and (not_sent is not None or any(map(closes_account, failures))):
                continue
            # Before the landing is opened, which may have to read a large part again.
            closed = self._closed(self._links[place].url, own=own)
            if closed is not None:
                waits.append(closed)
                continue
            try:
                got = await self._land(place, number, key)
            except HostClosedError as error:
                waits.append(_not_served(error))
                continue
            except (SignInError, AccountPausedError) as error:
                not_sent = error
                continue
            if isinstance(got, tuple):
                placed[place] = got
            elif isinstance(got, o.Retry) and got.host is not None:
                waits.append(self._close(got.host, got))
            else:
                self._session.report(got)
                failures.append(got)
                if ends_download(got):
                    break
        worst = most_severe_outcome(failures, landed=bool(self._step.artifacts))
        if not_sent is not None and not isinstance(worst, o.StorageFull | o.Unauthorized | o.Throttled):
            raise not_sent
        # A host that stays closed for longer is not asked before its time, whenever the job's next step is.
        return worst or min(waits, key=lambda one: one.retry_after_s or 0.0, default=None)

    async def _in_pieces(self, missing: Iterable[tuple[int, int, str]]) -> AsyncIterator[tuple[int, int, str]]:
        """Each file; other tasks run now and then, because skipped files wait for nothing."""
        for looked_at, one in enumerate(missing, start=1):
            if looked_at % _AT_ONCE == 0:
                await self._tools.clock.sleep(0)
            yield one

    async def _land(self, place: int, number: int, key: str) -> tuple[Artifact, ...] | o.Outcome:
        link, identity = self._links[place], self._names[place]
        whole = key if link.archive is None else archive_key(key, number)
        got = await self._tools.downloader.download(
            self._job, self._step.operation, self._source, link, key=whole, identity=identity
        )
        if not isinstance(got, Downloaded):
            return got
        self._tools.hosts.served(self._job.account, origin_of(link.url))
        if link.archive is not None:
            archive = PackedArchive(link.archive, whole, link.label, identity, got.landed)
            return await self._unpack(archive, number, key)
        artifact = artifact_of(
            self._tools.clock.now(),
            link,
            got.landed,
            number=number,
            key=key,
            media_type=got.media_type,
            identity=identity,
        )
        self._step.artifacts.append(artifact)
        self._tools.job_log.landed(self._job, artifact, got.resumed_from)
        self._room -= 1
        return (artifact,)

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
        self._step.artifacts.extend(got)  # all of them are recorded at once
        for artifact in got:
            self._tools.job_log.landed(self._job, artifact, 0)
        return tuple(got)

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
