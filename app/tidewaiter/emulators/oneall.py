"""OneAll's sharing analytics: initiate a snapshot of a published message, poll it or get a callback, delete it.

Source: http://docs.oneall.com/api/resources/sharing-analytics/ and public clients of the same API. What they leave open
is a variant here, so that a client can be tested with each.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from math import ceil
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import HEALTHY, STRICT, FaultKind, FaultRule, InjectedFault
from tidewaiter.emulators.emulated_replies import Reply
from tidewaiter.emulators.oneall_replies import (
    Envelope,
    ReplyData,
    date_text,
    publication_snapshots,
    publications_of,
    token_of,
)
from tidewaiter.emulators.outgoing_callbacks import Callback
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer

LARGEST_PAGE: Final = 250
_SNAPSHOTS: Final = "/sharing/analytics/snapshots.json"
_PINGBACK: Final = "/sharing/analytics/snapshot.json"  # as the vendor's own example has it
_CREATED_AT: Final = 1_327_444_735.0
_NUMBER: Final = re.compile("0*[1-9][0-9]{0,17}")
_JOB_FAULTS: Final = frozenset({FaultKind.UNKNOWN_WORD, FaultKind.NEVER_ENDS, FaultKind.GONE, FaultKind.FLAPPING})


class PendingForm(IntEnum):
    """How a snapshot that is not built yet is reported, by the code of the reply.

    102 is only in the envelope, with HTTP status 200, because no final reply of HTTP can have it; 304 has no body; 200
    is a success without ``date_finished``.
    """

    UNFINISHED = 200
    PROCESSING = 102
    ACCEPTED = 202
    MULTI_STATUS = 207
    NOT_MODIFIED = 304
    CONFLICT = 409


class FinishedForm(StrEnum):
    """What shows that a snapshot is built: ``date_finished``, a ``status`` of ``processed``, or both."""

    DATE = "date"
    STATUS = "status"
    BOTH = "both"


@dataclass(slots=True)
class Snapshot:
    """One snapshot that was initiated; ``initiated_at`` in epoch seconds, ``polls`` counts its reads.

    ``repeats`` counts the further initiations that found it pending. ``fate`` is the fault that it was initiated with;
    every reply about it shows this fault.
    """

    token: str
    message_token: str
    pingback_uri: str | None
    initiated_at: float
    fate: InjectedFault
    polls: int = 0
    repeats: int = 0
    deleted: bool = False
    started: float = field(default=0.0, repr=False)


@dataclass(frozen=True, slots=True)
class OneAllVariants:
    """What the documents leave open, and durations."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    build_s: Annotated[float, Field(ge=0, description="How long a snapshot takes.")] = 30.0
    publications: Annotated[int, Field(ge=0, description="How many publications a snapshot has.")] = 2
    pending: Annotated[PendingForm, Field(description="How a snapshot that is not built yet is reported.")] = (
        PendingForm.UNFINISHED
    )
    finished: Annotated[FinishedForm, Field(description="What shows that a snapshot is built.")] = FinishedForm.BOTH
    duplicate_token: Annotated[bool, Field(description="Whether a 207 carries the pending snapshot's token.")] = True
    lookup_lag_s: Annotated[float, Field(ge=0, description="How long a new snapshot is answered with 404.")] = 0.0
    list_lag_s: Annotated[float, Field(ge=0, description="How long a new snapshot is missing from the list.")] = 0.0
    list_status: Annotated[bool, Field(description="Whether entries of the list have a status (newer revision).")] = (
        True
    )
    pagination: Annotated[bool, Field(description="Whether the list says how many pages there are.")] = True
    http_statuses: Annotated[Mapping[int, int], Field(description="HTTP status by the code in the envelope.")] = field(
        default_factory=dict
    )
    error_info: Annotated[bool, Field(description="Whether errors say what is wrong.")] = True


class OneAllEmulator(EmulatedServer):
    """The API of one site.

    Routes: ``initiate``, ``snapshot``, ``list``, ``delete``; the callback: ``pingback``. A fault of the job
    (``unknown_word``, ``never_ends``, ``gone``, ``flapping``) on ``initiate`` stays with the snapshot; on ``snapshot``
    it shows in that reply only. ``gone`` is also possible on ``delete``.
    """

    software: ClassVar[str] = "nginx"
    variants: OneAllVariants

    def __init__(
        self,
        *,
        clock: Clock,
        public_key: str,
        private_key: str,
        variants: OneAllVariants | None = None,
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.snapshots: list[Snapshot] = []
        self.public_key = public_key
        self.private_key = private_key
        self.variants = variants or OneAllVariants()
        self._by_token: dict[str, Snapshot] = {}
        self._latest: dict[str, Snapshot] = {}

    def routes(self) -> Iterable[EmulatedRoute]:
        """The four requests of the API; every path ends with the format of the reply."""
        snapshot = "/sharing/analytics/snapshots/{token}.json"
        return [
            EmulatedRoute("initiate", "PUT", _SNAPSHOTS, self._guarded(self._initiate)),
            EmulatedRoute("list", "GET", _SNAPSHOTS, self._guarded(self._list)),
            EmulatedRoute("snapshot", "GET", snapshot, self._guarded(self._snapshot)),
            EmulatedRoute("delete", "DELETE", snapshot, self._guarded(self._delete)),
        ]

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of this API; it always names the list as its resource."""
        return self._envelope.error(_SNAPSHOTS, status, message)

    @property
    def _envelope(self) -> Envelope:
        # A final reply of HTTP cannot have the status 102.
        statuses = {PendingForm.PROCESSING: 200, **self.variants.http_statuses}
        return Envelope(self.clock, statuses, self.variants.error_info)

    def make(self, message_token: str, pingback_uri: str | None = None, fate: InjectedFault = HEALTHY) -> Snapshot:
        """Initiate a snapshot like a request does; a test calls it for a snapshot of another client."""
        snapshot = Snapshot(
            token=token_of("snapshot", len(self.snapshots)),
            message_token=message_token,
            pingback_uri=pingback_uri,
            initiated_at=self.clock.now(),
            fate=fate,
            started=self.clock.monotonic(),
        )
        self._add(snapshot)
        return snapshot

    def _guarded(self, answer: Callable[[EmulatedCall], Reply]) -> Callable[[EmulatedCall], Reply]:
        def guarded(call: EmulatedCall) -> Reply:
            if call.request.has_basic(self.public_key, self.private_key):
                return answer(call)
            reply = self._envelope.error(_resource(call), 401, "Your API keys are not valid")
            return replace(reply, headers={"WWW-Authenticate": 'Basic realm="API"'})

        return guarded

    def _initiate(self, call: EmulatedCall) -> Reply:
        order = _order(call.request.body)
        message_token, pingback_uri = order.get("sharing_message_token"), order.get("pingback_uri")
        if not isinstance(message_token, str) or not message_token:
            return self._envelope.error(_resource(call), 400, "The sharing_message_token is missing")
        if not (pingback_uri is None or isinstance(pingback_uri, str)):
            return self._envelope.error(_resource(call), 400, "The pingback_uri is not a string")
        latest = self._latest.get(message_token)
        if latest is not None and _exists(latest) and not self._is_built(latest, latest.fate):
            return self._duplicate(call, latest)
        snapshot = self.make(message_token, pingback_uri, call.fault)
        info = "Your request has been received and scheduled to be processed"
        return self._envelope.reply(_resource(call), 201, "scheduled", info, _wrapped(_identified(snapshot)))

    def _duplicate(self, call: EmulatedCall, pending: Snapshot) -> Reply:
        pending.repeats += 1
        data = _wrapped(_identified(pending)) if self.variants.duplicate_token else None
        info = "There is already a pending snapshot for the given message"
        return self._envelope.reply(_resource(call), 207, "pending", info, data)

    def _snapshot(self, call: EmulatedCall) -> Reply:
        snapshot = self._find(call)
        if snapshot is None or self._passed_s(snapshot) < self.variants.lookup_lag_s:
            return self._no_snapshot(call)
        snapshot.polls += 1
        fault = call.fault if call.fault.kind in _JOB_FAULTS else snapshot.fate
        if fault.kind is FaultKind.UNKNOWN_WORD:
            word = fault.text or "archived"
            return self._envelope.success(_resource(call), _wrapped(_identified(snapshot) | {"status": word}))
        flapped = fault.kind is FaultKind.FLAPPING and snapshot.polls % 2 == 0
        if flapped or not self._is_built(snapshot, fault):
            return self._not_ready(call, snapshot)
        publications = publication_snapshots(snapshot.message_token, self.variants.publications, date_text(_CREATED_AT))
        described = self._described(snapshot, built=True)
        return self._envelope.success(_resource(call), _wrapped(described | {"publication_snapshots": publications}))

    def _not_ready(self, call: EmulatedCall, snapshot: Snapshot) -> Reply:
        data = _wrapped(self._described(snapshot, built=False))
        info = "The snapshot is being processed"
        match self.variants.pending:
            case PendingForm.UNFINISHED:
                return self._envelope.success(_resource(call), data)
            case PendingForm.NOT_MODIFIED:
                return Reply(304)
            case PendingForm.CONFLICT:
                return self._envelope.error(_resource(call), 409, info)
            case code:
                return self._envelope.reply(_resource(call), code, "pending", info, data)

    def _list(self, call: EmulatedCall) -> Reply:
        query = call.request.query
        page, size = _positive(query.get("page", "1")), _positive(query.get("entries_per_page", str(LARGEST_PAGE)))
        direction = query.get("order_direction", "asc")
        if page is None or size is None or direction not in {"asc", "desc"}:
            return self._envelope.error(_resource(call), 400, "The pagination is not valid")
        size = min(size, LARGEST_PAGE)
        listed = [snapshot for snapshot in self.snapshots if self._is_listed(snapshot, query)]
        if direction == "desc":
            listed.reverse()
        entries = [self._entry(snapshot) for snapshot in listed[(page - 1) * size : page * size]]
        pagination = {
            "current_page": page,
            "total_pages": max(1, ceil(len(listed) / size)),
            "entries_per_page": size,
            "total_entries": len(listed),
            "order": {"field": "date_creation", "direction": direction},
        }
        snapshots: ReplyData = {"count": len(entries), "entries": entries}
        if self.variants.pagination:
            snapshots["pagination"] = pagination
        return self._envelope.success(_resource(call), {"sharing_analytics_snapshots": snapshots})

    def _delete(self, call: EmulatedCall) -> Reply:
        snapshot = self._find(call)
        if snapshot is None:
            return self._no_snapshot(call)
        if call.request.query.get("confirm_deletion") != "true":
            return self._envelope.error(_resource(call), 400, "The deletion is not confirmed: confirm_deletion=true")
        snapshot.deleted = True
        info = "The sharing analytics snapshot has been deleted successfully"
        return self._envelope.success(_resource(call), info=info)

    def _pingback(self, snapshot: Snapshot, fault: InjectedFault) -> Reply | None:
        if not _exists(snapshot):
            return None
        data = _identified(snapshot) | {"date_finished": self._date_finished(snapshot)}
        if fault.kind is FaultKind.FORGED:
            data["sharing_analytics_snapshot_token"] = token_of("no snapshot")
        return self._envelope.success(_PINGBACK, _wrapped(data))

    def _add(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._by_token[snapshot.token] = self._latest[snapshot.message_token] = snapshot
        if snapshot.pingback_uri is not None and snapshot.fate.kind is not FaultKind.NEVER_ENDS:
            due = snapshot.started + self.variants.build_s
            pingback = Callback("pingback", snapshot.pingback_uri, due, lambda fault: self._pingback(snapshot, fault))
            self.callbacks.plan(pingback)

    def _find(self, call: EmulatedCall) -> Snapshot | None:
        snapshot = self._by_token.get(call.arguments["token"])
        if snapshot is None or not _exists(snapshot) or call.fault.kind is FaultKind.GONE:
            return None
        return snapshot

    def _no_snapshot(self, call: EmulatedCall) -> Reply:
        return self._envelope.error(_resource(call), 404, "The requested sharing analytics snapshot does not exist")

    def _passed_s(self, snapshot: Snapshot) -> float:
        return self.clock.monotonic() - snapshot.started

    def _is_built(self, snapshot: Snapshot, fault: InjectedFault) -> bool:
        return fault.kind is not FaultKind.NEVER_ENDS and self._passed_s(snapshot) >= self.variants.build_s

    def _is_listed(self, snapshot: Snapshot, filters: Mapping[str, str]) -> bool:
        if not _exists(snapshot) or self._passed_s(snapshot) < self.variants.list_lag_s:
            return False
        user, identity = filters.get("user_token"), filters.get("identity_token")
        if user is None and identity is None:
            return True
        return any(
            user in {None, publication.user_token} and identity in {None, publication.identity_token}
            for publication in publications_of(snapshot.message_token, self.variants.publications)
        )

    def _entry(self, snapshot: Snapshot) -> ReplyData:
        """An entry of the list; a newer revision added its status."""
        built = self._is_built(snapshot, snapshot.fate)
        data = _identified(snapshot) | ({"date_finished": self._date_finished(snapshot)} if built else {})
        return data | {"status": _word(built=built)} if self.variants.list_status else data

    def _described(self, snapshot: Snapshot, *, built: bool) -> ReplyData:
        data = _identified(snapshot)
        if self.variants.finished is not FinishedForm.DATE:
            data["status"] = _word(built=built)
        if built and self.variants.finished is not FinishedForm.STATUS:
            data["date_finished"] = self._date_finished(snapshot)
        return data

    def _date_finished(self, snapshot: Snapshot) -> str:
        return date_text(snapshot.initiated_at + self.variants.build_s)


def _identified(snapshot: Snapshot) -> ReplyData:
    return {
        "sharing_analytics_snapshot_token": snapshot.token,
        "date_initiated": date_text(snapshot.initiated_at),
        "sharing_message": {
            "sharing_message_token": snapshot.message_token,
            "date_creation": date_text(_CREATED_AT),
            "date_last_published": date_text(_CREATED_AT + 1),
        },
    }


def _word(*, built: bool) -> str:
    return "processed" if built else "pending"


def _wrapped(snapshot: ReplyData) -> ReplyData:
    return {"sharing_analytics_snapshot": snapshot}


def _exists(snapshot: Snapshot) -> bool:
    return not snapshot.deleted and snapshot.fate.kind is not FaultKind.GONE


def _resource(call: EmulatedCall) -> str:
    return call.request.path_qs.partition("?")[0]


def _positive(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _order(body: bytes) -> Mapping[str, object]:
    """The content of ``request.analytics.sharing``; empty if the body has another shape."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    for key in ("request", "analytics", "sharing"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
