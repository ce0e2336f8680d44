"""What the rooms of the HTTP API work with."""

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
    """Everything that the API is made of.

    What the configuration decides is asked for anew by every request, for a reload may have replaced it. What takes the
    request is limited to the accounts that its caller may know of: there is no other way to jobs but ``watch`` and
    ``feed``, which are limited where they are read.
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
