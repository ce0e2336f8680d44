"""OneAll's sharing analytics: initiate a snapshot of a published message, ask after it or be called back, delete it.

Source: http://docs.oneall.com/api/resources/sharing-analytics/ and public clients of the same API. What they leave open
is an option here, so that whoever asks can be tried on each variant.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from math import ceil
from typing import ClassVar, Final

from app.clock import Clock
from app.emulators.callbacks import Callback
from app.emulators.envelope import Envelope, Told, date_text
from app.emulators.faults import Fault, FaultKind, FaultRule
from app.emulators.publications import publication_snapshots, publications_of, token_of
from app.emulators.server import Call, EmulatedServer, Route
from app.emulators.wire import Reply

LARGEST_PAGE: Final = 250
_SNAPSHOTS: Final = "/sharing/analytics/snapshots.json"
_PINGBACK: Final = "/sharing/analytics/snapshot.json"  # as the vendor's own example has it
_CREATED_AT: Final = 1_327_444_735.0
_NUMBER: Final = re.compile("0*[1-9][0-9]{0,17}")
_JOB_FAULTS: Final = frozenset({FaultKind.UNKNOWN_WORD, FaultKind.NEVER_ENDS, FaultKind.GONE, FaultKind.FLAPPING})


class PendingForm(IntEnum):
    """How a snapshot that is not built yet is told of, by the code of the reply.

    102 stands in the envelope only, under HTTP status 200, because no final reply of HTTP can have it; 304 has no body;
    200 is a success without ``date_finished``.
    """

    UNFINISHED = 200
    PROCESSING = 102
    ACCEPTED = 202
    MULTI_STATUS = 207
    NOT_MODIFIED = 304
    CONFLICT = 409


class FinishedForm(StrEnum):
    """What tells that a snapshot is built: ``date_finished``, a ``status`` of ``processed``, or both of them."""

    DATE = "date"
    STATUS = "status"
    BOTH = "both"


@dataclass(slots=True)
class Snapshot:
    """One snapshot that was initiated; ``initiated_at`` in epoch seconds, ``polls`` counts how often it was asked for.

    ``repeats`` counts the further initiations that found it pending. ``fate`` is the fault that it was initiated with
    and shows whenever it is asked for.
    """

    token: str
    message_token: str
    pingback_uri: str | None
    initiated_at: float
    fate: Fault
    polls: int = 0
    repeats: int = 0
    deleted: bool = False
    started: float = field(default=0.0, repr=False)


class OneAllEmulator(EmulatedServer):
    """The API of one site. A snapshot takes ``build_s`` seconds by the clock and tells of ``publications``.

    ``pending`` and ``finished`` say how its state is told, ``duplicate_token`` whether the 207 for a message that has a
    pending snapshot carries that one's token. A snapshot is listed ``list_lag_s`` after it was initiated.
    ``http_statuses`` has the HTTP status of a reply by the code in its envelope, where the two are not the same.
    Without ``error_info`` errors have no ``info``.

    Routes: ``initiate``, ``snapshot``, ``list``, ``delete``; the callback: ``pingback``. A fault of the job
    (``unknown_word``, ``never_ends``, ``gone``, ``flapping``) told on ``initiate`` stays with the snapshot; told on
    ``snapshot`` it shows in that reply only. ``gone`` can also be told on ``delete``.
    """

    software: ClassVar[str] = "nginx"

    def __init__(
        self,
        *,
        clock: Clock,
        public_key: str,
        private_key: str,
        build_s: float = 30.0,
        publications: int = 2,
        pending: PendingForm = PendingForm.UNFINISHED,
        finished: FinishedForm = FinishedForm.BOTH,
        duplicate_token: bool = True,
        list_lag_s: float = 0.0,
        http_statuses: Mapping[int, int] | None = None,
        error_info: bool = True,
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port)
        self.snapshots: list[Snapshot] = []
        self.public_key = public_key
        self.private_key = private_key
        self._build_s = build_s
        self._publications = publications
        self._pending_form = pending
        self._finished_form = finished
        self._duplicate_token = duplicate_token
        self._list_lag_s = list_lag_s
        self._envelope = Envelope(clock, {PendingForm.PROCESSING: 200, **(http_statuses or {})}, error_info)
        self._by_token: dict[str, Snapshot] = {}
        self._latest: dict[str, Snapshot] = {}

    def routes(self) -> Iterable[Route]:
        """The four requests of the API; every path ends in the format of the reply."""
        snapshot = "/sharing/analytics/snapshots/{token}.json"
        return [
            Route("initiate", "PUT", _SNAPSHOTS, self._guarded(self._initiate)),
            Route("list", "GET", _SNAPSHOTS, self._guarded(self._list)),
            Route("snapshot", "GET", snapshot, self._guarded(self._snapshot)),
            Route("delete", "DELETE", snapshot, self._guarded(self._delete)),
        ]

    def refusal(self, status: int, message: str) -> Reply:
        """An error as this API words it; the resource that it names is the list, whatever was asked."""
        return self._envelope.error(_SNAPSHOTS, status, message)

    def _guarded(self, answer: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
        def guarded(call: Call) -> Reply:
            if call.asked.has_basic(self.public_key, self.private_key):
                return answer(call)
            reply = self._envelope.error(_resource(call), 401, "Your API keys are not valid")
            return replace(reply, headers={"WWW-Authenticate": 'Basic realm="API"'})

        return guarded

    def _initiate(self, call: Call) -> Reply:
        order = _order(call.asked.body)
        message_token, pingback_uri = order.get("sharing_message_token"), order.get("pingback_uri")
        if not isinstance(message_token, str) or not message_token:
            return self._envelope.error(_resource(call), 400, "The sharing_message_token is missing")
        if not (pingback_uri is None or isinstance(pingback_uri, str)):
            return self._envelope.error(_resource(call), 400, "The pingback_uri is not a string")
        latest = self._latest.get(message_token)
        if latest is not None and _stands(latest) and not self._is_built(latest, latest.fate):
            return self._duplicate(call, latest)
        snapshot = Snapshot(
            token=token_of("snapshot", len(self.snapshots)),
            message_token=message_token,
            pingback_uri=pingback_uri,
            initiated_at=self.clock.now(),
            fate=call.fault,
            started=self.clock.monotonic(),
        )
        self._add(snapshot)
        info = "Your request has been received and scheduled to be processed"
        return self._envelope.reply(_resource(call), 201, "scheduled", info, _told(_identified(snapshot)))

    def _duplicate(self, call: Call, pending: Snapshot) -> Reply:
        pending.repeats += 1
        told = _told(_identified(pending)) if self._duplicate_token else None
        info = "There is already a pending snapshot for the given message"
        return self._envelope.reply(_resource(call), 207, "pending", info, told)

    def _snapshot(self, call: Call) -> Reply:
        snapshot = self._find(call)
        if snapshot is None:
            return self._no_snapshot(call)
        snapshot.polls += 1
        fault = call.fault if call.fault.kind in _JOB_FAULTS else snapshot.fate
        if fault.kind is FaultKind.UNKNOWN_WORD:
            word = fault.text or "archived"
            return self._envelope.success(_resource(call), _told(_identified(snapshot) | {"status": word}))
        flapped = fault.kind is FaultKind.FLAPPING and snapshot.polls % 2 == 0
        if flapped or not self._is_built(snapshot, fault):
            return self._not_ready(call, snapshot)
        publications = publication_snapshots(snapshot.message_token, self._publications, date_text(_CREATED_AT))
        described = self._described(snapshot, built=True)
        return self._envelope.success(_resource(call), _told(described | {"publication_snapshots": publications}))

    def _not_ready(self, call: Call, snapshot: Snapshot) -> Reply:
        told = _told(self._described(snapshot, built=False))
        info = "The snapshot is being processed"
        match self._pending_form:
            case PendingForm.UNFINISHED:
                return self._envelope.success(_resource(call), told)
            case PendingForm.NOT_MODIFIED:
                return Reply(304)
            case PendingForm.CONFLICT:
                return self._envelope.error(_resource(call), 409, info)
            case code:
                return self._envelope.reply(_resource(call), code, "pending", info, told)

    def _list(self, call: Call) -> Reply:
        query = call.asked.query
        page, size = _positive(query.get("page", "1")), _positive(query.get("entries_per_page", str(LARGEST_PAGE)))
        direction = query.get("order_direction", "asc")
        if page is None or size is None or direction not in {"asc", "desc"}:
            return self._envelope.error(_resource(call), 400, "The pagination is not valid")
        size = min(size, LARGEST_PAGE)
        listed = [snapshot for snapshot in self.snapshots if self._is_listed(snapshot, query)]
        if direction == "desc":
            listed.reverse()
        entries = [
            self._described(snapshot, built=self._is_built(snapshot, snapshot.fate))
            for snapshot in listed[(page - 1) * size : page * size]
        ]
        pagination = {
            "current_page": page,
            "total_pages": max(1, ceil(len(listed) / size)),
            "entries_per_page": size,
            "total_entries": len(listed),
            "order": {"field": "date_creation", "direction": direction},
        }
        snapshots = {"pagination": pagination, "count": len(entries), "entries": entries}
        return self._envelope.success(_resource(call), {"sharing_analytics_snapshots": snapshots})

    def _delete(self, call: Call) -> Reply:
        snapshot = self._find(call)
        if snapshot is None:
            return self._no_snapshot(call)
        if call.asked.query.get("confirm_deletion") != "true":
            return self._envelope.error(_resource(call), 400, "The deletion is not confirmed: confirm_deletion=true")
        snapshot.deleted = True
        info = "The sharing analytics snapshot has been deleted successfully"
        return self._envelope.success(_resource(call), info=info)

    def _pingback(self, snapshot: Snapshot, fault: Fault) -> Reply | None:
        if not _stands(snapshot):
            return None
        told = _identified(snapshot) | {"date_finished": self._date_finished(snapshot)}
        if fault.kind is FaultKind.FORGED:
            told["sharing_analytics_snapshot_token"] = token_of("no snapshot")
        return self._envelope.success(_PINGBACK, _told(told))

    def _add(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._by_token[snapshot.token] = self._latest[snapshot.message_token] = snapshot
        if snapshot.pingback_uri is not None and snapshot.fate.kind is not FaultKind.NEVER_ENDS:
            due = snapshot.started + self._build_s
            pingback = Callback("pingback", snapshot.pingback_uri, due, lambda fault: self._pingback(snapshot, fault))
            self.callbacks.plan(pingback)

    def _find(self, call: Call) -> Snapshot | None:
        snapshot = self._by_token.get(call.arguments["token"])
        if snapshot is None or not _stands(snapshot) or call.fault.kind is FaultKind.GONE:
            return None
        return snapshot

    def _no_snapshot(self, call: Call) -> Reply:
        return self._envelope.error(_resource(call), 404, "The requested sharing analytics snapshot does not exist")

    def _is_built(self, snapshot: Snapshot, fault: Fault) -> bool:
        passed_s = self.clock.monotonic() - snapshot.started
        return fault.kind is not FaultKind.NEVER_ENDS and passed_s >= self._build_s

    def _is_listed(self, snapshot: Snapshot, filters: Mapping[str, str]) -> bool:
        if not _stands(snapshot) or self.clock.monotonic() - snapshot.started < self._list_lag_s:
            return False
        user, identity = filters.get("user_token"), filters.get("identity_token")
        if user is None and identity is None:
            return True
        return any(
            user in {None, publication.user_token} and identity in {None, publication.identity_token}
            for publication in publications_of(snapshot.message_token, self._publications)
        )

    def _described(self, snapshot: Snapshot, *, built: bool) -> Told:
        told = _identified(snapshot)
        if self._finished_form is not FinishedForm.DATE:
            told["status"] = "processed" if built else "pending"
        if built and self._finished_form is not FinishedForm.STATUS:
            told["date_finished"] = self._date_finished(snapshot)
        return told

    def _date_finished(self, snapshot: Snapshot) -> str:
        return date_text(snapshot.initiated_at + self._build_s)


def _identified(snapshot: Snapshot) -> Told:
    return {
        "sharing_analytics_snapshot_token": snapshot.token,
        "date_initiated": date_text(snapshot.initiated_at),
        "sharing_message": {
            "sharing_message_token": snapshot.message_token,
            "date_creation": date_text(_CREATED_AT),
            "date_last_published": date_text(_CREATED_AT + 1),
        },
    }


def _told(snapshot: Told) -> Told:
    return {"sharing_analytics_snapshot": snapshot}


def _stands(snapshot: Snapshot) -> bool:
    return not snapshot.deleted and snapshot.fate.kind is not FaultKind.GONE


def _resource(call: Call) -> str:
    return call.asked.path_qs.partition("?")[0]


def _positive(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _order(body: bytes) -> Mapping[str, object]:
    """What ``request.analytics.sharing`` holds; nothing where the body has another shape."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    for key in ("request", "analytics", "sharing"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
