"""Backoff with jitter, what a server's Retry-After may change of it, rate limits, and how much of a reply is used."""

import math
from dataclasses import dataclass
from random import Random

from tidewaiter.domain.stages import ONLY_SUBMIT, Stages


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that an account accepts: files and JSON values in one reply, pages in one list, bytes in one file.

    It sends files of so many bytes in one request at most, and reads so many bytes of a reply that is no file.
    """

    most_files: int = 10_000
    most_pages: int = 100_000
    most_values: int = 1_000_000
    largest_file_bytes: int = 1 << 40
    largest_upload_bytes: int = 64 << 20
    largest_reply_bytes: int = 8 << 20


USUAL_BOUNDS = Bounds()
"""The bounds that apply unless the operator configures others."""


_LARGEST_EXPONENT = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """A clamped exponential schedule in seconds: ``base_s * factor ** n``, at most ``cap_s``.

    ``jitter`` (0 to 1) is the largest share by which a random number shortens a delay, so that jobs that were made
    together do not poll together.
    """

    base_s: float
    factor: float = 2.0
    cap_s: float = 3600.0
    jitter: float = 0.2

    def delay(self, n: int, rand: Random) -> float:
        """Seconds to wait before try ``n + 1``, where ``n`` counts from 0."""
        full = min(self.cap_s, self.base_s * self.factor ** min(max(n, 0), _LARGEST_EXPONENT))
        return full * (1.0 - self.jitter * rand.random())


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """The numbers and permissions that the state table needs for one operation of one account, all in seconds.

    ``repeatable``: a second submit does no harm. ``cancels``/``cleans``: the provider has such a request and the
    account uses it. ``shares``: the provider has one remote job for equal submits, so several jobs may follow it.
    ``reuses``: a job may use a remote job that it finds in the provider's list. ``stall_s``: how long a remote job may
    report nothing new. ``gone_grace_s``: how long after the submit a "not found" counts as lag. ``links_expire_s``: how
    long links may be refused in a row before the job fails. ``unknown``: the delays before a submit with an unknown
    outcome is repeated; ``most_unknown`` of them in a row park the job.
    ``again``: the delays before another submit, if the remote job failed for a passing reason; at most ``most_agains``
    such submits. ``retry_after_floor_s`` and ``retry_after_cap_s`` clamp a server's Retry-After.
    ``called_first_delay_s`` and ``called_poll`` are the slower schedule of a job whose submit sent a callback URL.
    ``stages`` are the requests that make and start a remote job. ``links_add_up``: a reply lists only new files, so the
    links of earlier replies are kept while the remote job is polled. ``learn``: polls follow what earlier jobs took;
    jobs whose parameters ``learn_by`` are the same are alike.
    """

    first_delay_s: float = 5.0
    poll: Backoff = Backoff(10.0, 1.5, 300.0)
    called_first_delay_s: float = 300.0
    called_poll: Backoff = Backoff(600.0, 1.5, 3600.0)
    retry: Backoff = Backoff(2.0, 2.0, 300.0, 0.5)
    unknown: Backoff = Backoff(2.0, 8.0, 3600.0, 0.5)
    again: Backoff = Backoff(600.0, 2.0, 3600.0, 0.0)
    deadline_s: float = 86_400.0
    stall_s: float = math.inf
    gone_grace_s: float = 60.0
    links_expire_s: float = 3600.0
    retry_after_floor_s: float = 1.0
    retry_after_cap_s: float = 3600.0
    repeatable: bool = False
    cancels: bool = False
    cleans: bool = False
    shares: bool = False
    reuses: bool = False
    links_add_up: bool = False
    most_resubmits: int = 1
    most_agains: int = 3
    most_fetches: int = 20
    most_cleanups: int = 8
    most_crashes: int = 5
    most_unknown: int = 5
    stages: Stages = ONLY_SUBMIT
    learn: bool = True
    learn_by: tuple[str, ...] = ()

    def clamp(self, retry_after_s: float) -> float:
        """A server's Retry-After within floor and cap, in seconds."""
        return min(max(retry_after_s, self.retry_after_floor_s), self.retry_after_cap_s)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an account's requests to its provider.

    At most ``requests`` in any window of ``period_s`` seconds (``None``: no such limit), two requests at least
    ``spacing_s`` apart, at most ``concurrency`` of them in flight; at most ``remote_jobs`` remote jobs under way.
    """

    requests: int | None = None
    period_s: float = 60.0
    spacing_s: float = 0.0
    concurrency: int = 64
    remote_jobs: int | None = None

    def unshareable(self, shards: int) -> str | None:
        """Why so many lanes cannot keep these limits together, as each needs at least one of what is shared."""
        for name in ("requests", "concurrency", "remote_jobs"):
            limit = getattr(self, name)
            if limit is not None and limit < shards:
                return f"{shards} lanes cannot share a limit of {limit} ({name}): use {limit} or fewer"
        return None

    def share(self, shards: int) -> "Limits":
        """The limits of each lane of the account, so that all lanes together keep the account's limits."""
        if shards == 1:
            return self
        requests = None if self.requests is None else max(1, self.requests // shards)
        remote_jobs = None if self.remote_jobs is None else max(1, self.remote_jobs // shards)
        concurrency = max(1, self.concurrency // shards)
        return Limits(requests, self.period_s, self.spacing_s * shards, concurrency, remote_jobs)
