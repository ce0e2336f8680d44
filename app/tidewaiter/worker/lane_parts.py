"""What a lane is made of: its way to the provider, its limits, and what it shares with the other lanes."""

from dataclasses import dataclass
from random import Random

from tidewaiter.clock import Clock
from tidewaiter.database.job_store import JobStore
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.authenticated_client import AuthenticatedClient
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.due_reader import DueReader
from tidewaiter.worker.executor import Executor
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.storage_gate import StorageGate


@dataclass(frozen=True, slots=True)
class ProviderAccess:
    """How a lane reaches its provider.

    ``account`` is bound to the provider's spec, ``client`` sends requests, and ``budget`` admits them.
    """

    account: BoundAccount
    client: AuthenticatedClient
    budget: Budget


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How much may be under way in a lane at once: steps of each track, and jobs at the provider (``None``: any)."""

    polls: int
    downloads: int
    remote_jobs: int | None


@dataclass(frozen=True, slots=True)
class LaneParts:
    """The parts of the daemon that all its lanes use.

    ``executor`` takes the steps, ``due_reader`` has the due jobs, and ``committer`` commits outcomes. ``job_log`` logs
    crashes. ``storage_gate`` is open while the storage takes files. ``rand`` spreads retries.
    """

    executor: Executor
    jobs: JobStore
    due_reader: DueReader
    committer: Committer
    job_log: JobLog
    storage_gate: StorageGate
    clock: Clock
    rand: Random
