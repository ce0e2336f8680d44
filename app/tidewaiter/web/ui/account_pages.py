"""The pages of the accounts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from tidewaiter.database.job_list import JobFilter, JobList
from tidewaiter.database.refresh_token_store import StoredToken
from tidewaiter.domain.formatting import duration, written
from tidewaiter.domain.job import REMOTE
from tidewaiter.providers.bound_accounts import faulty_among
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.services import AccountService, ConflictError, NotFoundError, ScheduleService
from tidewaiter.services.example_command import ANY_SUBMIT, example_submit
from tidewaiter.services.wait_reasons import PAUSE_REMEDIES
from tidewaiter.web.route_rules import GuardedRoute, read_route
from tidewaiter.web.ui.dashboard import DashboardReader, DashboardView, LaneView
from tidewaiter.web.ui.page_renderer import PageRenderer, rough
from tidewaiter.web.ui.schedule_page import schedule_rows

_LIMIT = 20


class AccountPages:
    """The pages at ``/accounts`` and ``/accounts/{name}``.

    Args:
        renderer: makes the pages.
        dashboard: reads the lanes.
        accounts: has the accounts.
        schedules: has their schedules.
        job_lists: finds the newest jobs of an account.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        dashboard: DashboardReader,
        accounts: Callable[[web.Request], AccountService],
        schedules: Callable[[web.Request], ScheduleService],
        job_lists: Callable[[web.Request], JobList],
    ) -> None:
        self._renderer = renderer
        self._dashboard = dashboard
        self._accounts = accounts
        self._schedules = schedules
        self._job_lists = job_lists

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [read_route("/accounts", self._list), read_route("/accounts/{name}", self._show)]

    async def _list(self, request: web.Request) -> web.Response:
        view = await self._dashboard.read(request)
        accounts = self._accounts(request).accounts
        served = {lane.account for lane in view.lanes}
        idle = [account for name, account in sorted(accounts.items()) if name not in served]
        faulty = {name: reason for name, reason in faulty_among(accounts).items() if name not in served}
        return self._renderer.page(
            request, "accounts.html", title="Accounts", view=view, accounts=accounts, idle=idle, faulty=faulty
        )

    async def _show(self, request: web.Request) -> web.Response:
        name, service = request.match_info["name"], self._accounts(request)
        account = service.accounts.get(name)
        if (fault := faulty_among(service.accounts).get(name)) is not None:
            raise ConflictError(f"account {name} is not served: {fault}; correct the file, then send SIGHUP")
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
            server=str(URL(account.first_url).origin()),
            lanes=_lanes_of(view, name),
            pause=await service.pause_of(name),
            settings=_settings(account, await service.refresh_token_of(name)),
            limits=_limits(account, _lanes_of(view, name), await _remote_jobs(service, account)),
            schedules=await schedule_rows(self._schedules(request), self._renderer.clock.now(), name),
            documentation=[address for address in account.provider.spec.documentation if is_web_address(address)],
            remedies=PAUSE_REMEDIES,
            newest=newest,
            example=next((example_submit(account, one) for one in sorted(account.operations)), ANY_SUBMIT),
        )


def _lanes_of(view: DashboardView, account: str) -> list[LaneView]:
    return [lane for lane in view.lanes if lane.account == account]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting of an account as it is shown; ``value`` is ``None`` for a secret.

    ``stored_at`` is since when the database has the refresh token that counts instead.
    """

    name: str
    help: str
    value: str | None
    stored_at: float | None = None


@dataclass(frozen=True, slots=True)
class LimitRow:
    """A limit of an account: what it permits, and how much of it is used now, if that is known."""

    name: str
    permitted: str
    used: int | None = None
    most: int | None = None


def _settings(account: BoundAccount, token: StoredToken | None) -> list[SettingRow]:
    specs = account.provider.spec.account
    return [
        SettingRow(
            name,
            specs[name].help,
            None if value is None else written(value),
            token.stored_at if token is not None and name == account.replaced_token else None,
        )
        for name, value in account.shown_settings.items()
    ]


def _limits(account: BoundAccount, lanes: Sequence[LaneView], remote_jobs: int) -> list[LimitRow]:
    limits = account.limits
    found = [LimitRow("Requests at the same time", f"{limits.concurrency:,}")]
    if limits.requests is not None:
        used = sum(lane.used for lane in lanes)
        text = f"{limits.requests:,} in {rough(limits.period_s)}"
        found.insert(0, LimitRow("Requests", text, used, limits.requests))
    if limits.spacing_s:
        found.append(LimitRow("Between two requests", f"at least {duration(limits.spacing_s)}"))
    if limits.remote_jobs is not None:
        found.append(LimitRow("Remote jobs", f"{limits.remote_jobs:,}", remote_jobs, limits.remote_jobs))
    return found


async def _remote_jobs(service: AccountService, account: BoundAccount) -> int:
    """How many jobs of an account have, or may have, a remote job; not counted where they have no limit."""
    if account.limits.remote_jobs is None:
        return 0
    counts = next((one.jobs for one in await service.statuses() if one.account == account.name), {})
    return sum(number for state, number in counts.items() if state in REMOTE)


def is_web_address(text: str) -> bool:
    """Whether a text of a spec may be the target of a link."""
    return text.startswith(("https://", "http://"))
