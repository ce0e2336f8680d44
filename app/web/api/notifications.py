"""Notifications through the API: list those that were delivered or wait, and deliver one again."""

from typing import Final

from aiohttp import hdrs, web

from app.desk.views import notification_json
from app.domain.notification import Status
from app.web.api import shapes
from app.web.api.cursors import CURSOR, LIMIT, TEXT, PageRequest
from app.web.api.office import Office
from app.web.api.reading import LARGEST_NUMBER, job_number, number_in, refuse_query
from app.web.api.routes import Answer, Parameter, Query, Route, answer
from app.web.problems import FieldFault, ProblemError

_PATH: Final = "/v1/notifications"


class Notifications:
    """The routes of notifications."""

    def __init__(self, context: Office) -> None:
        self._context = context

    def routes(self) -> list[Route]:
        """The routes."""
        number = {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}
        return [
            Route(
                "GET", _PATH, "listNotifications", "List notifications, the newest first", self.every,
                {200: Answer("a page", shapes.NotificationPage, headers={hdrs.LINK: 'the next page, rel="next"'})},
                query=(
                    Parameter("status", "only with this status", {"enum": [one.value for one in Status]}),
                    Parameter("endpoint", "only of this endpoint", TEXT),
                    Parameter("job", "only about this job", number),
                    LIMIT,
                    CURSOR,
                ), limited=True,
            ),
            Route(
                "POST", f"{_PATH}/{{id}}/retry", "retryNotification", "Deliver a notification again", self.retry,
                {202: Answer("it is due now", shapes.RetriedShape)}, problems=(404,), limited=True,
            ),
        ]  # fmt: skip

    async def every(self, request: web.Request, query: Query) -> web.Response:
        """A page of notifications."""
        faults: list[FieldFault] = []
        status, job = query.get("status", [None])[0], number_in(query, "job", faults)
        if status is not None and status not in set(Status):
            faults.append(FieldFault(f"must be one of {', '.join(Status)}", parameter="status"))
        page = PageRequest.read(_PATH, query, faults)
        refuse_query(faults)
        found = await self._context.notifications(request).find(
            status=None if status is None else Status(status),
            endpoint=query.get("endpoint", [None])[0],
            job_id=job,
            before_id=page.before_id,
            limit=page.lookup,
        )
        return page.response("notifications", found, notification_json)

    async def retry(self, request: web.Request, _: Query) -> web.Response:
        """Deliver a notification again."""
        number = job_number(request, "notification")
        if not await self._context.notifications(request).retry([number]):
            raise ProblemError(404, f"there is no notification {number}")
        return answer({"id": number}, 202)
