"""Trends through the API: sums of the last hours, days or weeks."""

from typing import Final

from aiohttp import web

from tidewaiter.domain.trends import TrendStep
from tidewaiter.services.resource_json import trends_json
from tidewaiter.web.api.paging import ACCOUNT, TEXT
from tidewaiter.web.api.request_input import refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters, json_reply
from tidewaiter.web.api.trend_schemas import TrendsShape
from tidewaiter.web.problems import FieldFault
from tidewaiter.web.request_reading import number_of

_STEPS: Final = {step.value: step for step in TrendStep}
_MOST: Final = max(step.largest_number for step in TrendStep)


class TrendRoutes:
    """The route of trends."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        usual = ", ".join(f"{step.usual_number} {step.value}s" for step in TrendStep)
        most = ", ".join(f"{step.largest_number} {step.value}s" for step in TrendStep)
        return [
            ApiRoute(
                "GET", "/v1/trends", "showTrends", "Show what ended in the last hours, days or weeks", self.show,
                {200: ApiResponse("the sums", TrendsShape)},
                query=(
                    ApiParameter("step", "how long a period is; a day by default", {"enum": list(_STEPS)}),
                    ApiParameter(
                        "number",
                        f"how many periods, the current one included: by default {usual}; at most {most}",
                        {"type": "integer", "minimum": 1, "maximum": _MOST},
                    ),
                    ACCOUNT,
                    ApiParameter("operation", "only of operations with this name", TEXT),
                ),
                detail="Days begin at midnight in UTC, weeks on Monday.", limited=True,
            )
        ]  # fmt: skip

    async def show(self, request: web.Request, query: QueryParameters) -> web.Response:
        """The sums of each period, and of each operation."""
        faults: list[FieldFault] = []
        step = _step(query, faults)
        number = _number(query, step, faults)
        refuse_query(faults)
        now, trends = self._context.clock.now(), self._context.trends(request)
        account, operation = query.get("account", [None])[0], query.get("operation", [None])[0]
        periods = await trends.periods(step, number, now, account=account, operation=operation)
        operations = await trends.operations(step, number, now, account=account, operation=operation)
        return json_reply(trends_json(step, periods, operations))


def _step(query: QueryParameters, faults: list[FieldFault]) -> TrendStep:
    given = query.get("step", [TrendStep.DAY.value])[0]
    if given not in _STEPS:
        faults.append(FieldFault(f"must be one of {', '.join(_STEPS)}", parameter="step"))
    return _STEPS.get(given, TrendStep.DAY)


def _number(query: QueryParameters, step: TrendStep, faults: list[FieldFault]) -> int:
    if "number" not in query:
        return step.usual_number
    number = number_of(query["number"][0])
    if number is None or number > step.largest_number:
        reason = f"must be a whole number from 1 to {step.largest_number}"
        faults.append(FieldFault(reason, parameter="number"))
        return step.usual_number
    return number
