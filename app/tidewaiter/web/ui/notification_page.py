"""The page of notifications: the endpoints, what each has received, and what a person may send again."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from yarl import URL

from tidewaiter.database.notification_store import EndpointBacklog, Notification, NotificationStore
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.notification import DeliveryStatus, Subscription
from tidewaiter.services import NotFoundError
from tidewaiter.transport.webhook_sender import WebhookReply
from tidewaiter.transport.wire import TransportError
from tidewaiter.web.callers import scope_of
from tidewaiter.web.problems import FieldFault, ProblemError
from tidewaiter.web.request_reading import number_of
from tidewaiter.web.route_rules import GuardedRoute, form_route, read_route
from tidewaiter.web.ui.forms import read_form
from tidewaiter.web.ui.notices import redirect_after
from tidewaiter.web.ui.page_renderer import PageRenderer

_PATH: Final = "/notifications"
_LIMIT: Final = 50
_LONGEST_NAME: Final = 64
_NONE_LEFT: Final = {
    DeliveryStatus.DEAD: "there is no dead notification to send again; another person may have done it",
    DeliveryStatus.WAITING: "there is no notification that waits for longer than a minute",
}


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A configured endpoint: what it is notified about, and its origin, because its path may hold a secret."""

    subscription: Subscription
    origin: str


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint, configured or not any more, and how many notifications wait for it, were delivered, or are dead."""

    name: str
    view: EndpointView | None
    backlog: EndpointBacklog
    delivered: int


class NotificationPage:
    """The page at ``/notifications``, and its forms.

    Args:
        renderer: makes the page.
        notifications: has the notifications.
        endpoints: the configured endpoints.
        send_test: sends a test message to an endpoint; raises ``TransportError`` if there was no reply.
    """

    def __init__(
        self,
        renderer: PageRenderer,
        notifications: Callable[[web.Request], NotificationStore],
        endpoints: Callable[[], Sequence[EndpointView]],
        send_test: Callable[[str], Awaitable[WebhookReply]],
    ) -> None:
        self._renderer = renderer
        self._notifications = notifications
        self._endpoints = endpoints
        self._send_test = send_test

    def routes(self) -> list[GuardedRoute]:
        """The routes."""
        return [
            read_route(_PATH, self._show),
            form_route(f"{_PATH}/test", self._test),
            form_route(f"{_PATH}/retry", self._retry_all),
            form_route(f"{_PATH}/{{id}}/retry", self._retry),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        chosen, endpoint, before_id = _query(request.query)
        store, visible = self._notifications(request), self._visible(request)
        backlogs, delivered = await store.backlogs(), await store.delivered()
        status = chosen or _most_urgent(backlogs.values() if endpoint is None else [backlogs.get(endpoint)])
        found = await store.find(status=status, endpoint=endpoint, before_id=before_id, limit=_LIMIT + 1)
        shown = found[:_LIMIT]
        return self._renderer.page(
            request,
            "notifications.html",
            title="Notifications",
            rows=[
                EndpointRow(name, visible.get(name), backlogs.get(name, EndpointBacklog()), delivered.get(name, 0))
                for name in sorted({*visible, *backlogs, *delivered})
            ],
            found=shown,
            delivery=status,
            endpoint=endpoint,
            before_id=before_id,
            statuses=[(one, _address(one, endpoint)) for one in DeliveryStatus],
            all_endpoints=_address(status, None),
            newest=_address(status, endpoint),
            older=_older(shown, status, endpoint) if len(found) > len(shown) else None,
        )

    async def _test(self, request: web.Request) -> web.Response:
        name = (await read_form(request)).get("endpoint", "")
        if name not in self._visible(request):
            raise NotFoundError(f"there is no endpoint {name[:_LONGEST_NAME]!r} in the configuration")
        try:
            reply = await self._send_test(name)
        except TransportError as error:
            raise ProblemError(502, f"endpoint {name} did not accept the test message: {error}") from error
        if not reply.accepted:
            answer = f"HTTP {reply.status} {reply.phrase}".strip()
            raise ProblemError(
                502, f"endpoint {name} did not accept the test message: it replied {answer}; only 200 to 299 counts"
            )
        raise redirect_after(_PATH, "test-accepted")

    async def _retry(self, request: web.Request) -> web.Response:
        number = number_of(request.match_info["id"])
        if number is None or not await self._notifications(request).retry([number]):
            raise NotFoundError(f"there is no notification {request.match_info['id'][:_LONGEST_NAME]}")
        raise redirect_after(_PATH, "notified-again")

    async def _retry_all(self, request: web.Request) -> web.Response:
        form = await read_form(request)
        status = DeliveryStatus.WAITING if form.get("status") == DeliveryStatus.WAITING else DeliveryStatus.DEAD
        if not await self._notifications(request).retry_all({status}, form.get("endpoint") or None):
            raise NotFoundError(_NONE_LEFT[status])
        raise redirect_after(_PATH, "notified-again")

    def _visible(self, request: web.Request) -> Mapping[str, EndpointView]:
        """The endpoints that may be notified about an account of the caller, by name."""
        scope = scope_of(request)
        return {one.subscription.endpoint: one for one in self._endpoints() if _concerns(one.subscription, scope)}


def _concerns(subscription: Subscription, scope: Scope) -> bool:
    return subscription.accounts is None or any(account in scope for account in subscription.accounts)


def _most_urgent(backlogs: Iterable[EndpointBacklog | None]) -> DeliveryStatus:
    """What to show first: what is dead, else what waits."""
    some = [one for one in backlogs if one is not None]
    return DeliveryStatus.WAITING if some and not any(one.dead for one in some) else DeliveryStatus.DEAD


def _query(query: Mapping[str, str]) -> tuple[DeliveryStatus | None, str | None, int | None]:
    """The status, if any, the endpoint and the page that an address asks for.

    Raises:
        ProblemError: a parameter is invalid.
    """
    faults = []
    status: DeliveryStatus | None = None
    before_id = None
    if given := query.get("status"):
        try:
            status = DeliveryStatus(given)
        except ValueError:
            faults.append(FieldFault(f"must be one of {', '.join(DeliveryStatus)}", parameter="status"))
    if given := query.get("before"):
        before_id = number_of(given)
        if before_id is None:
            faults.append(FieldFault("must be the number of a notification", parameter="before"))
    if faults:
        raise ProblemError(400, "the address of this list has invalid parameters", errors=faults)
    return status, query.get("endpoint") or None, before_id


def _older(shown: Sequence[Notification], status: DeliveryStatus, endpoint: str | None) -> str:
    return _address(status, endpoint, before=str(shown[-1].id))


def _address(status: DeliveryStatus, endpoint: str | None, **more: str) -> str:
    query = {"status": status.value, **({} if endpoint is None else {"endpoint": endpoint}), **more}
    return str(URL(_PATH).with_query(query))


def dead_address(endpoint: str) -> str:
    """The address of the list of what an endpoint did not take."""
    return _address(DeliveryStatus.DEAD, endpoint)
