"""The status page of a process, going by whatever configuration the process goes by."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from app.bootstrap.bound import Running
from app.web.access import Access
from app.web.api.office import Office
from app.web.health import Health
from app.web.page.frame import Frame
from app.web.page.site import page_routes
from app.web.problems import ErrorPage


@dataclass(frozen=True, slots=True)
class Page:
    """The routes of the page, and what tells people of problems wherever they meet them."""

    routes: Sequence[web.RouteDef]
    of_error: ErrorPage


def bind_page(running: Running, office: Office, access: Access, health: Health) -> Page:
    """The page, working with what the API works with.

    Args:
        running: what the process goes by.
        office: the desk, the lists and the picture.
        access: who may look.
        health: knows what the process does, and whether the storage takes files.
    """
    frame = Frame(access, health.vitals, office.clock)
    routes = page_routes(
        frame,
        office.desk,
        office.schedules,
        office.lists,
        office.overview,
        shards=lambda: {name: account.shards for name, account in running.bound.config.accounts.items()},
        storage_trouble=health.storage_trouble,
        is_secure=lambda: (running.bound.config.http.public_url or "").startswith("https:"),
    )
    return Page(routes, frame.error_page)
