"""Downloading the files of one list: each by itself, the good ones kept when others fail."""

from collections.abc import AsyncIterator, Callable, Iterable, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass

from app.clock import Clock
from app.domain import outcome as o
from app.domain.gravity import closes_account, ends_download, gravest
from app.domain.job import Job
from app.domain.manifest import Artifact
from app.domain.wire import Link
from app.providers.interpreter import BoundOperation
from app.providers.urls import origin_of
from app.storage.base import Landed
from app.transport.errors import AccountClosedError, AccountPausedError, HostClosedError
from app.worker.download import Downloaded, Downloader
from app.worker.hosts import Hosts
from app.worker.narrator import Narrator
from app.worker.session import SignedClient, SignInError
from app.worker.source import FileSource
from app.worker.unfinished import until_open

_AT_ONCE = 250  # files that are looked at before others run


@dataclass(frozen=True, slots=True)
class Parts:
    """What the downloads of all jobs share."""

    downloader: Downloader
    hosts: Hosts
    clock: Clock
    narrator: Narrator


class ListDownload:
    """The files of one job in one visit.

    Args:
        parts: what all downloads share.
        job: the job.
        operation: reads the heads of file replies.
        client: the way to the files.
        links: all files, in the provider's order.
        names: the identity of each.
        landed: every artifact is appended as soon as it is durable.
        weigh: called at once with the outcome of each file that did not land.
    """

    def __init__(
        self,
        parts: Parts,
        job: Job,
        operation: BoundOperation,
        client: SignedClient,
        *,
        links: Sequence[Link],
        names: Sequence[str],
        landed: MutableSequence[Artifact],
        weigh: Callable[[o.Outcome], object],
    ) -> None:
        self._parts = parts
        self._job = job
        self._operation = operation
        self._client = client
        self._links = links
        self._names = names
        self._landed = landed
        self._weigh = weigh
        self._source = FileSource(client, operation.file_headers(job), self._check_host)

    async def land(
        self, missing: Iterable[tuple[int, int, str]], placed: MutableMapping[int, Artifact]
    ) -> o.Outcome | None:
        """Land files.

        Args:
            missing: of each its place in the list, its number and its key.
            placed: takes what has landed, by its place in the list.

        Returns:
            What became of those that did not land, as one outcome; ``None`` where all did.

        Raises:
            SignInError, AccountPausedError: nothing could be asked of the provider, and no file says anything graver.
        """
        failures: list[o.Outcome] = []
        waits: list[o.NotYet] = []
        unasked: SignInError | AccountPausedError | None = None
        async for place, number, key in self._in_pieces(missing):
            own = self._client.owns(self._links[place].url)
            if own and (unasked is not None or any(map(closes_account, failures))):
                continue
            # Before the landing is opened, which may mean to read a large part again.
            closed = self._closed(self._links[place].url, own=own)
            if closed is not None:
                waits.append(closed)
                continue
            try:
                got = await self._land(place, number, key)
            except HostClosedError as error:
                waits.append(_until_served(error))
                continue
            except (SignInError, AccountPausedError) as error:
                unasked = error
                continue
            if isinstance(got, Artifact):
                placed[place] = got
            elif isinstance(got, o.Retry) and got.host is not None:
                waits.append(self._close(got.host, got))
            else:
                self._weigh(got)
                failures.append(got)
                if ends_download(got):
                    break
        worst = gravest(failures, landed=bool(self._landed))
        if unasked is not None and not isinstance(worst, o.StorageFull | o.Unauthorized | o.Throttled):
            raise unasked
        # A host that stays closed for longer is not asked before its time, whenever the job is visited.
        return worst or min(waits, key=lambda one: one.retry_after_s or 0.0, default=None)

    async def _in_pieces(self, missing: Iterable[tuple[int, int, str]]) -> AsyncIterator[tuple[int, int, str]]:
        """Each file; the loop goes on now and then, for files that are passed over wait for nothing."""
        for looked_at, one in enumerate(missing, start=1):
            if looked_at % _AT_ONCE == 0:
                await self._parts.clock.sleep(0)
            yield one

    async def _land(self, place: int, number: int, key: str) -> Artifact | o.Outcome:
        link, identity = self._links[place], self._names[place]
        got = await self._parts.downloader.download(
            self._job, self._operation, self._source, link, key=key, identity=identity
        )
        if not isinstance(got, Downloaded):
            return got
        artifact = artifact_of(
            self._parts.clock.now(),
            link,
            got.landed,
            number=number,
            key=key,
            media_type=got.media_type,
            identity=identity,
        )
        self._landed.append(artifact)
        self._parts.narrator.landed(self._job, artifact, got.resumed_from)
        self._parts.hosts.served(self._job.account, origin_of(link.url))
        return artifact

    def _closed(self, url: str, *, own: bool) -> o.NotYet | None:
        """Why a file is not asked for now; ``None`` where it is."""
        try:
            if own:
                self._client.check_open()
            else:
                self._check_host(url)
        except AccountClosedError as error:
            return until_open(error)
        except HostClosedError as error:
            return _until_served(error)
        return None

    def _check_host(self, url: str) -> None:
        self._parts.hosts.check(self._job.account, origin_of(url))

    def _close(self, host: str, busy: o.Retry) -> o.NotYet:
        """Close the host of a file for a while."""
        asked = busy.retry_after_s
        wait_s = None if asked is None else self._operation.policy.clamp(asked)
        closing = self._parts.hosts.throttled(self._job.account, host, wait_s, busy.reason)
        return o.NotYet(str(closing), max(0.0, closing.until - self._parts.clock.now()), exact=True)


def _until_served(error: HostClosedError) -> o.NotYet:
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
