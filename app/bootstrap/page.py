"""The status page of a process, going by whatever configuration the process goes by."""

from collections.abc import Callable

from aiohttp import web

from app.bootstrap.bound import Running
from app.bootstrap.present import Present
from app.store.listing import JobList
from app.store.overview import Overview
from app.web.page.frame import Frame
from app.web.page.site import page_routes


def bind_page(
    running: Running,
    present: Present,
    lists: JobList,
    overview: Overview,
    frame: Frame,
    *,
    storage_trouble: Callable[[], str | None],
) -> list[web.RouteDef]:
    """The routes of the page.

    Args:
        running: the configuration that the process goes by.
        present: what that decides.
        lists: finds jobs.
        overview: draws the picture of how everything stands.
        frame: makes the pages.
        storage_trouble: why downloads wait for the storage, where they do.
    """
    return page_routes(
        frame,
        present.desk,
        present.schedules,
        lists,
        overview,
        shards=present.shards,
        storage_trouble=storage_trouble,
        is_secure=lambda: (running.bound.config.http.public_url or "").startswith("https:"),
    )
