"""Builds a daemon from a configuration: its parts, those of them that can be reconfigured, and its metrics."""

import os
import platform
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tidewaiter import __version__
from tidewaiter.bootstrap.account_binding import read_schedules
from tidewaiter.bootstrap.lane_maker import SharedParts, lane_maker
from tidewaiter.bootstrap.live_config import BoundConfig, Reloadable
from tidewaiter.bootstrap.open_services import job_service_of, jobs_of
from tidewaiter.bootstrap.seams import Seams
from tidewaiter.bootstrap.webhooks import endpoints_of, subscriptions_of
from tidewaiter.clock import Clock
from tidewaiter.config import Config
from tidewaiter.database.account_store import AccountStore
from tidewaiter.database.backfill_store import BackfillStore
from tidewaiter.database.delivery_store import DeliveryStore
from tidewaiter.database.due_store import DueStore
from tidewaiter.database.lane_rows import LaneRow
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.database.refresh_token_store import RefreshTokenStore
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.database.sealing import Seal
from tidewaiter.database.wake_up_store import WakeUp, WakeUpStore
from tidewaiter.log import EventLog
from tidewaiter.metrics.readings import DaemonReading, LaneReading
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services import DAEMON
from tidewaiter.services.job_pace import JobPace
from tidewaiter.transport.webhook_sender import WebhookSender
from tidewaiter.web.callback_listener import CallbackListener
from tidewaiter.worker.account_pauses import Pauses
from tidewaiter.worker.backfill_runner import BackfillRunner, BackfillSettings
from tidewaiter.worker.committer import Committer
from tidewaiter.worker.daemon import Daemon, Run
from tidewaiter.worker.database_watch import DatabaseFileWatch, SchemaWatch
from tidewaiter.worker.deadline_watch import DeadlineWatch
from tidewaiter.worker.due_reader import DueReader
from tidewaiter.worker.heartbeat import Heartbeat
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.lane import Lane
from tidewaiter.worker.lane_ownership import DaemonIdentity, LaneOwnership, LanePlan
from tidewaiter.worker.lease import Lease
from tidewaiter.worker.result_fetcher import ResultFetcher
from tidewaiter.worker.retention import Retention
from tidewaiter.worker.scheduler import Scheduler, SchedulerSettings
from tidewaiter.worker.slow_job_watch import SlowJobWatch
from tidewaiter.worker.storage_gate import StorageGate
from tidewaiter.worker.token_renewal import RefreshTokens
from tidewaiter.worker.webhook_dispatcher import DispatcherSettings, WebhookDispatcher
from tidewaiter.worker.work_watcher import WorkWatcher


def daemon_readings(
    leases: LaneOwnership, pauses: Pauses, committer: Committer, gate: StorageGate, clock: Clock
) -> Callable[[], DaemonReading]:
    """Returns a function that reads the state of these parts."""

    def now() -> DaemonReading:
        return DaemonReading(
            lanes=[_lane_now(lane, clock) for lane in leases.lanes.values()],
            paused=pauses.causes,
            waiting=committer.waiting,
            storage_open=gate.open.is_set(),
            unrecorded=committer.trouble,
            in_touch=leases.in_touch,
            stalled=leases.stalled or committer.stalled,
        )

    return now


def _lane_now(lane: Lane, clock: Clock) -> LaneReading:
    budget = lane.budget
    return LaneReading(
        lane.row.id,
        lane.row.account,
        in_flight=lane.in_flight,
        closed_s=max(0.0, budget.closed_until - clock.now()),
        breaker_open=budget.breaker != "closed",
        left=budget.left,
    )


@dataclass(frozen=True, slots=True)
class Assembled:
    """A daemon, what its lanes share, and its parts that another configuration reconfigures."""

    daemon: Daemon
    shared: SharedParts
    reloadables: tuple[Reloadable[Any], ...]

    async def prepare(self, bound: BoundConfig, changed: Collection[str]) -> LanePlan:
        """The lanes for another configuration; each that :meth:`Daemon.replace_lanes` will build is built on trial.

        Only the lanes of new accounts are created; nothing else changes.

        Raises:
            Exception: a lane cannot be built; the daemon continues unchanged.
            StoreUnavailableError: the database cannot be used.
        """
        plan = lane_plan(bound, self.shared)
        lease = Lease(0, 0, self.shared.seams.clock, bound.config.worker.lease_s)
        for name in changed:
            if name in bound.accounts:
                plan.make_lane(LaneRow(0, name, 0, 0, None, None, (), clean=True), lease)
        await LaneStore(self.shared.seams.database).ensure(shards_of(bound))
        return plan


def lane_plan(bound: BoundConfig, shared: SharedParts) -> LanePlan:
    """The accounts of a configuration, and what builds their lanes."""
    settings = {name: bound.config.accounts[name].settings for name in bound.accounts}
    return LanePlan(settings, lane_maker(bound, shared))


def scheduler_settings(bound: BoundConfig, seams: Seams, log: EventLog) -> SchedulerSettings:
    """The recurring schedules of a configuration, and what submits their jobs."""
    config = bound.config
    service = job_service_of(
        config, bound.accounts, seams.database, seams.clock, log, rand=seams.rand, on_change=seams.tell
    )
    schedules = list(read_schedules(config, bound.accounts).values())
    return SchedulerSettings(schedules, partial(service.submit_request, actor=DAEMON))


def backfill_settings(bound: BoundConfig, seams: Seams, log: EventLog) -> BackfillSettings:
    """What submits the jobs of backfills in a configuration."""
    return BackfillSettings(
        job_service_of(
            bound.config, bound.accounts, seams.database, seams.clock, log, rand=seams.rand, on_change=seams.tell
        )
    )


def dispatcher_settings(bound: BoundConfig) -> DispatcherSettings:
    """The endpoints of a configuration, and how often due notifications are looked for."""
    return DispatcherSettings(endpoints_of(bound.config), bound.config.worker.lookout_s)


def shards_of(bound: BoundConfig) -> dict[str, int]:
    """How many lanes each account has."""
    return {name: bound.config.accounts[name].shards for name in bound.accounts}


async def build_daemon(
    config: Config,
    accounts: Mapping[str, BoundAccount],
    seams: Seams,
    log: EventLog,
    listening: socket.socket | None = None,
) -> Daemon:
    """Build a daemon whose configuration is never reloaded; see :func:`assemble`."""
    return (await assemble(BoundConfig(config, accounts), seams, log, listening)).daemon


async def assemble(
    bound: BoundConfig, seams: Seams, log: EventLog, listening: socket.socket | None = None
) -> Assembled:
    """Build a daemon; the lanes of every account exist afterwards. Callbacks come in on ``listening``."""
    config, clock, database, metrics = bound.config, seams.clock, seams.database, seams.metrics
    jobs, lanes = jobs_of(config, database), LaneStore(database)
    await lanes.ensure(shards_of(bound))
    owner = f"{seams.rand.getrandbits(64):016x}"
    job_log = JobLog(log, clock, jobs, polled=metrics.polled, on_change=seams.tell)
    committer = Committer(jobs, owner, clock, log, job_log, committed=metrics.committed)
    due_reader = DueReader(DueStore(database), clock)
    gate = StorageGate(seams.storage, clock, log)
    fetcher = ResultFetcher(seams.storage, jobs, clock, job_log, rand=seams.rand)
    accounts = {name: config.accounts[name].settings for name in bound.accounts}
    pauses = Pauses(AccountStore(database), accounts, seams.rand, log)
    await pauses.start()
    shared = SharedParts(
        seams=seams,
        log=log,
        jobs=jobs,
        due_reader=due_reader,
        committer=committer,
        job_log=job_log,
        fetcher=fetcher,
        pauses=pauses,
        gate=gate,
        refresh_tokens=RefreshTokens(
            RefreshTokenStore(seams.refresh_tokens or database, Seal(config.database.keys)), clock, log
        ),
    )
    leases = LaneOwnership(
        lanes,
        DaemonIdentity(owner, platform.node(), os.getpid(), __version__),
        lane_plan(bound, shared),
        lease_s=config.worker.lease_s,
        alone=database.exclusive,
        outcomes_settled=committer.settled,
        clock=clock,
        log=log,
    )
    served, deliveries = leases.lanes, DeliveryStore(database)
    work_watcher = WorkWatcher(jobs, pauses, served, clock=clock, log=log, settings=config.worker)
    heartbeat = Heartbeat(jobs, served, job_log, clock=clock, log=log, settings=config.worker, lagged=metrics.lagged)
    retention = Retention(jobs, deliveries, seams.storage, clock, log, settings=config.retention)
    scheduler = Scheduler(scheduler_settings(bound, seams, log), ScheduleStore(database), clock, log)
    backfills = BackfillRunner(backfill_settings(bound, seams, log), BackfillStore(jobs), clock, log)
    dispatcher = WebhookDispatcher(
        deliveries,
        WebhookSender(seams.wire, clock),
        dispatcher_settings(bound),
        clock=clock,
        rand=seams.rand,
        log=log,
    )

    def wake(hint: WakeUp) -> None:
        lane = served.get(hint.lane)
        if lane is not None:
            lane.wake_up(hint.job)

    runs: list[Run] = [
        committer.run,
        due_reader.run,
        leases.run,
        work_watcher.run,
        heartbeat.run,
        SlowJobWatch(JobPace(database.for_readers, clock), served, clock, log).run,
        DeadlineWatch(DueStore(database.for_readers), served, clock).run,
        DatabaseFileWatch(database.check_file, clock).run,
        SchemaWatch(database.newer_revision, leases, config.worker.drain_s, clock, log).run,
        retention.run,
        gate.run,
        scheduler.run,
        backfills.run,
        dispatcher.run,
    ]
    if listening is not None:
        runs.append(CallbackListener(listening, WakeUpStore(database), wake=wake, clock=clock, log=log).run)
    metrics.serve(bound.operations, daemon_readings(leases, pauses, committer, gate, clock))
    log.emit(
        "daemon.started",
        owner=owner,
        version=__version__,
        database=database.name,
        storage=config.storage.place,
        accounts=len(bound.accounts),
        pid=os.getpid(),
    )
    daemon = Daemon(leases, pauses, runs, clock=clock, log=log, settings=config.worker)
    reloadables = (
        Reloadable(daemon, lambda bound: bound.config.worker),
        Reloadable(work_watcher, lambda bound: bound.config.worker),
        Reloadable(heartbeat, lambda bound: bound.config.worker),
        Reloadable(retention, lambda bound: bound.config.retention),
        Reloadable(scheduler, lambda bound: scheduler_settings(bound, seams, log)),
        Reloadable(backfills, lambda bound: backfill_settings(bound, seams, log)),
        Reloadable(dispatcher, dispatcher_settings),
        Reloadable(jobs, lambda bound: subscriptions_of(bound.config)),
    )  # without lanes, which are built again
    return Assembled(daemon, shared, reloadables)
