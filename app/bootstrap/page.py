"""The status page of a process, going by whatever configuration the process goes by."""

from collections.abc import Callable

from aiohttp import web

from app.bootstrap.bound import Running
from app.bootstrap.present import Present
from app.store.engine import Database
from app.store.overview import Overview
from app.web.page.frame import Frame
from app.web.page.site import page_routes


def bind_page(
    running: Running,
    present: Present,
    overview: Overview,
    frame: Frame,
    database: Database,
    *,
    storage_trouble: Callable[[], str | None],
) -> list[web.RouteDef]:
    """The routes of the page.

    Args:
        running: what the process began with.
        present: what it goes by now.
        overview: draws the picture of how everything stands.
        frame: makes the pages.
        database: an open one.
        storage_trouble: why downloads wait for the storage, where they do.
    """
    return page_routes(
        frame,
        present.desk,
        overview,
        database,
        shards=present.shards,
        schedules=present.recurring,
        storage_trouble=storage_trouble,
        secure=(running.bound.config.http.public_url or "").startswith("https:"),
    )
