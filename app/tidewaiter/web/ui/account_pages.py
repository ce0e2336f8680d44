"""The pages of the accounts."""

from collections.abc import Callable

from aiohttp import web

from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.services import AccountService, NotFoundError
from tidewaiter.services.example_command import ANY_SUBMIT, example_submit
from tidewaiter.web.route_rules import GuardedRoute, read_route
from tidewaiter.web.ui.dashboard import DashboardReader, DashboardView, LaneView
from tidewaiter.web.ui.page_renderer import PageRenderer

_LIMIT = 20


class AccountPages:
    """The pages at ``/accounts`` and ``/accounts/{name}``.

    Args:
        renderer: makes the pages.
        dashboard: reads the lanes.
        accounts: has the accounts.
        job_lists: finds the newest jobs of an account.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        dashboard: DashboardReader,
        accounts: Callable[[web.Request], AccountService],
        job_lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._accounts = accounts
        self._job_lists = job_lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/accounts", self._list), read_route("/accounts/{name}", self._show)]

    async def _list(self, request: web.Request) -> web.Response:
        view = await self._dashboard.read(request)
        accounts = self._accounts(request).accounts
        served = {lane.account for lane in view.lanes}
        idle = [account for name, account in sorted(accounts.items()) if name not in served]
        return self._renderer.page(request, "accounts.html", title="Accounts", view=view, accounts=accounts, idle=idle)

    async def _show(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        account = self._accounts(request).accounts.get(name)
        if account is None:
            raise NotFoundError(f"there is no account {name[:64]!r} in the configuration")
        view = await self._dashboard.read(request)
        newest = await self._job_lists(request).page(JobFilter(account=name), _LIMIT)
        return self._renderer.page(
            request,
            "account.html",
            title=f"Account {name}",
            view=view,
            account=account,
            lanes=_lanes_of(view, name),
            pause=await self._accounts(request).pause_of(name),
            newest=newest,
            example=next((example_submit(account, one) for one in sorted(account.operations)), ANY_SUBMIT),
        )


def _lanes_of(view: DashboardView, account: str) -> list[LaneView]:
    return [lane for lane in view.lanes if lane.account == account]
