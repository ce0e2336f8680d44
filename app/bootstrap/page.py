"""The status page of a process, going by whatever configuration the process goes by."""

from collections.abc import Callable

from aiohttp import web

from app.bootstrap.access import is_secure
from app.bootstrap.bound import Running
from app.bootstrap.present import Present
from app.web.api.office import Office
from app.web.page.frame import Frame
from app.web.page.site import page_routes


def bind_page(
    running: Running,
    present: Present,
    office: Office,
    frame: Frame,
    *,
    storage_trouble: Callable[[], str | None],
) -> list[web.AbstractRouteDef]:
    """The routes of the page.

    Args:
        running: the configuration that the process goes by.
        present: what that decides.
        office: what it shares with the API, limited to the accounts that each caller may know of.
        frame: makes the pages.
        storage_trouble: why downloads wait for the storage, where they do.
    """
    return page_routes(
        frame,
        office.desk,
        office.schedules,
        office.lists,
        office.overview,
        shards=present.shards,
        storage_trouble=storage_trouble,
        is_secure=lambda: is_secure(running.bound.config),
    )
