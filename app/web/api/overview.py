"""The overview through the API: how everything stands, at a glance."""

from typing import Any

from aiohttp import web

from app.store.overview import Arrival, Minute
from app.web.api import shapes
from app.web.api.office import Office
from app.web.api.rendering import answer, moment
from app.web.api.routes import Answer, Query, Route


class OverviewRoom:
    """The room of the overview."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route(
                "GET", "/v1/overview", "showOverview", "Show how everything stands", self.show,
                {200: Answer("the overview", shapes.OverviewShape)}, limited=True,
            )
        ]  # fmt: skip

    async def show(self, request: web.Request, _: Query) -> web.Response:
        """How everything stands."""
        picture = await self._office.overview(request).look()
        return answer(
            {
                "at": moment(picture.at),
                "jobs": {state.value: number for state, number in picture.counts.items()},
                "lanes": [
                    {"lane": one.lane, "due": one.due, "oldest_due_at": moment(one.oldest_due_at)}
                    for one in picture.backlogs.values()
                ],
                "minutes": [_minute(one) for one in picture.minutes],
                "landed": [_arrival(one) for one in picture.arrivals],
            }
        )


def _minute(minute: Minute) -> dict[str, Any]:
    return {
        "at": moment(minute.at),
        "ended": {state.value: number for state, number in minute.ended.items()},
        "landing_p50_s": minute.delay_s(0.5),
        "landing_p95_s": minute.delay_s(0.95),
    }


def _arrival(arrival: Arrival) -> dict[str, Any]:
    job = arrival.job
    return {
        "job": job.id,
        "account": job.account,
        "operation": job.operation,
        "finished_at": moment(job.finished_at),
        "files": arrival.files,
        "size": arrival.size,
    }
