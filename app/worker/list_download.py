"""Downloading the files of one list: each by itself, the good ones kept when others fail."""

from collections.abc import AsyncIterator, Iterable, MutableMapping, Sequence
from dataclasses import dataclass

from app.clock import Clock
from app.domain import outcome as o
from app.domain.gravity import closes_account, ends_download, gravest
from app.domain.manifest import Artifact
from app.domain.wire import Link
from app.providers.urls import origin_of
from app.storage.base import Landed
from app.transport.errors import AccountClosedError, AccountPausedError, HostClosedError
from app.worker.download import Downloaded, Downloader
from app.worker.hosts import Hosts
from app.worker.narrator import Narrator
from app.worker.session import SignInError
from app.worker.source import FileSource
from app.worker.visit import Visit

_AT_ONCE = 250  # files that are looked at before other tasks run
_LOOK_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class DownloadTools:
    """What the downloads of all jobs share."""

    downloader: Downloader
    hosts: Hosts
    clock: Clock
    job_log: Narrator


class ListDownload:
    """The files of one job in one step.

    Args:
        tools: what all downloads share.
        step: the step; every artifact is appended to its artifacts as soon as it is durable.
        links: all files, in the provider's order.
        names: the identity of each.
    """

    def __init__(self, tools: DownloadTools, step: Visit, links: Sequence[Link], names: Sequence[str]) -> None:
        self._tools = tools
        self._step = step
        self._job = step.job
        self._session = step.session
        self._links = links
        self._names = names
        self._source = FileSource(step.session, step.operation.file_headers(step.job), self._check_host)

    async def land(
        self, missing: Iterable[tuple[int, int, str]], placed: MutableMapping[int, Artifact]
    ) -> o.Outcome | None:
        """Land files.

        Args:
            missing: the place in the list, the number and the key of each.
            placed: gets the artifacts that have landed, by their place in the list.

        Returns:
            One outcome for all those that did not land; ``None`` where all did.

        Raises:
            SignInError, AccountPausedError: nothing could be asked of the provider, and no file says anything graver.
        """
        failures: list[o.Outcome] = []
        waits: list[o.NotYet] = []
        unasked: SignInError | AccountPausedError | None = None
        async for place, number, key in self._in_pieces(missing):
            own = self._session.owns(self._links[place].url)
            if own and (unasked is not None or any(map(closes_account, failures))):
                continue
            # Before the landing is opened, which may have to read a large part again.
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
                self._session.learned(got)
                failures.append(got)
                if ends_download(got):
                    break
        worst = gravest(failures, landed=bool(self._step.artifacts))
        if unasked is not None and not isinstance(worst, o.StorageFull | o.Unauthorized | o.Throttled):
            raise unasked
        # A host that stays closed for longer is not asked before its time, whenever the job's next step is.
        return worst or min(waits, key=lambda one: one.retry_after_s or 0.0, default=None)

    async def _in_pieces(self, missing: Iterable[tuple[int, int, str]]) -> AsyncIterator[tuple[int, int, str]]:
        """Each file; other tasks run now and then, because files that are passed over wait for nothing."""
        for looked_at, one in enumerate(missing, start=1):
            if looked_at % _AT_ONCE == 0:
                await self._tools.clock.sleep(0)
            yield one

    async def _land(self, place: int, number: int, key: str) -> Artifact | o.Outcome:
        link, identity = self._links[place], self._names[place]
        got = await self._tools.downloader.download(
            self._job, self._step.operation, self._source, link, key=key, identity=identity
        )
        if not isinstance(got, Downloaded):
            return got
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
        self._tools.hosts.served(self._job.account, origin_of(link.url))
        return artifact

    def _closed(self, url: str, *, own: bool) -> o.NotYet | None:
        """Why a file is not asked for now; ``None`` where it is."""
        try:
            if own:
                self._session.check_open()
            else:
                self._check_host(url)
        except AccountClosedError as error:
            return until_open(error)
        except HostClosedError as error:
            return _until_served(error)
        return None

    def _check_host(self, url: str) -> None:
        self._tools.hosts.check(self._job.account, origin_of(url))

    def _close(self, host: str, busy: o.Retry) -> o.NotYet:
        """Close the host of a file for a while."""
        asked = busy.retry_after_s
        wait_s = None if asked is None else self._step.operation.policy.clamp(asked)
        closing = self._tools.hosts.throttled(self._job.account, host, wait_s, busy.reason)
        return o.NotYet(str(closing), max(0.0, closing.until - self._tools.clock.now()), exact=True)


def until_open(error: AccountClosedError) -> o.NotYet:
    """The outcome of a download that must ask a provider whose account is closed: other downloads take its slot.

    It tries again before the closing ends, because a person may open the account.
    """
    return o.NotYet(str(error), min(error.wait_s, _LOOK_AGAIN_S), exact=True)


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
