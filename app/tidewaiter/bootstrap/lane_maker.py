"""Builds lanes: from one account's configuration, and the parts that all lanes of a daemon use."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tidewaiter.bootstrap.live_config import BoundConfig
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_rows import LaneRow
from tidewaiter.log import EventLog
from tidewaiter.metrics.process_metrics import ELSEWHERE, PROVIDER
from tidewaiter.transport.account_client import AccountClient, ClientSettings
from tidewaiter.transport.counting_wire import CountingWire
from tidewaiter.transport.request_budget import Budget
from tidewaiter.worker.account_observer import AccountObserver
from tidewaiter.worker.account_pauses import Pauses
from tidewaiter.worker.authenticated_client import AuthenticatedClient
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.due_reader import DueReader
from tidewaiter.worker.executor import Executor
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lane import Lane
from tidewaiter.worker.lane_parts import LaneLimits, LaneParts, ProviderAccess
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.shared_results import SharedResults
from tidewaiter.worker.storage_gate import StorageGate
from tidewaiter.worker.token_renewal import RefreshTokens, RenewingLane
from tidewaiter.worker.uploads import Uploads


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What the lanes of a daemon share, whatever its configuration."""

    seams: Seams
    log: EventLog
    jobs: JobStore
    due_reader: DueReader
    committer: Committer
    job_log: JobLog
    fetcher: ResultFetcher
    pauses: Pauses
    gate: StorageGate
    refresh_tokens: RefreshTokens


def lane_maker(bound: BoundConfig, shared: SharedParts) -> Callable[[LaneRow, Lease], Lane]:
    """Returns a function that builds the lanes of these accounts."""
    config = bound.config
    clock, rand, log = shared.seams.clock, shared.seams.rand, shared.log
    metrics = shared.seams.metrics
    for one in bound.accounts.values():
        one.auth.redactor.join(log.redactor)
    parts = LaneParts(
        executor=Executor(
            shared.fetcher,
            shared.jobs,
            shared.committer,
            clock=clock,
            rand=rand,
            log=log,
            public_url=config.callbacks.public_url,
        ),
        jobs=shared.jobs,
        due_reader=shared.due_reader,
        committer=shared.committer,
        job_log=shared.job_log,
        storage_gate=shared.gate,
        clock=clock,
        rand=Random(rand.getrandbits(64)),  # spreads polls and makes no secret: a system call for each is too dear
    )

    def make_lane(row: LaneRow, lease: Lease) -> Lane:
        account, settings = bound.accounts[row.account], config.accounts[row.account]
        limits = account.limits.share(max(settings.shards, row.lane_count))
        budget = Budget(clock, rand, limits, row.request_window, full=not row.clean)
        if row.closed_until is not None:
            budget.close(row.closed_until, row.closed_reason or "closed by the lane's last owner")
        if (paused := shared.pauses.reason(row.account)) is not None:
            budget.pause(paused)
        observer = AccountObserver(
            account.name,
            lease,
            budget,
            clock=clock,
            log=log,
            limit_headers=account.limit_headers,
            pauses=shared.pauses,
        )
        client = AccountClient(
            CountingWire(
                shared.seams.wire,
                account.origin,
                metrics.requests(account.name, PROVIDER),
                metrics.requests(account.name, ELSEWHERE),
                clock,
                account.origins.declared,
            ),
            ClientSettings(
                account.origin,
                settings.private_ok,
                settings.bounds.largest_reply_bytes,
                declared=account.origins.declared,
            ),
            account.auth.credentials,
            budget,
            named=account.auth.named,
            clock=clock,
            may_send=lease.held,
            on_reply=observer.headers_received,
        )
        session = account.auth.session
        signed = AuthenticatedClient(
            client,
            session,
            budget=budget,
            observer=observer,
            clock=clock,
            rand=rand,
            log=log,
            uploads=Uploads(
                account.name,
                settings.uploads,
                shared.jobs,
                shared.seams.storage,
                settings.bounds.largest_upload_bytes,
            ),
            renewal=shared.refresh_tokens.renewal(RenewingLane(account.name, client, budget, observer), session),
        )
        return Lane(
            row,
            lease,
            ProviderAccess(account, signed, budget),
            LaneLimits(min(limits.concurrency, config.worker.polls), config.worker.downloads, limits.remote_jobs),
            parts,
            shared_results=SharedResults(shared.jobs, shared.seams.storage, clock),
            reopened_at=shared.pauses.reopened_at(row.account),
        )

    return make_lane
