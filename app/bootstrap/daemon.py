"""A daemon put together: the one place that names every concrete class of it."""

import os
import platform
import socket
from collections.abc import Collection, Mapping
from functools import partial

from app import __version__
from app.bootstrap.accounts import read_schedules
from app.bootstrap.bound import Bound
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
from app.worker.calendar import Calendar
from app.worker.chores import Heartbeat, Janitor, LookOut
from app.worker.daemon import Daemon, Parts, Setup
from app.worker.fetch import Fetcher
from app.worker.hold import Hold
from app.worker.leases import Identity, Leases
from app.worker.narrator import Narrator
from app.worker.notifier import Notifier
from app.worker.pauses import Pauses
from app.worker.recorder import Recorder
from app.worker.storage_gate import StorageGate

_DAY_S = 86_400.0
_HOUR_S = 3600.0


class Assembled:
    """A daemon, and how it is given another configuration.

    Args:
        daemon: the daemon.
        shared: what its lanes share.
    """

    def __init__(self, daemon: Daemon, shared: Shared) -> None:
        self.daemon = daemon
        self._shared = shared

    async def prepare(self, bound: Bound, changed: Collection[str]) -> Setup:
        """The setup for another configuration, with everything built on trial that :meth:`Daemon.swap` will build.

        Nothing is changed but that the lanes of new accounts exist.

        Raises:
            Exception: whatever building ends in; the daemon goes on as it is.
            StoreUnavailableError: the database cannot be used.
        """
        shared = self._shared
        setup = setup_of(bound, shared)
        hold = Hold(0, 0, shared.seams.clock, bound.config.worker.lease_s)
        for name in changed:
            if name in bound.accounts:
                setup.make_lane(LaneRow(0, name, 0, 0, None, None, (), clean=True), hold)
        await LaneStore(shared.seams.database).ensure(shards_of(bound))
        return setup


def setup_of(bound: Bound, shared: Shared) -> Setup:
    """What a daemon takes out of a configuration."""
    config, seams, log = bound.config, shared.seams, shared.log
    return Setup(
        settings={name: config.accounts[name].settings for name in bound.accounts},
        make_lane=lane_maker(bound, shared),
        schedules=list(read_schedules(config, bound.accounts).values()),
        submit=partial(
            desk_of(config, bound.accounts, seams.database, seams.clock, log, rand=seams.rand, tell=seams.tell).submit,
            actor=DAEMON,
        ),
        drain_s=config.worker.drain_s,
        lookout_s=config.worker.lookout_s,
        heartbeat_s=config.worker.heartbeat_s,
        keep_finished_s=config.retention.finished_days * _DAY_S,
        keep_parts_s=config.retention.partial_hours * _HOUR_S,
        subscriptions=subscriptions_of(config),
        endpoints=endpoints_of(config),
    )


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
    """Put a daemon together that is never given another configuration; see :func:`assemble`."""
    return (await assemble(Bound(config, accounts), seams, log, listening)).daemon


async def assemble(bound: Bound, seams: Seams, log: EventLog, listening: socket.socket | None = None) -> Assembled:
    """Put a daemon together; the lanes of every account exist afterwards. Callbacks come in on ``listening``."""
    config, clock, database, metrics = bound.config, seams.clock, seams.database, seams.metrics
    jobs, lanes = jobs_of(config, database), LaneStore(database)
    await lanes.ensure(shards_of(bound))
    owner = f"{seams.rand.getrandbits(64):016x}"
    narrator = Narrator(log, clock, jobs, polled=metrics.polled, tell=seams.tell)
    recorder = Recorder(jobs, owner, clock, log, narrator, committed=metrics.committed)
    gate = StorageGate(seams.storage, clock, log)
    fetcher = Fetcher(seams.storage, jobs, clock, narrator, rand=seams.rand)
    settings = {name: config.accounts[name].settings for name in bound.accounts}
    pauses = Pauses(AccountStore(database), settings, seams.rand, log)
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
    setup = setup_of(bound, shared)
    leases = Leases(
        lanes,
        Identity(owner, platform.node(), os.getpid(), __version__),
        accounts=setup.settings,
        lease_s=config.worker.lease_s,
        alone=database.exclusive,
        make_lane=setup.make_lane,
        outcomes_settled=recorder.settled,
        clock=clock,
        log=log,
    )

    def wake(hint: Hint) -> None:
        lane = leases.lanes.get(hint.lane)
        if lane is not None:
            lane.hurry(hint.job)

    hints, deliveries = HintStore(database), DeliveryStore(database)
    listener = listening and CallbackListener(listening, hints, wake=wake, clock=clock, log=log)
    parts = Parts(
        recorder,
        leases,
        pauses,
        LookOut(jobs, pauses, leases.lanes, clock=clock, log=log, every_s=setup.lookout_s),
        Heartbeat(
            jobs,
            leases.lanes,
            narrator,
            clock=clock,
            log=log,
            every_s=setup.heartbeat_s,
            lagged=metrics.lagged,
        ),
        Janitor(
            jobs,
            deliveries,
            seams.storage,
            clock,
            log,
            keep_finished_s=setup.keep_finished_s,
            keep_parts_s=setup.keep_parts_s,
        ),
        gate,
        Calendar(setup.schedules, ScheduleStore(database), setup.submit, clock, log),
        Notifier(
            deliveries,
            WebhookSender(seams.wire, clock),
            setup.endpoints,
            clock=clock,
            rand=seams.rand,
            log=log,
            every_s=setup.lookout_s,
        ),
        (listener.run,) if listener else (),
    )
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
    return Assembled(Daemon(parts, clock, log, setup.drain_s), shared)
