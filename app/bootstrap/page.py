"""The status page on the configured accounts and schedules."""

from collections.abc import Callable, Mapping

from aiohttp import web

from app.bootstrap.accounts import read_schedules
from app.config import Config
from app.desk import Desk
from app.store.overview import Overview, OverviewStore
from app.web.page.frame import Frame
from app.web.page.site import page_routes


def bind_page(
    config: Config, desk: Desk, frame: Frame, *, storage_trouble: Callable[[], str | None]
) -> list[web.RouteDef]:
    """The routes of the page.

    Args:
        config: the configuration.
        desk: answers for jobs and accounts.
        frame: makes the pages.
        storage_trouble: why downloads wait for the storage, where they do.
    """
    shards: Mapping[str, int] = {name: account.shards for name, account in config.accounts.items()}
    return page_routes(
        frame,
        desk,
        Overview(OverviewStore(desk.jobs), frame.clock),
        shards=shards,
        schedules=read_schedules(config, desk.accounts),
        storage_trouble=storage_trouble,
        secure=(config.http.public_url or "").startswith("https:"),
    )
