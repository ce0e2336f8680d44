"""Outcomes: what one step learned. Expected replies are values here, never exceptions.

``kept`` of an outcome are the values of the reply that the spec keeps, by name; they are added to those of the job.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import TypeAlias

from tidewaiter.domain.http_values import Link
from tidewaiter.domain.immutable import immutable
from tidewaiter.domain.manifest import Artifact


@immutable(frozen=True, slots=True)
class Intended:
    """The intent to submit is about to be made durable; ``key`` names it, also as idempotency key.

    ``callback_hash`` is the hash of the token in the callback URL, if the submit will send one.
    """

    key: str
    callback_hash: str | None = None


@immutable(frozen=True, slots=True)
class Accepted:
    """The provider took the submit and named the remote job; ``exact`` is as in ``Pending``."""

    handle: str
    retry_after_s: float | None = None
    exact: bool = False
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class Duplicate:
    """The provider says that the same remote job exists already. ``handle`` is ``None`` if it does not name it."""

    handle: str | None
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class StepDone:
    """A request before the submit, or one that starts the remote job, is done.

    ``stage`` is its name; ``retry_after_s`` and ``exact`` are as in ``Pending``.
    """

    stage: str
    retry_after_s: float | None = None
    exact: bool = False
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class Reused:
    """The provider has a remote job of the same question, which is used in place of a new one.

    ``made_at`` is when it was made, in epoch seconds, as the provider's list says.
    """

    handle: str
    made_at: float
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class Unsent:
    """The submit certainly never reached the provider."""

    reason: str


@immutable(frozen=True, slots=True)
class Unknown:
    """It is not known whether the provider took the submit."""

    reason: str


@immutable(frozen=True, slots=True)
class Adopted:
    """The remote job of an unknown submit was found."""

    handle: str
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class Absent:
    """The remote job of an unknown submit was shown not to exist."""

    reason: str


@immutable(frozen=True, slots=True)
class Undecidable:
    """The provider gives no way to find out what became of the submit."""

    reason: str


@immutable(frozen=True, slots=True)
class Pending:
    """The remote job is not ready. ``handle`` is the handle in this reply, if it has one.

    ``exact``: ``retry_after_s`` replaces our own schedule; else it is only a "not before".

    ``links`` are all files that can be fetched already, in their order. ``lists``: there are such files, and their
    links are in lists that must be requested.
    """

    status: str | None = None
    progress: str | None = None
    retry_after_s: float | None = None
    handle: str | None = None
    exact: bool = False
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)
    links: tuple[Link, ...] = ()
    lists: bool = False


@immutable(frozen=True, slots=True)
class Ready:
    """The remote job has finished. ``links`` is empty if the links are requested during the download.

    ``handle`` is the handle in this reply, if it has one; the results are requested with it. ``lists``: the reply is
    the first page of the list that leads to the files.
    """

    links: tuple[Link, ...] = ()
    status: str | None = None
    handle: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)
    lists: bool = False


@immutable(frozen=True, slots=True)
class Inline:
    """The reply is the file itself. The step lands it and reports ``Stored``; the state table never gets this outcome.

    ``content`` lands in place of the reply's body, if the body is not the file. ``certain``: a rule that names the
    status or examines the reply says that it is the file, so the default meaning of the 2xx status does not count.
    """

    label: str
    media_type: str | None = None
    status: str | None = None
    handle: str | None = None
    content: bytes | None = None
    certain: bool = field(default=False, compare=False)
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class Empty:
    """The remote job has finished without a file. The step writes the manifest and reports ``Stored``."""

    status: str | None = None
    handle: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class StepStarted:
    """A step is about to begin, of a job whose last step may have ended the daemon. It is counted first."""


@immutable(frozen=True, slots=True)
class FetchStarted:
    """A download is about to begin. It is counted first, so that a file that crashes its step is not tried forever.

    ``suspect``: the download before may have ended the daemon.
    """

    suspect: bool = False


@immutable(frozen=True, slots=True)
class Stored:
    """Every artifact is durable, and the manifest after them.

    ``status`` and ``handle`` are those of the reply, if it had them. ``shared_from`` is the job whose result was
    copied, if the provider was not asked.
    """

    artifacts: tuple[Artifact, ...]
    status: str | None = None
    shared_from: int | None = None
    handle: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


@immutable(frozen=True, slots=True)
class PartLanded:
    """The files that were listed before the remote job finished are durable; it is polled again."""


@immutable(frozen=True, slots=True)
class LinksExpired:
    """The links do not work; a poll gives new ones.

    ``progressed``: a file has landed, or a download received more than the one before.
    """

    reason: str
    progressed: bool = False


@immutable(frozen=True, slots=True)
class LinksLost:
    """The links are stored and cannot be read: the key that encrypted them is not configured any more."""

    reason: str


@immutable(frozen=True, slots=True)
class Gone:
    """The provider does not know the remote job (any more)."""

    reason: str


@immutable(frozen=True, slots=True)
class FailedForNow:
    """The provider failed the remote job, or refused the submit, for a passing reason: submit again, later.

    The provider has said that there is no result, so another submit makes no duplicate.
    ``retry_after_s`` is the server's Retry-After, the least delay.
    """

    reason: str
    retry_after_s: float | None = None


@immutable(frozen=True, slots=True)
class Unmapped:
    """A reply that no rule of the spec matches; ``excerpt`` is its beginning, redacted."""

    excerpt: str


@immutable(frozen=True, slots=True)
class Cleaned:
    """The remote job was deleted, or was no longer there."""


@immutable(frozen=True, slots=True)
class Cancelled:
    """The cancel request was sent to the provider, or the provider has no such request."""


@immutable(frozen=True, slots=True)
class LeftAlone:
    """The job must not end the remote job: other jobs of ours follow it, or none of ours has made it."""


@immutable(frozen=True, slots=True)
class Retry:
    """A temporary fault: the same step again, later.

    ``progressed``: a download received more than the one before, and kept it. ``host`` is the origin of a file host,
    not the provider's own, that asks for a pause: downloads from it wait, and their jobs are not charged.

    ``unreadable``: the reply could not be understood, such as a page of HTML in place of JSON.
    """

    reason: str
    retry_after_s: float | None = None
    progressed: bool = False
    host: str | None = field(default=None, compare=False)
    unreadable: bool = field(default=False, compare=False)


@immutable(frozen=True, slots=True)
class NotYet:
    """The file is not there yet, or must not be requested now: the same step again, later, without charge.

    ``retry_after_s`` is the server's Retry-After. ``exact``: the time of the next try is known, so our own growing
    delay does not apply. Only the job's deadline limits the number of tries.
    """

    reason: str
    retry_after_s: float | None = None
    exact: bool = False


@immutable(frozen=True, slots=True)
class Throttled:
    """The provider asks for a pause of the account; the job is not charged."""

    reason: str
    retry_after_s: float | None = None


@immutable(frozen=True, slots=True)
class Unauthorized:
    """The account's credentials are refused (or its TLS cannot be trusted); the account is paused."""

    reason: str


@immutable(frozen=True, slots=True)
class StorageFull:
    """The storage has no room, or cannot be reached; downloads are paused and nothing is charged to the job."""

    reason: str


@immutable(frozen=True, slots=True)
class FilesLanded:
    """Some of the files have landed, and are recorded in the middle of the step; the download goes on."""


@immutable(frozen=True, slots=True)
class Interrupted:
    """The daemon is draining or has lost the lane; nothing is charged to the job."""


@immutable(frozen=True, slots=True)
class Refused:
    """The provider refuses permanently."""

    reason: str


@immutable(frozen=True, slots=True)
class Crashed:
    """The step failed with a bug of ours. ``sent`` says whether one of its requests may have reached the provider."""

    reason: str
    sent: bool = True


@immutable(frozen=True, slots=True)
class DeadlinePassed:
    """The job has waited longer than its operation allows. ``reason`` says for what."""

    reason: str


@immutable(frozen=True, slots=True)
class CancelAsked:
    """A person asked to stop the job."""


@immutable(frozen=True, slots=True)
class RetryDecided:
    """A person decided to submit a parked job again."""


@immutable(frozen=True, slots=True)
class AdoptDecided:
    """A person found the remote job of a parked job. ``kept`` are values that the lost reply would have had."""

    handle: str
    kept: Mapping[str, str] = field(default_factory=dict, hash=False)


Outcome: TypeAlias = (
    Intended
    | Accepted
    | Duplicate
    | StepDone
    | Reused
    | Unsent
    | Unknown
    | Adopted
    | Absent
    | Undecidable
    | Pending
    | Ready
    | StepStarted
    | FetchStarted
    | FilesLanded
    | Stored
    | PartLanded
    | LinksExpired
    | LinksLost
    | Gone
    | FailedForNow
    | Unmapped
    | Cleaned
    | Cancelled
    | LeftAlone
    | Retry
    | NotYet
    | Throttled
    | Unauthorized
    | StorageFull
    | Interrupted
    | Refused
    | Crashed
    | DeadlinePassed
    | CancelAsked
    | RetryDecided
    | AdoptDecided
)
