"""Symplify's statistic batch export (formerly Carma): create a batch, poll it, get a signed link to its file.

Source: Symplify's help page "API Statistic export"; where it leaves something open, public clients of the API decide.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import ceil
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import ConfigDict, Field

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import STRICT, FaultKind, FaultRule, InjectedFault
from tidewaiter.emulators.emulated_replies import BodySource, Reply, json_reply, text_reply
from tidewaiter.emulators.file_host import FileHost
from tidewaiter.emulators.request_limit import RequestLimit
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer, RecordedRequest

EXPORT_TYPES: Final = frozenset(
    {
        "LISTS",
        "CAMPAIGNS",
        "MESSAGES",
        "OPENS",
        "SENT",
        "CLICKS",
        "PROJECTS",
        "HARD_BOUNCES",
        "SOFT_BOUNCES",
        "OPTOUTS",
    }
)
EXPORT_ALIASES: Final = {"OPENED": "OPENS"}  # the one that the vendor's own example uses
PERIODS: Final = frozenset({"TODAY", "LAST_DAY", "LAST_3_DAYS", "LAST_WEEK", "LAST_2_WEEKS"})

_NAMED: Final = frozenset({"LISTS", "CAMPAIGNS", "MESSAGES", "PROJECTS"})
_FIRST_AT_MS: Final = 1_394_636_797_030


class ExportForm(StrEnum):
    """How the rows are written: one JSON array, one JSON object a line, or no byte at all."""

    ARRAY = "array"
    NDJSON = "ndjson"
    EMPTY = "empty"


def export_file(export_type: str, form: ExportForm, rows: int) -> bytes:
    """The file of an export of this type with this many rows; without rows the array form is ``[]``."""
    match form:
        case ExportForm.ARRAY:
            return json.dumps(list(_rows(export_type, rows))).encode()
        case ExportForm.NDJSON:
            return b"".join(json.dumps(row).encode() + b"\n" for row in _rows(export_type, rows))
        case ExportForm.EMPTY:
            return b""


def _rows(export_type: str, rows: int) -> Iterator[dict[str, int | str]]:
    for number in range(1, rows + 1):
        at_ms = _FIRST_AT_MS + 61_000 * number
        if export_type in _NAMED:
            yield {"id": number, "name": f"{export_type.lower()} no. {number}", "created": at_ms}
        else:
            yield {
                "messageId": 1 + number % 7,
                "contactId": number,
                "email": f"reader-{number}@example.org",
                "date": at_ms,
                "event": export_type,
            }


ExportContent: TypeAlias = Mapping[str, ExportForm] | Callable[[str, str], BodySource]


class UrlForm(StrEnum):
    """How the URL of a result is written: alone, or with characters around it that are not part of it."""

    PLAIN = "plain"
    BOM = "bom"
    CURLY = "curly quotes"
    QUOTED = "quotes"
    JSON = "json"
    BLANKS = "blanks"


_URL_FORMS: Final[Mapping[UrlForm, Callable[[str], str]]] = {
    UrlForm.PLAIN: str,
    UrlForm.BOM: "\ufeff{}".format,
    UrlForm.CURLY: "\u201c{}\u201d".format,
    UrlForm.QUOTED: "'{}'".format,
    UrlForm.JSON: lambda url: json.dumps(url).replace("/", "\\/"),
    UrlForm.BLANKS: " \r\n{}\r\n ".format,
}


@dataclass(frozen=True, slots=True)
class SymplifyVariants:
    """What the page leaves open, and how long and how large things are."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    build_s: Annotated[float, Field(ge=0, description="How long an export takes.")] = 30.0
    rows: Annotated[int, Field(ge=0, description="How many rows an export has.")] = 500
    link_ttl_s: Annotated[float, Field(description="How long a signed URL is valid.")] = 300.0
    min_poll_s: Annotated[float, Field(ge=0, description="The least time between two polls of one batch.")] = 0.0
    url: Annotated[UrlForm, Field(description="How the URL of a result is written.")] = UrlForm.PLAIN


_FIRST_BATCH: Final = 101_111
_FIRST_FILE: Final = 3_232_465
_PENDING_SHARE: Final = 0.2
_JOB_FAULTS: Final = frozenset(
    {
        FaultKind.UNKNOWN_WORD,
        FaultKind.NEVER_ENDS,
        FaultKind.GONE,
        FaultKind.FLAPPING,
        FaultKind.ERROR_STATUS,
    }
)


@dataclass(slots=True)
class ExportBatch:
    """One batch that was created; ``created_at`` in epoch seconds, ``polls`` counts its status replies.

    ``fate`` is the fault that the batch was created with; every reply about it shows this fault. ``result_key`` is the
    key of its file on the file host, after the first link to it was made (``published``).
    """

    id: int
    export_type: str
    period: str
    created_at: float
    fate: InjectedFault
    result_key: str
    polls: int = 0
    published: bool = False
    started: float = field(default=0.0, repr=False)
    last_poll: float | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SymplifyCustomer:
    """The customer that the API knows. With ``basic`` (user, password) it needs HTTP Basic instead of the token."""

    token: str
    id: str = "5004"
    basic: tuple[str, str] | None = None


class SymplifyEmulator(EmulatedServer):
    """The API for one customer, with its results on ``files``, which the caller starts.

    ``content`` says what the exports contain: the form of the rows for each type (default: a JSON array), or a function
    of type and period. ``limit`` is a rate limit over all requests with good credentials.

    Routes: ``create``, ``status``, ``url``, ``result``. A fault of the job (``unknown_word``, ``never_ends``,
    ``gone``, ``flapping``, ``error_status``) on ``create`` stays with the batch; on ``status`` it shows in that reply
    only. ``error_status`` on ``create`` comes at the end of the build. ``gone`` and ``link_expired`` are also possible
    on ``url`` and ``result``.
    """

    software: ClassVar[str] = "nginx"
    variants: SymplifyVariants

    def __init__(
        self,
        *,
        clock: Clock,
        files: FileHost,
        customer: SymplifyCustomer,
        limit: RequestLimit | None = None,
        content: ExportContent | None = None,
        variants: SymplifyVariants | None = None,
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.batches: list[ExportBatch] = []
        self.variants = variants or SymplifyVariants()
        self.customer = customer
        self._files = files
        self._limit = limit
        self._content = content if content is not None else {}

    @property
    def base_url(self) -> str:
        """The address of the customer's API, without a slash at the end."""
        return f"{self.origin}/rest/{self.customer.id}"

    def routes(self) -> Iterable[EmulatedRoute]:
        """The four requests of the export."""
        batch = "/rest/{customer_id}/batches/{batch_id:[0-9]{1,18}}"
        return [
            EmulatedRoute(
                "create", "POST", "/rest/{customer_id}/batches/exports/statistics", self._guarded(self._create)
            ),
            EmulatedRoute("status", "GET", batch, self._guarded(self._status)),
            EmulatedRoute("url", "GET", f"{batch}/result/url", self._guarded(self._url)),
            EmulatedRoute("result", "GET", f"{batch}/result", self._guarded(self._result)),
        ]

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of this API."""
        return json_reply({"error": message}, status)

    def _guarded(self, answer: Callable[[EmulatedCall], Reply]) -> Callable[[EmulatedCall], Reply]:
        def guarded(call: EmulatedCall) -> Reply:
            if not self._authenticated(call.request):
                return self._unauthorized()
            wait_s = self._limit.take(self.clock.monotonic()) if self._limit is not None else 0.0
            if wait_s > 0:
                return self._too_often(wait_s)
            if call.arguments["customer_id"] != self.customer.id:
                return self.refusal(404, "Unknown customer")
            return answer(call)

        return guarded

    def _authenticated(self, request: RecordedRequest) -> bool:
        if self.customer.basic is None:
            return request.headers.get("X-Carma-Authentication-Token") == self.customer.token
        return request.has_basic(*self.customer.basic)

    def _unauthorized(self) -> Reply:
        reply = self.refusal(401, "Unauthorized")
        return (
            reply if self.customer.basic is None else replace(reply, headers={"WWW-Authenticate": 'Basic realm="rest"'})
        )

    def _too_often(self, wait_s: float) -> Reply:
        return replace(self.refusal(429, "Too many requests"), headers={"Retry-After": str(ceil(wait_s))})

    def _create(self, call: EmulatedCall) -> Reply:
        try:
            sent = json.loads(call.request.body)
        except ValueError:
            return self.refusal(400, "The request body is not JSON")
        if not isinstance(sent, dict):
            return self.refusal(400, "The request body is not an object")
        export_type, period = str(sent.get("exportType")), str(sent.get("period"))
        export_type = EXPORT_ALIASES.get(export_type, export_type)
        if export_type not in EXPORT_TYPES:
            return self.refusal(400, f"Unknown exportType: {export_type}")
        if period not in PERIODS:
            return self.refusal(400, f"Unknown period: {period}")
        place = len(self.batches)
        batch = ExportBatch(
            id=_FIRST_BATCH + place,
            export_type=export_type,
            period=period,
            created_at=self.clock.now(),
            fate=call.fault,
            result_key=f"result/{self.customer.id}/{_FIRST_FILE + place}_result.json",
            started=self.clock.monotonic(),
        )
        self.batches.append(batch)
        return json_reply({"batchId": str(batch.id)})

    def _status(self, call: EmulatedCall) -> Reply:
        batch = self._batch(call)
        if batch is None:
            return self._no_batch(call)
        now = self.clock.monotonic()
        wait_s = 0.0 if batch.last_poll is None else batch.last_poll + self.variants.min_poll_s - now
        if wait_s > 0:
            return self._too_often(wait_s)
        batch.last_poll = now
        batch.polls += 1
        fault = call.fault if call.fault.kind in _JOB_FAULTS else batch.fate
        if fault.kind is FaultKind.GONE:
            return self._no_batch(call)
        word = self._word(batch, fault)
        share = 0.0 if word == "PENDING" else self._share(batch, fault)
        processed = int(self.variants.rows * share)
        ended = word in {"FINISHED", "ERROR"}
        # As recorded: blanks around words in some replies, an id that is a number here and a string at the creation,
        # and a last row that is never counted as processed.
        return json_reply(
            {
                "id": batch.id,
                "type": " STAT_EXPORT",
                "customerId": int(self.customer.id) if self.customer.id.isdecimal() else 0,
                "startTime": int(batch.created_at * 1000),
                "endTime": int((batch.created_at + self.variants.build_s) * 1000) if ended else None,
                "affected": processed,
                "processed": processed,
                "total": self.variants.rows + 1,
                "status": f" {word} " if batch.polls % 2 else word,
            }
        )

    def _url(self, call: EmulatedCall) -> Reply:
        accept = call.request.headers.get("Accept", "*/*").lower()
        types = {part.partition(";")[0].strip() for part in accept.split(",")}
        if "application/json" in types or not types & {"text/plain", "text/*", "*/*"}:
            return self.refusal(406, "Not acceptable: the result is text/plain")
        url = self._link(call)
        if url is None:
            return self.refusal(404, "The result is not available")
        return text_reply(_URL_FORMS[self.variants.url](url))

    def _result(self, call: EmulatedCall) -> Reply:
        url = self._link(call)
        return Reply(302, headers={"Location": url}) if url is not None else self.refusal(404, "No result available")

    def _link(self, call: EmulatedCall) -> str | None:
        batch = self._batch(call)
        if batch is None or call.fault.kind is FaultKind.GONE or not self._ready(batch):
            return None
        if not batch.published:
            batch.published = True
            self._files.put(batch.result_key, self._file(batch))
        expired = FaultKind.LINK_EXPIRED in {call.fault.kind, batch.fate.kind}
        return self._files.signed_url(batch.result_key, -60 if expired else self.variants.link_ttl_s)

    def _file(self, batch: ExportBatch) -> BodySource:
        if callable(self._content):
            return self._content(batch.export_type, batch.period)
        form = self._content.get(batch.export_type, ExportForm.ARRAY)
        return export_file(batch.export_type, form, self.variants.rows)

    def _batch(self, call: EmulatedCall) -> ExportBatch | None:
        place = int(call.arguments["batch_id"]) - _FIRST_BATCH
        return self.batches[place] if 0 <= place < len(self.batches) else None

    def _no_batch(self, call: EmulatedCall) -> Reply:
        return self.refusal(404, f"No such batch: {call.arguments['batch_id']}")

    def _share(self, batch: ExportBatch, fault: InjectedFault) -> float:
        passed_s = self.clock.monotonic() - batch.started
        share = 1.0 if passed_s >= self.variants.build_s else passed_s / self.variants.build_s
        return min(share, 0.95) if fault.kind is FaultKind.NEVER_ENDS else share

    def _ready(self, batch: ExportBatch) -> bool:
        return self._share(batch, batch.fate) >= 1 and batch.fate.kind not in {FaultKind.ERROR_STATUS, FaultKind.GONE}

    def _word(self, batch: ExportBatch, fault: InjectedFault) -> str:
        share = self._share(batch, fault)
        match fault.kind:
            case FaultKind.UNKNOWN_WORD:
                return fault.text or "ARCHIVING"
            case FaultKind.ERROR_STATUS if share >= 1 or fault is not batch.fate:
                return "ERROR"
            case FaultKind.FLAPPING if batch.polls % 2 == 0:
                return "PENDING"
            case _:
                return "PENDING" if share < _PENDING_SHARE else "IN_PROGRESS" if share < 1 else "FINISHED"
