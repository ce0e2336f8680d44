"""The status page of a process, going by whatever configuration the process goes by."""

from collections.abc import Callable, Mapping

from aiohttp import web

from app.bootstrap.accounts import read_schedules
from app.bootstrap.bound import Bound, Running
from app.bootstrap.desk import desk_of
from app.desk import Desk
from app.log import EventLog
from app.recurrence import Schedule
from app.store.engine import Database
from app.store.jobs import JobStore
from app.store.overview import Overview, OverviewStore
from app.web.page.frame import Frame
from app.web.page.site import page_routes


def bind_page(
    running: Running, frame: Frame, database: Database, log: EventLog, *, storage_trouble: Callable[[], str | None]
) -> list[web.RouteDef]:
    """The routes of the page.

    Args:
        running: what the process goes by.
        frame: makes the pages.
        database: an open one.
        log: told of what is asked for.
        storage_trouble: why downloads wait for the storage, where they do.
    """
    present = _Present(running, frame, database, log)
    return page_routes(
        frame,
        present.desk,
        Overview(OverviewStore(JobStore(database)), frame.clock),
        database,
        shards=present.shards,
        schedules=present.schedules,
        storage_trouble=storage_trouble,
        secure=(running.bound.config.http.public_url or "").startswith("https:"),
    )


class _Present:
    """The desk and the schedules of what the process goes by now."""

    def __init__(self, running: Running, frame: Frame, database: Database, log: EventLog) -> None:
        self._frame = frame
        self._database = database
        self._log = log
        self._adopt(running.bound)
        running.follow(self._adopt)

    def desk(self) -> Desk:
        return self._desk

    def schedules(self) -> Mapping[str, Schedule]:
        return self._schedules

    def shards(self) -> Mapping[str, int]:
        return self._shards

    def _adopt(self, bound: Bound) -> None:
        self._desk = desk_of(bound.config, bound.accounts, self._database, self._frame.clock, self._log)
        self._schedules = read_schedules(bound.config, bound.accounts)
        self._shards = {name: account.shards for name, account in bound.config.accounts.items()}
