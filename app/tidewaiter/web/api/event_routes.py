"""Server-sent events: every change of a job, as soon as it is committed.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.web.api.job_changes import EventFeed, FeedEvent, FeedReader
from tidewaiter.web.api.paging import ACCOUNT, STATES, states_of
from tidewaiter.web.api.request_input import LARGEST_NUMBER, number_in, refuse_query
from tidewaiter.web.api.routing import ApiContext, ApiParameter, ApiResponse, ApiRoute, QueryParameters
from tidewaiter.web.callers import RECHECK, scope_of
from tidewaiter.web.problems import FieldFault, ProblemError

MEDIA_TYPE: Final = "text/event-stream"
HEARTBEAT_S: Final = 15.0
_AGAIN_MS: Final = 3000
_WRITE_S: Final = 30.0
# Rendering thousands of events at once would block the daemon, which runs in the same event loop.
_AT_ONCE: Final = 250
_LAST_ID: Final = "Last-Event-ID"


class EventRoutes:
    """The route of events."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def routes(self) -> list[ApiRoute]:
        """The routes."""
        number = {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}
        return [
            ApiRoute(
                "GET", "/v1/events", "streamEvents", "Stream the changes of jobs", self.stream,
                {200: ApiResponse("server-sent events, until one side disconnects", media_type=MEDIA_TYPE)},
                query=(ACCOUNT, STATES, ApiParameter("job", "only of this job", number)),
                headers=(ApiParameter(_LAST_ID, "the id of the last event received", {"type": "string"}),),
                problems=(429,),
                detail="Each event has the name of its log event (`job.submitted`, `job.advanced`, `job.troubled`, "
                "`job.unmapped`, `job.stalled`, `job.repeated`, `job.postponed`, `job.parked`, `job.finished`, "
                "`job.failed`); its data is an object with `job`, `account`, `operation`, `state`, `state_from`, "
                "`outcome` and `at`. The event `reset` says that events may be missing, and `dropped` that the reader "
                "was too slow.", limited=True,
            )
        ]  # fmt: skip

    async def stream(self, request: web.Request, query: QueryParameters) -> web.StreamResponse:
        """Stream events until one side disconnects."""
        is_selected, feed = _filter(query, scope_of(request)), self._context.feed
        if feed.is_full:
            raise ProblemError(429, "too many readers follow the events", retry_after_s=HEARTBEAT_S)
        response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE, "X-Accel-Buffering": "no"})
        reader = feed.join()
        try:
            await response.prepare(request)
            if request.method != "HEAD":
                await self._send(request, response, reader, is_selected)
        except (ConnectionError, TimeoutError):
            pass  # the reader has disconnected, or reads nothing any more
        finally:
            feed.leave(reader)
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        reader: FeedReader,
        is_selected: Callable[[FeedEvent], bool],
    ) -> None:
        feed, last_id = self._context.feed, request.headers.get(_LAST_ID)
        await _write(response, f"retry: {_AGAIN_MS}\n\n")
        missed = [] if last_id is None else feed.since(last_id)
        if missed is None:
            await _write(response, _event("reset", feed.last_id, {"reason": "earlier events are not held any more"}))
        else:
            await self._send_events(response, missed, is_selected)
        while not (reader.is_behind or reader.has_ended) and await request[RECHECK].is_permitted():
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    events = await reader.next()
            except TimeoutError:
                await _write(response, ": still here\n\n")
                continue
            if await request[RECHECK].is_permitted():
                await self._send_events(response, events, is_selected)
        if reader.is_behind:
            await _write(response, _event("dropped", None, {"reason": "this reader is too slow"}))

    async def _send_events(
        self, response: web.StreamResponse, events: Sequence[FeedEvent], is_selected: Callable[[FeedEvent], bool]
    ) -> None:
        for start in range(0, len(events), _AT_ONCE):
            await _write(response, _events(self._context.feed, events[start : start + _AT_ONCE], is_selected))
            await self._context.clock.sleep(0)


def _filter(query: QueryParameters, scope: Scope) -> Callable[[FeedEvent], bool]:
    faults: list[FieldFault] = []
    states, account = states_of(query, faults), query.get("account", [None])[0]
    job = number_in(query, "job", faults)
    refuse_query(faults)

    def is_selected(event: FeedEvent) -> bool:
        return (
            event.account in scope
            and (account is None or event.account == account)
            and (not states or event.state in states)
            and (job is None or event.job == job)
        )

    return is_selected


def _events(feed: EventFeed, numbered: Sequence[FeedEvent], is_selected: Callable[[FeedEvent], bool]) -> str:
    return "".join(_event(one.event, feed.id_of(one.number), _data(one)) for one in numbered if is_selected(one))


def _data(event: FeedEvent) -> dict[str, object]:
    return {
        "job": event.job,
        "account": event.account,
        "operation": event.operation,
        "state": event.state,
        "state_from": event.state_from,
        "outcome": event.outcome,
        "at": rfc3339(event.at),
    }


def _event(name: str, identity: str | None, data: dict[str, object]) -> str:
    named = "" if identity is None else f"id: {identity}\n"
    return f"event: {name}\n{named}data: {json.dumps(data)}\n\n"


async def _write(response: web.StreamResponse, text: str) -> None:
    """Send text. A reader that reads nothing for so long is disconnected."""
    if text:
        async with asyncio.timeout(_WRITE_S):
            await response.write(text.encode())
