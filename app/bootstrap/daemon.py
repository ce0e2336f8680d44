"""A daemon put together: the one place that names every concrete class of it."""

import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from app import __version__
from app.bootstrap.accounts import read_schedules
from app.bootstrap.desk import desk_of
from app.clock import Clock
from app.config import Config
from app.domain.change import Tell, tell_nobody
from app.log import EventLog
from app.providers.provider import BoundAccount
from app.storage.base import Storage
from app.store.accounts import AccountStore
from app.store.engine import Database
from app.store.hints import Hint, HintStore
from app.store.jobs import JobStore
from app.store.lanes import LaneRow, LaneStore
from app.store.schedules import ScheduleStore
from app.transport.budget import Budget
from app.transport.client import AccountClient
from app.transport.wire import Timeouts, Wire
from app.web.callbacks import CallbackListener
from app.worker.answers import Answers
from app.worker.calendar import Calendar
from app.worker.chores import Heartbeat, Janitor, LookOut
from app.worker.daemon import Daemon, Parts
from app.worker.fetch import Fetcher
from app.worker.hold import Hold
from app.worker.lane import Lane
from app.worker.leases import Identity, Leases
from app.worker.limit_watch import LimitWatch
from app.worker.narrator import Narrator
from app.worker.pauses import Pauses
from app.worker.recorder import Recorder
from app.worker.remote_jobs import RemoteJobs
from app.worker.session import SignedClient
from app.worker.steps import Stepper
from app.worker.storage_gate import StorageGate
from app.worker.stream import Slots

_DAY_S = 86_400.0
_HOUR_S = 3600.0
_BODY_LIMIT = 8 * 1_048_576


@dataclass(frozen=True, slots=True)
class Seams:
    """Where time, chance and the outside come in; a simulation brings its own."""

    clock: Clock
    rand: Random
    wire: Wire
    database: Database
    storage: Storage


async def build_daemon(
    config: Config,
    accounts: Mapping[str, BoundAccount],
    seams: Seams,
    log: EventLog,
    listening: socket.socket | None = None,
    *,
    tell: Tell = tell_nobody,
) -> Daemon:
    """Put a daemon together; the lanes of every account exist afterwards.

    Callbacks come in on ``listening``; ``tell`` is told of what the daemon has committed.
    """
    clock, rand, database = seams.clock, seams.rand, seams.database
    jobs, lanes = JobStore(database), LaneStore(database)
    await lanes.ensure({name: config.accounts[name].shards for name in accounts})
    owner = f"{rand.getrandbits(64):016x}"
    narrator = Narrator(log, clock, jobs, tell)
    recorder = Recorder(jobs, owner, clock, log, narrator)
    gate = StorageGate(seams.storage, clock, log)
    fetcher = Fetcher(seams.storage, jobs, clock, narrator)
    pauses = Pauses(AccountStore(database), {name: config.accounts[name].settings for name in accounts}, rand, log)
    await pauses.start()
    stepper = Stepper(
        fetcher,
        jobs,
        clock=clock,
        rand=rand,
        log=log,
        pauses=pauses,
        clean=log.redactor.clean,
        public_url=config.callbacks.public_url,
    )

    def make_lane(row: LaneRow, hold: Hold) -> Lane:
        account, settings = accounts[row.account], config.accounts[row.account]
        limits = account.limits.share(settings.shards)
        budget = Budget(clock, rand, limits, row.request_window, full=not row.clean)
        if row.closed_until is not None:
            budget.close(row.closed_until, row.closed_reason or "closed by the lane's last owner")
        if (paused := pauses.reason(row.account)) is not None:
            budget.pause(paused)
        client = AccountClient(
            seams.wire,
            origin=account.origin,
            credentials=account.credentials,
            budget=budget,
            private_ok=settings.allow_private,
            body_limit=_BODY_LIMIT,
            timeouts=Timeouts(),
            on_reply=LimitWatch(
                account.limit_headers, budget, lane=hold.lane, account=account.name, clock=clock, log=log
            ),
        )
        return Lane(
            row,
            hold=hold,
            account=account,
            client=SignedClient(
                client,
                account.session,
                budget=budget,
                clock=clock,
                rand=rand,
                log=log,
                lane=row.id,
                account=row.account,
            ),
            budget=budget,
            stepper=stepper,
            jobs=jobs,
            recorder=recorder,
            narrator=narrator,
            slots=Slots(min(limits.concurrency, config.worker.polls), config.worker.downloads),
            clock=clock,
            rand=rand,
            storage_gate=gate,
            answers=Answers(jobs, seams.storage, clock),
            remote=RemoteJobs(jobs, row.id, limits.remote_jobs, clock),
        )

    leases = Leases(
        lanes,
        Identity(owner, platform.node(), os.getpid(), __version__),
        accounts=frozenset(accounts),
        lease_s=config.worker.lease_s,
        alone=database.exclusive,
        make_lane=make_lane,
        outcomes_settled=recorder.settled,
        clock=clock,
        log=log,
    )
    calendar = Calendar(
        list(read_schedules(config, accounts).values()),
        ScheduleStore(database),
        desk_of(config, accounts, database, clock, log, rand=rand, tell=tell).submit,
        clock,
        log,
    )

    def wake(hint: Hint) -> None:
        lane = leases.lanes.get(hint.lane)
        if lane is not None:
            lane.hurry(hint.job)

    hints = HintStore(database)
    listener = listening and CallbackListener(listening, hints, wake=wake, clock=clock, log=log)
    parts = Parts(
        recorder,
        leases,
        LookOut(jobs, pauses, leases.lanes, clock, config.worker.lookout_s),
        Heartbeat(jobs, leases.lanes, narrator, clock=clock, log=log, every_s=config.worker.heartbeat_s),
        Janitor(
            jobs,
            seams.storage,
            clock,
            log,
            keep_finished_s=config.retention.finished_days * _DAY_S,
            keep_parts_s=config.retention.partial_hours * _HOUR_S,
        ),
        gate,
        calendar,
        (listener.run,) if listener else (),
    )
    log.emit(
        "daemon.started",
        owner=owner,
        version=__version__,
        database=database.name,
        storage=config.storage.place,
        accounts=len(accounts),
        pid=os.getpid(),
    )
    return Daemon(parts, clock, log, config.worker.drain_s)
