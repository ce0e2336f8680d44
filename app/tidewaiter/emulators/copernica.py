"""Copernica REST v4's data requests: order all data of one person, poll, then download the file or get it by mail.

Source: https://www.copernica.com/en/documentation/restv4/rest-post-subprofile-data-request with its sibling pages, and
public clients of the same API. What they leave open is a variant.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import md5
from math import ceil
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import STRICT, FaultKind, FaultRule, InjectedFault
from tidewaiter.emulators.copernica_login import CopernicaLogin
from tidewaiter.emulators.emulated_replies import (
    BytesBody,
    EmulatedBody,
    GeneratedBody,
    JoinedBody,
    Reply,
    json_reply,
    text_reply,
)
from tidewaiter.emulators.outgoing_callbacks import Callback
from tidewaiter.emulators.request_limit import RequestLimit
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer

_LARGEST_MESSAGE: Final = 5_000_000
_MARK: Final = "@mime@"


@dataclass(frozen=True, slots=True)
class HexBody:
    """Hexadecimal digits, two for each byte of another body: text of any length without line breaks."""

    content: EmulatedBody

    @property
    def size(self) -> int:
        """How many digits there are."""
        return 2 * self.content.size

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The digits from ``start`` up to ``stop``, in pieces of at most 128 KiB."""
        at = start - start % 2
        for piece in self.content.chunks(start // 2, (stop + 1) // 2):
            digits = piece.hex().encode()
            yield digits[max(0, start - at) : stop - at]
            at += len(digits)


def data_file(kind: str, of: int | str, mime_bytes: int, seed: int) -> EmulatedBody:
    """The JSON file about one profile, subprofile or e-mail address.

    ``mime_bytes`` is the size of the messages (rounded up to an even number), which follow from ``seed``. They are not
    held in memory, so they may be gigabytes.
    """
    messages = max(1, -(-mime_bytes // _LARGEST_MESSAGE))
    share = -(-mime_bytes // (2 * messages))
    rows: list[list[object]] = [["mime", number, _headers(number) + _MARK] for number in range(1, messages + 1)]
    rows += [["open", "2026-01-31 08:15:00", {"agent": "Mozilla/5.0"}], ["click", "2026-01-31 08:16:07", {"link": 1}]]
    frame = json.dumps({"info": {"type": kind, "id": of}, "data": rows}).split(_MARK)
    parts: list[EmulatedBody] = [BytesBody(frame[0].encode())]
    for number, text in enumerate(frame[1:]):
        parts += [HexBody(GeneratedBody(share, seed * 1_000 + number)), BytesBody(text.encode())]
    return JoinedBody(tuple(parts))


def _headers(number: int) -> str:
    return (
        f"Message-ID: <{number}@mail.example.org>\r\nSubject: Newsletter no. {number}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n\r\n"
    )


_JSON: Final = "application/json"
_MOVED: Final = "/v4/moved"
_JOB_FAULTS: Final = frozenset({FaultKind.UNKNOWN_WORD, FaultKind.NEVER_ENDS, FaultKind.GONE, FaultKind.FLAPPING})


class IdentifierPlace(StrEnum):
    """Where the identifier of a new request is: in a header of a 201 or 303 with an empty body, or in the body."""

    X_CREATED = "X-Created"
    X_LOCATION = "X-location"
    LOCATION = "Location"
    SEE_OTHER = "303 X-Created"
    SEE_OTHER_LOCATION = "303 Location"
    TEXT = "text"
    STRING = "string"
    OBJECT = "object"


class ExpiredForm(StrEnum):
    """How a request whose file has expired is reported: as unknown, or as data that are not available."""

    MISSING = "missing"
    NOT_AVAILABLE = "not available"


@dataclass(frozen=True, slots=True)
class CopernicaVariants:
    """What the documents leave open, and durations and sizes."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    build_s: Annotated[float, Field(ge=0, description="How long it takes to collect the data.")] = 30.0
    keep_s: Annotated[float, Field(ge=0, description="How long the file is kept after that.")] = 86_400.0
    mime_bytes: Annotated[int, Field(ge=0, description="How many bytes of messages the file holds.")] = 20_000
    attached_bytes: Annotated[int, Field(ge=0, description="Up to which size a file is attached to a mail.")] = 10**7
    identifier: Annotated[IdentifierPlace, Field(description="Where the identifier of a new request is.")] = (
        IdentifierPlace.X_CREATED
    )
    absolute: Annotated[bool, Field(description="Whether an address in a header is an absolute one.")] = True
    numbers: Annotated[bool, Field(description="Whether identifiers are numbers.")] = False
    pending_word: Annotated[str, Field(description="The status of a request that is not ready yet.")] = "pending"
    pending_text: Annotated[str, Field(description="The text in place of its data.")] = "Data not available (yet)"
    over: Annotated[ExpiredForm, Field(description="How a request whose file has expired is reported.")] = (
        ExpiredForm.MISSING
    )
    missing: Annotated[int, Field(ge=400, le=499, description="The HTTP status for something that does not exist.")] = (
        404
    )
    direct: Annotated[bool, Field(description="Whether the access token itself is accepted, without a login.")] = False
    token_refusal: Annotated[int, Field(ge=400, le=499, description="The HTTP status for a bad token.")] = 401
    moved: Annotated[tuple[str, ...], Field(description="Routes that answer 301 to another path.")] = ()


@dataclass(slots=True)
class DataRequest:
    """One accepted request; ``created_at`` in epoch seconds, ``polls`` counts the replies about its state.

    ``kind`` and ``of`` say whose data it requests. ``fate`` is the fault that it was created with.
    """

    id: str
    kind: str
    of: int | str
    report: str | None
    created_at: float
    fate: InjectedFault
    polls: int = 0
    fetches: int = 0
    started: float = field(default=0.0, repr=False)
    seed: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """One report that went out by e-mail at ``at``, with the file attached or, where it is too large, a link to it."""

    at: float
    address: str
    request_id: str
    attached: bool


class CopernicaEmulator(EmulatedServer):
    """The API for callers with a token of ``login``, which the test starts.

    Routes: ``create`` (of a profile, a subprofile or an e-mail address), ``status``, ``data``, ``bare``, ``identity``;
    the callback: ``report``. A fault of the job (``unknown_word``, ``never_ends``, ``gone``, ``flapping``) on
    ``create`` stays with the request; on ``status`` or ``bare`` it shows in that reply only, and so does ``gone`` on
    ``data``. ``revoked`` on any route makes the token of the request invalid; ``error_status`` is an error with status
    200, with ``text`` as the message.
    """

    software: ClassVar[str] = "Copernica"
    variants: CopernicaVariants

    def __init__(
        self,
        *,
        clock: Clock,
        login: CopernicaLogin,
        variants: CopernicaVariants | None = None,
        limit: RequestLimit | None = None,
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.data_requests: list[DataRequest] = []
        self.login = login
        self.variants = variants or CopernicaVariants()
        self._limit = limit
        self._by_id: dict[str, DataRequest] = {}

    @property
    def base_url(self) -> str:
        """The address of version 4 of the API, without a slash at the end."""
        return f"{self.origin}/v4"

    def routes(self) -> Iterable[EmulatedRoute]:
        """Six requests, each at its own path and at the path that it may have moved to, and ``identity``."""
        request = "/datarequest/{id:[0-9a-f]{1,32}}"
        paths = [
            ("create", "POST", "/profile/{id:[0-9]+}/datarequest", lambda call: self._create(call, "profile")),
            ("create", "POST", "/subprofile/{id:[0-9]+}/datarequest", lambda call: self._create(call, "subprofile")),
            ("create", "POST", "/email/{id:[^/]+}/datarequest", lambda call: self._create(call, "email")),
            ("status", "GET", f"{request}/status", self._status),
            ("data", "GET", f"{request}/data", self._data),
            ("bare", "GET", request, self._bare),
        ]
        for name, method, path, answer in paths:
            yield EmulatedRoute(name, method, f"/v4{path}", self._guarded(self._stays(name, answer)))
            yield EmulatedRoute(name, method, f"{_MOVED}{path}", self._guarded(answer))
        yield EmulatedRoute("identity", "GET", "/v4/identity", self._guarded(_identity))

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of this API."""
        return json_reply({"error": {"message": message}}, status)

    def file(self, request: DataRequest) -> EmulatedBody:
        """The file that a request results in."""
        return data_file(request.kind, request.of, self.variants.mime_bytes, request.seed)

    def mails(self) -> Sequence[Mail]:
        """The reports that were sent by e-mail until now."""
        return [
            Mail(request.created_at + self.variants.build_s, request.report, request.id, self._is_small(request))
            for request in self.data_requests
            if request.report is not None and not _is_web(request.report) and self._is_built(request, request.fate)
        ]

    def _guarded(self, answer: Callable[[EmulatedCall], Reply]) -> Callable[[EmulatedCall], Reply]:
        def guarded(call: EmulatedCall) -> Reply:
            scheme, _, token = call.request.headers.get("Authorization", "").partition(" ")
            if call.fault.kind is FaultKind.REVOKED:
                self.login.revoke(token)
            is_session = scheme.lower() == "bearer" and self.login.holds(token)
            if not is_session and not self._is_access_token(call.request.query.get("access_token") or token):
                return self.refusal(self.variants.token_refusal, "Invalid or expired access token")
            wait_s = self._limit.take(self.clock.monotonic()) if self._limit is not None else 0.0
            if wait_s > 0:
                return replace(self.refusal(429, "Too many requests"), headers={"Retry-After": str(ceil(wait_s))})
            if call.fault.kind is FaultKind.ERROR_STATUS:
                return self.refusal(200, call.fault.text or "Something went wrong")
            return answer(call)

        return guarded

    def _is_access_token(self, token: str) -> bool:
        return self.variants.direct and token == self.login.access_token

    def _stays(self, route: str, answer: Callable[[EmulatedCall], Reply]) -> Callable[[EmulatedCall], Reply]:
        def stays(call: EmulatedCall) -> Reply:
            if route not in self.variants.moved:
                return answer(call)
            return Reply(301, headers={"Location": _MOVED + call.request.path_qs.removeprefix("/v4")})

        return stays

    def _create(self, call: EmulatedCall, kind: str) -> Reply:
        named = call.arguments["id"]
        if not (int(named) if kind != "email" else "@" in named):
            return self.refusal(400, f"There is no {kind} {named}")
        report = _report(call)
        if not (report is None or _is_web(report) or "@" in report):
            return self.refusal(400, "The report is neither an e-mail address nor a web address")
        number = len(self.data_requests) + 1
        request = DataRequest(
            id=str(number) if self.variants.numbers else md5(str(number).encode(), usedforsecurity=False).hexdigest(),
            kind=kind,
            of=named if kind == "email" else int(named),
            report=report,
            created_at=self.clock.now(),
            fate=call.fault,
            started=self.clock.monotonic(),
            seed=number,
        )
        self.data_requests.append(request)
        self._by_id[request.id] = request
        self._plan_report(request)
        return self._created(request)

    def _created(self, request: DataRequest) -> Reply:
        address = f"{self.origin if self.variants.absolute else ''}/v4/datarequest/{request.id}"
        match self.variants.identifier:
            case IdentifierPlace.X_CREATED:
                return Reply(201, headers={"X-Created": request.id})
            case IdentifierPlace.X_LOCATION | IdentifierPlace.LOCATION as header:
                return Reply(201, headers={header.value: address})
            case IdentifierPlace.SEE_OTHER:
                return Reply(303, headers={"X-Created": request.id})
            case IdentifierPlace.SEE_OTHER_LOCATION:
                return Reply(303, headers={"Location": address})
            case IdentifierPlace.TEXT:
                return text_reply(request.id, status=201)
            case IdentifierPlace.STRING:
                return json_reply(self._id_in_reply(request), 201)
            case IdentifierPlace.OBJECT:
                return json_reply({"id": self._id_in_reply(request)}, 201)

    def _id_in_reply(self, request: DataRequest) -> int | str:
        return int(request.id) if self.variants.numbers else request.id

    def _plan_report(self, request: DataRequest) -> None:
        if request.report is not None and _is_web(request.report):
            due = request.started + self.variants.build_s
            self.callbacks.plan(Callback("report", request.report, due, lambda fault: self._reported(request, fault)))

    def _reported(self, request: DataRequest, fault: InjectedFault) -> Reply | None:
        if not self._is_built(request, request.fate):
            return None
        reported = replace(request, of=999_999, seed=0) if fault.kind is FaultKind.FORGED else request
        return Reply(200, self.file(reported), _JSON)

    def _status(self, call: EmulatedCall) -> Reply:
        request, fault = self._find(call)
        if request is None:
            return self._no_request()
        request.polls += 1
        if fault.kind is FaultKind.UNKNOWN_WORD:
            return json_reply({"status": fault.text or "archived"})
        if not self._is_ready(request, fault):
            is_over = self._is_over(request)
            return json_reply({"status": ExpiredForm.NOT_AVAILABLE.value if is_over else self.variants.pending_word})
        return json_reply({"status": "available", "available": self.file(request).size, "content-type": _JSON})

    def _data(self, call: EmulatedCall) -> Reply:
        request, fault = self._find(call)
        if request is None:
            return self._no_request()
        request.fetches += 1
        if not self._is_ready(request, fault):
            return self.refusal(404, self.variants.pending_text)
        return Reply(200, self.file(request), _JSON)

    def _bare(self, call: EmulatedCall) -> Reply:
        request, fault = self._find(call)
        if request is None:
            return self._no_request()
        request.polls += 1
        if fault.kind is FaultKind.UNKNOWN_WORD:
            return json_reply({"state": fault.text or "archived"})
        if not self._is_ready(request, fault):
            return json_reply({"data": self.variants.pending_text})
        return Reply(200, self.file(request), _JSON)

    def _find(self, call: EmulatedCall) -> tuple[DataRequest | None, InjectedFault]:
        """The request of the call, if it exists, and the fault that it shows."""
        request = self._by_id.get(call.arguments["id"])
        fault = call.fault if request is None or call.fault.kind in _JOB_FAULTS else request.fate
        is_gone = fault.kind is FaultKind.GONE
        if request is None or is_gone or (self._is_over(request) and self.variants.over is ExpiredForm.MISSING):
            return None, fault
        return request, fault

    def _no_request(self) -> Reply:
        return self.refusal(self.variants.missing, "There is no data request with this ID")

    def _is_ready(self, request: DataRequest, fault: InjectedFault) -> bool:
        flapped = fault.kind is FaultKind.FLAPPING and request.polls % 2 == 0
        return not flapped and self._is_built(request, fault) and not self._is_over(request)

    def _is_built(self, request: DataRequest, fault: InjectedFault) -> bool:
        if fault.kind in {FaultKind.NEVER_ENDS, FaultKind.GONE}:
            return False
        return self.clock.monotonic() - request.started >= self.variants.build_s

    def _is_over(self, request: DataRequest) -> bool:
        kept_s = self.clock.monotonic() - request.started - self.variants.build_s
        return kept_s >= self.variants.keep_s and self._is_built(request, request.fate)

    def _is_small(self, request: DataRequest) -> bool:
        return self.file(request).size <= self.variants.attached_bytes


def _identity(_call: EmulatedCall) -> Reply:
    return json_reply({"id": "5004", "name": "Example account", "company": "Example Ltd."})


def _is_web(report: str) -> bool:
    return report.startswith(("http://", "https://"))


def _report(call: EmulatedCall) -> str | None:
    """The address for the report: a parameter of the URL, or a member of the JSON body; the documents show both."""
    try:
        reported = json.loads(call.request.body) if call.request.body else {}
    except ValueError:
        reported = {}
    members: Mapping[str, object] = reported if isinstance(reported, dict) else {}
    report = call.request.query.get("report") or members.get("report")
    return None if report is None else str(report)
