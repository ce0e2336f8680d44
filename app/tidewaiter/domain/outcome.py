"""Outcomes: what one step learned. Expected replies of the outside are values here, never exceptions."""

from dataclasses import dataclass, field
from typing import TypeAlias

from tidewaiter.domain.http_values import Link
from tidewaiter.domain.manifest import Artifact


@dataclass(frozen=True, slots=True)
class Intended:
    """The intent to submit is about to be made durable; ``key`` names it, also as idempotency key.

    ``callback_hash`` is what is kept of the token in the callback URL that the submit will name, where it names one.
    """

    key: str
    callback_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the submit and named the remote job; ``exact`` is as in ``Pending``."""

    handle: str
    retry_after_s: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The provider says that the same remote job exists already, and names it or not; it is shared from now on."""

    handle: str | None


@dataclass(frozen=True, slots=True)
class Unsent:
    """The submit provably never reached the provider."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It is not known whether the provider took the submit."""

    reason: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """The remote job of an unknown submit was found."""

    handle: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The remote job of an unknown submit was shown not to exist."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undecidable:
    """The provider gives no way to find out what became of the submit."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """The remote job is not ready. ``handle`` is the handle as this reply gave it, where it did.

    ``exact`` says that ``retry_after_s`` replaces our own schedule; else it is only a "not before".
    """

    status: str | None = None
    progress: str | None = None
    retry_after_s: float | None = None
    handle: str | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The remote job has finished. ``links`` is empty where the links are asked for when fetching.

    ``handle`` is the handle as this reply gave it, where it did: the results are asked for with it.
    """

    links: tuple[Link, ...] = ()
    status: str | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """The reply just read is the file itself. The step lands it and reports ``Stored``; the table never sees this.

    ``content`` is what lands in place of the reply's body, where that is not the file. ``certain`` says that a rule has
    called it the file which named the status, or looked into the reply: a 2xx of another meaning then says no more.
    """

    label: str
    media_type: str | None = None
    status: str | None = None
    handle: str | None = None
    content: bytes | None = None
    certain: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Empty:
    """The remote job has finished without a file. The step writes the manifest and reports ``Stored``, as above."""

    status: str | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class FetchStarted:
    """A download is about to begin. It is counted first, so that a file that crashes its step is not tried for ever."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Every artifact is durable, and the manifest after them.

    ``status`` is the provider's word, and ``handle`` the handle, where they came along. ``shared_from`` is the job
    whose answer this is a copy of, where the provider was not asked.
    """

    artifacts: tuple[Artifact, ...]
    status: str | None = None
    shared_from: int | None = None
    handle: str | None = None


@dataclass(frozen=True, slots=True)
class LinksExpired:
    """The links do not work; a poll gives new ones.

    ``progressed`` says that a file has landed meanwhile, or that a download came further than the one before.
    """

    reason: str
    progressed: bool = False


@dataclass(frozen=True, slots=True)
class LinksLost:
    """The links are stored and cannot be read: the key that encrypted them is not configured any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The provider does not know the remote job (any more)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A reply that no rule of the spec matches; ``excerpt`` is its beginning, redacted."""

    excerpt: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The remote job was deleted, or was no longer there."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The provider was asked to cancel the remote job, or has no such request."""


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Other jobs of ours follow the same remote job, or none of ours has made it: this job must not end it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A passing fault: the same step again, later.

    ``progressed`` says that a download came further than the one before, and kept what came. ``host`` is the origin of
    a host of files, not the provider's own, that asks for a pause: downloads from it wait, uncharged.

    ``unreadable`` says that the provider's reply made no sense, such as a page of HTML where JSON was promised.
    """

    reason: str
    retry_after_s: float | None = None
    progressed: bool = False
    host: str | None = field(default=None, compare=False)
    unreadable: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class NotYet:
    """The file is not there yet, or must not be asked for now: the same step again, later, and nothing is charged.

    ``retry_after_s`` is what the server asked for; ``exact`` says that it is known when to ask again, so that no
    growing delay of our own comes before it. Only the job's deadline bounds how often it happens.
    """

    reason: str
    retry_after_s: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Throttled:
    """The provider asks for a pause; that concerns the account, not the job."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The account's credentials are refused (or its TLS cannot be trusted); the account is paused."""

    reason: str


@dataclass(frozen=True, slots=True)
class StorageFull:
    """The storage has no room, or cannot be reached; downloads are paused and nothing is charged to the job."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The daemon is draining or has lost the lane; nothing is charged to the job."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider refuses permanently."""

    reason: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The step failed with a bug of ours. ``sent`` says whether one of its requests may have reached the provider."""

    reason: str
    sent: bool = True


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The job has waited longer than its operation allows. ``reason`` is what it was waiting for."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A person asked to stop the job."""


@dataclass(frozen=True, slots=True)
class RetryDecided:
    """A person decided that a parked job shall be submitted again."""


@dataclass(frozen=True, slots=True)
class AdoptDecided:
    """A person found the remote job of a parked job."""

    handle: str


Outcome: TypeAlias = (
    Intended
    | Accepted
    | Duplicate
    | Unsent
    | Unknown
    | Adopted
    | Absent
    | Undecidable
    | Pending
    | Ready
    | FetchStarted
    | Stored
    | LinksExpired
    | LinksLost
    | Gone
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
