"""What all emulated servers share: a socket, a record of requests, faults on request, a control endpoint.

Every request is processed in the same way. Its fault is taken from the plan; its body is read; it is recorded. Then
either it is refused without an effect, or the route computes the reply and sends it, changed by the fault or not. The
reply is computed without a pause, so that its effect happens once and whole, even if the client has gone. Every server
also has:

- ``POST /_control/faults`` with a JSON list of rules appends them to the plan; ``GET`` lists it, ``DELETE`` clears it
- ``PATCH /_control/variants`` with a JSON object changes what this API's documents leave open; ``GET`` shows it
- ``GET /_control/requests``: the record, as a JSON list

These are not recorded and never faulty.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import parse_qsl

from aiohttp import web

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import (
    FaultKind,
    FaultPlan,
    FaultRule,
    InjectedFault,
    NoVariants,
    changed,
    rules_from_json,
    rules_to_json,
    variants_to_json,
)
from tidewaiter.emulators.emulated_replies import Reply, Sender, page_reply, reset, spoiled
from tidewaiter.emulators.outgoing_callbacks import Callbacks

_LARGEST_BODY: Final = 16 * 1_048_576
_SHUTDOWN_S: Final = 0.1
_HOST: Final = "127.0.0.1"
_REFUSALS: Final = {
    FaultKind.UNAUTHORIZED: (401, "Unauthorized"),
    FaultKind.FORBIDDEN: (403, "Forbidden"),
    FaultKind.MISSING: (404, "Not found"),
}


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived: ``at`` in epoch seconds, ``path_qs`` byte for byte as it was sent."""

    at: float
    method: str
    path_qs: str
    route: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def query(self) -> Mapping[str, str]:
        """The decoded query; the first value if a key comes twice."""
        pairs = parse_qsl(self.path_qs.partition("?")[2], keep_blank_values=True)
        return dict(reversed(pairs))

    def has_basic(self, user: str, password: str) -> bool:
        """Whether it carries these credentials of HTTP Basic (RFC 7617), in UTF-8."""
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        expected = base64.b64encode(f"{user}:{password}".encode()).decode()
        return scheme.lower() == "basic" and given == expected


@dataclass(frozen=True, slots=True)
class EmulatedCall:
    """The input of a route: the request, the variable parts of its path, and the fault to show."""

    request: RecordedRequest
    arguments: Mapping[str, str]
    fault: InjectedFault


@dataclass(frozen=True, slots=True)
class EmulatedRoute:
    """One request that a server knows; fault rules and the record use ``name``."""

    name: str
    method: str
    path: str
    answer: Callable[[EmulatedCall], Reply]


class EmulatedServer(ABC):
    """An HTTP server on the loopback interface; start it with ``async with`` or :meth:`start` and :meth:`stop`.

    Port 0 takes a free port, which stays the same after a stop and another start. All times come from ``clock``; times
    in replies are ``skew_s`` seconds ahead of it.
    """

    software: ClassVar[str] = "emulator"
    variants: Any = NoVariants()

    def __init__(self, *, clock: Clock, faults: Sequence[FaultRule] = (), port: int = 0, skew_s: float = 0.0) -> None:
        self.clock = clock
        self.skew_s = skew_s
        self.faults = FaultPlan(faults)
        self.callbacks = Callbacks(clock, self.faults)
        self.requests: list[RecordedRequest] = []
        self._port = port
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def routes(self) -> Iterable[EmulatedRoute]:
        """The routes of this server; paths are aiohttp's."""

    def refusal(self, status: int, message: str) -> Reply:
        """A refusal in the form of this API."""
        return page_reply(status, message)

    def unknown(self, _call: EmulatedCall) -> Reply:
        """The reply if no route matches."""
        return self.refusal(404, "Not found")

    def outage(self, status: int) -> Reply:
        """The reply during an outage of this API."""
        return page_reply(status, "Service Temporarily Unavailable")

    @property
    def origin(self) -> str:
        """Scheme, host and port, without a slash at the end.

        :raises RuntimeError: before the first start with port 0.
        """
        if not self._port:
            msg = "the server has no port before it is started"
            raise RuntimeError(msg)
        return f"http://{_HOST}:{self._port}"

    def server_now(self) -> float:
        """The server's own time, in epoch seconds."""
        return self.clock.now() + self.skew_s

    def count(self, route: str) -> int:
        """How many requests of that route arrived, faulty ones included."""
        return sum(request.route == route for request in self.requests)

    def busiest_window(self, period_s: float) -> int:
        """The most requests in any ``period_s`` seconds; two exactly that far apart are not counted together."""
        times = sorted(request.at for request in self.requests)
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= period_s:
                first += 1
            most = max(most, last - first + 1)
        return most

    async def start(self) -> None:
        """Begin to listen.

        :raises OSError: when the port is taken.
        """
        sender = Sender(self.clock, self.software, self.skew_s)
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.add_routes(self._control_routes())
        unknown = EmulatedRoute("unknown", "*", "/{path:.*}", self.unknown)
        for route in (*self.routes(), unknown):
            application.router.add_route(route.method, route.path, self._answering(route, sender))
        # Cancellation ends stalled and trickled bodies when the client closes the connection or the server stops.
        # It cannot interrupt an effect, which happens without a pause.
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, _HOST, self._port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]
        self.callbacks.start()

    async def stop(self) -> None:
        """Close every connection and stop listening; state, record, port and planned callbacks are kept."""
        await self.callbacks.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _answering(
        self, route: EmulatedRoute, sender: Sender
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            at = self.clock.now()
            fault = self.faults.take(route.name)
            body = b"" if fault.kind is FaultKind.RESET_BEFORE else await request.read()
            recorded = RecordedRequest(at, request.method, request.raw_path, route.name, request.headers, body)
            self.requests.append(recorded)
            if fault.kind is FaultKind.RESET_BEFORE:
                return _cut(request)
            reply = self._refused(fault) or route.answer(EmulatedCall(recorded, request.match_info, fault))
            if fault.kind is FaultKind.RESET_AFTER:
                return _cut(request)
            if fault.kind is FaultKind.LATENCY:
                await self.clock.sleep(fault.seconds)
            if reply.delay_s > 0:
                await self.clock.sleep(reply.delay_s)
            return await sender.send(request, spoiled(reply, fault), fault)

        return answer

    def _refused(self, fault: InjectedFault) -> Reply | None:
        match fault.kind:
            case FaultKind.THROTTLE:
                return self._with_retry_after(self.refusal(429, "Too many requests"), fault)
            case FaultKind.UNAVAILABLE:
                return self._with_retry_after(self.outage(fault.status), fault)
            case FaultKind.HTML:
                return page_reply(200, "Scheduled maintenance")
            case _ if fault.kind in _REFUSALS:
                return self.refusal(*_REFUSALS[fault.kind])
            case _:
                return None

    def _with_retry_after(self, reply: Reply, fault: InjectedFault) -> Reply:
        value = fault.retry_after_at(self.server_now())
        return reply if value is None else replace(reply, headers={**reply.headers, "Retry-After": value})

    def _control_routes(self) -> list[web.RouteDef]:
        return [
            web.get("/_control/faults", self._list_faults),
            web.post("/_control/faults", self._add_faults),
            web.delete("/_control/faults", self._clear_faults),
            web.get("/_control/variants", self._show_variants),
            web.patch("/_control/variants", self._change_variants),
            web.get("/_control/requests", self._list_requests),
        ]

    async def _list_faults(self, _request: web.Request) -> web.Response:
        return web.Response(body=rules_to_json(self.faults.rules), content_type="application/json")

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults.extend(rules_from_json(await request.read()))
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        return await self._list_faults(request)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self.faults.clear()
        return await self._list_faults(request)

    async def _show_variants(self, _request: web.Request) -> web.Response:
        return web.Response(body=variants_to_json(self.variants), content_type="application/json")

    async def _change_variants(self, request: web.Request) -> web.Response:
        try:
            self.variants = changed(self.variants, await request.read())
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        return await self._show_variants(request)

    async def _list_requests(self, _request: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "at": one.at,
                    "method": one.method,
                    "path_qs": one.path_qs,
                    "route": one.route,
                    "headers": dict(one.headers),
                    "body": one.body.decode(errors="replace"),
                }
                for one in self.requests
            ]
        )


def _cut(request: web.Request) -> web.StreamResponse:
    reset(request)
    return web.Response()  # aiohttp needs one, and drops it because the connection is closed
