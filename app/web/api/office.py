"""The context of the API: what its handlers use."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from app.clock import Clock
from app.desk import Desk, ScheduleDesk
from app.log import EventLog
from app.providers.registry import Registry
from app.storage.base import Storage
from app.store.listing import JobList
from app.store.notifications import NotificationStore
from app.store.overview import Overview
from app.web.api.feed import Feed
from app.web.api.watch import Watch


@dataclass(frozen=True, slots=True)
class Office:
    """What the handlers of the API use.

    The callables return what the current configuration decides, because a reload may replace it. Those that take the
    request return something limited to the accounts that its caller may see. Only ``watch`` and ``feed`` know all jobs;
    their readers apply the limit.
    """

    desk: Callable[[web.Request], Desk]
    schedules: Callable[[web.Request], ScheduleDesk]
    providers: Callable[[], Registry]
    lists: Callable[[web.Request], JobList]
    overview: Callable[[web.Request], Overview]
    storage: Storage
    notifications: Callable[[web.Request], NotificationStore]
    watch: Watch
    feed: Feed
    clock: Clock
    log: EventLog
