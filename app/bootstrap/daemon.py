"""Builds a daemon: the only place that names every concrete class of it."""

import os
import platform
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from app import __version__
from app.bootstrap.accounts import read_schedules
from app.bootstrap.bound import Bound, Reloadable
from app.bootstrap.desk import desk_of, jobs_of
from app.bootstrap.lanes import Shared, lane_maker
from app.bootstrap.measured import measured
from app.bootstrap.notifications import endpoints_of, subscriptions_of
from app.bootstrap.seams import Seams
from app.config import Config
from app.desk import DAEMON
from app.log import EventLog
from app.providers.provider import BoundAccount
from app.store.accounts import AccountStore
from app.store.deliveries import DeliveryStore
from app.store.hints import Hint, HintStore
from app.store.lanes import LaneRow, LaneStore
from app.store.schedules import ScheduleStore
from app.transport.webhook import WebhookSender
from app.web.callbacks import CallbackListener
from app.worker.daemon import Daemon, Run
from app.worker.fetch import Fetcher
from app.worker.heartbeat import Heartbeat
from app.worker.hold import Hold
from app.worker.leases import Identity, LanePlan, Leases
from app.worker.narrator import Narrator
from app.worker.pauses import Pauses
from app.worker.recorder import Recorder
from app.worker.retention import Janitor
from app.worker.scheduler import Calendar, CalendarSettings
from app.worker.storage_gate import StorageGate
from app.worker.webhook_dispatcher import Notifier, NotifierSettings
from app.worker.work_watcher import LookOut


@dataclass(frozen=True, slots=True)
class Assembled:
    """A daemon, what its lanes share, and its parts that another configuration reconfigures."""

    daemon: Daemon
    shared: Shared
    reloadables: tuple[Reloadable[Any], ...]

    async def prepare(self, bound: Bound, changed: Collection[str]) -> LanePlan:
        """The lanes for another configuration; each that :meth:`Daemon.replace_lanes` will build is built on trial.

        Nothing is changed but that the lanes of new accounts exist.

        Raises:
            Exception: a lane cannot be built; the daemon goes on as it is.
            StoreUnavailableError: the database cannot be used.
        """
        plan = lane_plan(bound, self.shared)
        hold = Hold(0, 0, self.shared.seams.clock, bound.config.worker.lease_s)
        for name in changed:
            if name in bound.accounts:
                plan.make_lane(LaneRow(0, name, 0, 0, None, None, (), clean=True), hold)
        await LaneStore(self.shared.seams.database).ensure(shards_of(bound))
        return plan


def lane_plan(bound: Bound, shared: Shared) -> LanePlan:
    """The accounts of a configuration, and what builds their lanes."""
    settings = {name: bound.config.accounts[name].settings for name in bound.accounts}
    return LanePlan(settings, lane_maker(bound, shared))


def calendar_settings(bound: Bound, seams: Seams, log: EventLog) -> CalendarSettings:
    """The recurring schedules of a configuration, and what submits their jobs."""
    config = bound.config
    desk = desk_of(config, bound.accounts, seams.database, seams.clock, log, rand=seams.rand, tell=seams.tell)
    schedules = list(read_schedules(config, bound.accounts).values())
    return CalendarSettings(schedules, partial(desk.submit, actor=DAEMON))


def notifier_settings(bound: Bound) -> NotifierSettings:
    """The endpoints of a configuration, and how often due notifications are looked for."""
    return NotifierSettings(endpoints_of(bound.config), bound.config.worker.lookout_s)


def shards_of(bound: Bound) -> dict[str, int]:
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
    return (await assemble(Bound(config, accounts), seams, log, listening)).daemon


async def assemble(bound: Bound, seams: Seams, log: EventLog, listening: socket.socket | None = None) -> Assembled:
    """Build a daemon; the lanes of every account exist afterwards. Callbacks come in on ``listening``."""
    config, clock, database, metrics = bound.config, seams.clock, seams.database, seams.metrics
    jobs, lanes = jobs_of(config, database), LaneStore(database)
    await lanes.ensure(shards_of(bound))
    owner = f"{seams.rand.getrandbits(64):016x}"
    narrator = Narrator(log, clock, jobs, polled=metrics.polled, tell=seams.tell)
    recorder = Recorder(jobs, owner, clock, log, narrator, committed=metrics.committed)
    gate = StorageGate(seams.storage, clock, log)
    fetcher = Fetcher(seams.storage, jobs, clock, narrator, rand=seams.rand)
    accounts = {name: config.accounts[name].settings for name in bound.accounts}
    pauses = Pauses(AccountStore(database), accounts, seams.rand, log)
    await pauses.start()
    shared = Shared(
        seams=seams,
        log=log,
        jobs=jobs,
        recorder=recorder,
        narrator=narrator,
        fetcher=fetcher,
        pauses=pauses,
        gate=gate,
    )
    leases = Leases(
        lanes,
        Identity(owner, platform.node(), os.getpid(), __version__),
        lane_plan(bound, shared),
        lease_s=config.worker.lease_s,
        alone=database.exclusive,
        outcomes_settled=recorder.settled,
        clock=clock,
        log=log,
    )
    served, deliveries = leases.lanes, DeliveryStore(database)
    work_watcher = LookOut(jobs, pauses, served, clock=clock, log=log, settings=config.worker)
    heartbeat = Heartbeat(jobs, served, narrator, clock=clock, log=log, settings=config.worker, lagged=metrics.lagged)
    retention = Janitor(jobs, deliveries, seams.storage, clock, log, settings=config.retention)
    scheduler = Calendar(calendar_settings(bound, seams, log), ScheduleStore(database), clock, log)
    dispatcher = Notifier(
        deliveries,
        WebhookSender(seams.wire, clock),
        notifier_settings(bound),
        clock=clock,
        rand=seams.rand,
        log=log,
    )

    def wake(hint: Hint) -> None:
        lane = served.get(hint.lane)
        if lane is not None:
            lane.wake_up(hint.job)

    runs: list[Run] = [
        recorder.run,
        leases.run,
        work_watcher.run,
        heartbeat.run,
        retention.run,
        gate.run,
        scheduler.run,
        dispatcher.run,
    ]
    if listening is not None:
        runs.append(CallbackListener(listening, HintStore(database), wake=wake, clock=clock, log=log).run)
    metrics.serve(bound.operations, measured(leases, pauses, recorder, gate, clock))
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
        Reloadable(scheduler, lambda bound: calendar_settings(bound, seams, log)),
        Reloadable(dispatcher, notifier_settings),
        Reloadable(jobs, lambda bound: subscriptions_of(bound.config)),
    )  # lanes are not in it: they are built anew
    return Assembled(daemon, shared, reloadables)
