"""The pages of the accounts: their status and its reason, and the form to pause them."""

from collections.abc import Callable

from aiohttp import web

from app.desk import Desk, NotFoundError
from app.store.listing import JobList, Wanted
from app.web.page.frame import Frame
from app.web.page.lanes import LaneView
from app.web.page.sight import Sight, View
from app.web.rules import GuardedRoute, reading

_LIMIT = 20


class AccountsRoom:
    """The pages at ``/accounts`` and ``/accounts/{name}``.

    Args:
        renderer: makes the pages.
        dashboard: reads the lanes.
        desk: has the accounts.
        lists: finds the newest jobs of an account.
    """

    def __init__(
        self,
        renderer: Frame,
        dashboard: Sight,
        desk: Callable[[web.Request], Desk],
        lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._desk = desk
        self._lists = lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [reading("/accounts", self._list), reading("/accounts/{name}", self._show)]

    async def _list(self, request: web.Request) -> web.Response:
        view = await self._dashboard.read(request)
        accounts = self._desk(request).accounts
        served = {lane.account for lane in view.lanes}
        idle = [account for name, account in sorted(accounts.items()) if name not in served]
        return self._renderer.page(request, "accounts.html", title="Accounts", view=view, accounts=accounts, idle=idle)

    async def _show(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        account = self._desk(request).accounts.get(name)
        if account is None:
            raise NotFoundError(f"there is no account {name[:64]!r} in the configuration")
        view = await self._dashboard.read(request)
        newest = await self._lists(request).page(Wanted(account=name), _LIMIT)
        return self._renderer.page(
            request,
            "account.html",
            title=f"Account {name}",
            view=view,
            account=account,
            lanes=_lanes_of(view, name),
            pause=await self._desk(request).paused(name),
            newest=newest,
        )


def _lanes_of(view: View, account: str) -> list[LaneView]:
    return [lane for lane in view.lanes if lane.account == account]
