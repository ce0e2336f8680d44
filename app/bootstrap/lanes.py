"""Builds lanes: from one account's configuration, and the parts that all lanes of a daemon use."""

from collections.abc import Callable
from dataclasses import dataclass

from app.bootstrap.bound import Bound
from app.bootstrap.seams import Seams
from app.log import EventLog
from app.metrics.registry import ELSEWHERE, PROVIDER
from app.store.jobs import JobStore
from app.store.lanes import LaneRow
from app.transport.budget import Budget
from app.transport.client import AccountClient, ClientSettings
from app.transport.metered import MeteredWire
from app.worker.account_observer import AccountObserver
from app.worker.answers import Answers
from app.worker.fetch import Fetcher
from app.worker.hold import Hold
from app.worker.lane import Lane, LaneLimits, LaneParts, ProviderAccess
from app.worker.narrator import Narrator
from app.worker.pauses import Pauses
from app.worker.recorder import Recorder
from app.worker.session import SignedClient
from app.worker.steps import Stepper
from app.worker.storage_gate import StorageGate

_BODY_LIMIT = 8 * 1_048_576


@dataclass(frozen=True, slots=True)
class Shared:
    """What the lanes of a daemon share, whatever its configuration."""

    seams: Seams
    log: EventLog
    jobs: JobStore
    recorder: Recorder
    narrator: Narrator
    fetcher: Fetcher
    pauses: Pauses
    gate: StorageGate


def lane_maker(bound: Bound, shared: Shared) -> Callable[[LaneRow, Hold], Lane]:
    """What builds the lanes of these accounts."""
    config = bound.config
    clock, rand, log = shared.seams.clock, shared.seams.rand, shared.log
    metrics = shared.seams.metrics
    for one in bound.accounts.values():
        one.redactor.join(log.redactor)
    parts = LaneParts(
        stepper=Stepper(
            shared.fetcher,
            shared.jobs,
            shared.recorder,
            clock=clock,
            rand=rand,
            log=log,
            public_url=config.callbacks.public_url,
        ),
        jobs=shared.jobs,
        recorder=shared.recorder,
        narrator=shared.narrator,
        storage_gate=shared.gate,
        clock=clock,
        rand=rand,
    )

    def make_lane(row: LaneRow, lease: Hold) -> Lane:
        account, settings = bound.accounts[row.account], config.accounts[row.account]
        limits = account.limits.share(max(settings.shards, row.of))
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
            MeteredWire(
                shared.seams.wire,
                account.origin,
                metrics.requests(account.name, PROVIDER),
                metrics.requests(account.name, ELSEWHERE),
                clock,
            ),
            ClientSettings(account.origin, settings.private_ok, _BODY_LIMIT),
            account.credentials,
            budget,
            clock=clock,
            may_send=lease.held,
            on_reply=observer.headers_received,
        )
        signed = SignedClient(
            client, account.session, budget=budget, observer=observer, clock=clock, rand=rand, log=log
        )
        return Lane(
            row,
            lease,
            ProviderAccess(account, signed, budget),
            LaneLimits(min(limits.concurrency, config.worker.polls), config.worker.downloads, limits.remote_jobs),
            parts,
            answers=Answers(shared.jobs, shared.seams.storage, clock),
            reopened_at=shared.pauses.reopened_at(row.account),
        )

    return make_lane
