"""Notifications through the API: list those that were delivered or wait, and deliver one again."""

from typing import Final

from aiohttp import hdrs, web

from tidewaiter.domain.notification import DeliveryStatus
from tidewaiter.services.resource_json import notification_json
from tidewaiter.web.api import body_schemas as shapes
from tidewaiter.web.api.paging import CURSOR, LIMIT, TEXT, PageRequest
from tidewaiter.web.api.request_input import LARGEST_NUMBER, job_number, number_in, read_body, refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.callers import TARGET
from tidewaiter.web.problems import FieldFault, ProblemError

_PATH: Final = "/v1/notifications"


class NotificationRoutes:
    """The routes of notifications."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        number = {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}
        return [
            ApiRoute(
                "GET", _PATH, "listNotifications", "List notifications, the newest first", self.every,
                {200: ApiResponse("a page", shapes.NotificationPage, headers={hdrs.LINK: 'the next page, rel="next"'})},
                query=(
                    ApiParameter("status", "only with this status", {"enum": [one.value for one in DeliveryStatus]}),
                    ApiParameter("endpoint", "only of this endpoint", TEXT),
                    ApiParameter("job", "only about this job", number),
                    LIMIT,
                    CURSOR,
                ), limited=True,
            ),
            ApiRoute(
                "POST", f"{_PATH}:retry", "retryNotifications", "Deliver all that are dead or wait again",
                self.retry_all, {202: ApiResponse("they are due now", shapes.RetriedCount)},
                body=shapes.RetryNotificationsBody,
                detail="They get all attempts again. Those that are due within a minute anyway are left alone.",
                limited=True,
            ),
            ApiRoute(
                "POST", f"{_PATH}/{{id}}/retry", "retryNotification", "Deliver a notification again", self.retry,
                {202: ApiResponse("it is due now", shapes.RetriedShape)}, problems=(404,), limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, query: QueryParameters) -> web.Response:
        """A page of notifications."""
        faults: list[FieldFault] = []
        status, job = query.get("status", [None])[0], number_in(query, "job", faults)
        if status is not None and status not in set(DeliveryStatus):
            faults.append(FieldFault(f"must be one of {', '.join(DeliveryStatus)}", parameter="status"))
        page = PageRequest.read(_PATH, query, faults)
        refuse_query(faults)
        found = await self._context.notifications(request).find(
            status=None if status is None else DeliveryStatus(status),
            endpoint=query.get("endpoint", [None])[0],
            job_id=job,
            before_id=page.before_id,
            limit=page.lookup,
        )
        return page.response("notifications", found, notification_json)

    async def retry_all(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Deliver all that are dead or wait again."""
        body = await read_body(request, shapes.RetryNotificationsBody)
        statuses = {DeliveryStatus(one) for one in body.status}
        count = await self._context.notifications(request).retry_all(statuses, body.endpoint)
        request[TARGET] = f"{count} notifications"
        return json_reply({"count": count}, 202)

    async def retry(self, request: web.Request, _: QueryParameters) -> web.Response:
        """Deliver a notification again."""
        number = job_number(request, "notification")
        if not await self._context.notifications(request).retry([number]):
            raise ProblemError(404, f"there is no notification {number}")
        return json_reply({"id": number}, 202)
