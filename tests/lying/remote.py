"""The remote of one mix: an honest API and its files, and the record of what it was asked and what is true."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.lying import mechanisms
from tests.lying.answers import Answer, Request, Script, json_answer
from tests.lying.archives import members_of
from tests.lying.catalogue import FAULTS, Exchange
from tests.lying.files import file_answer, stored_of
from tests.lying.hops import Hop, Hops
from tests.lying.origin import Origin
from tests.lying.pages import page_answer
from tests.lying.plan import ARCHIVES, LISTS, Fault, Plan, content_of, digest_of
from tests.support.virtual_time import START_AT

_LAST_SEGMENTS = {
    "login": "login", "inline": "answer", "rows": "page", "url": "resolve", "cancel": "cancel", "file": "file0",
    "prepare": "before", "begin": "start", "folders": "folders", "made": "search",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One exchange: when, what was asked, which fault it met and what was answered; ``kind`` names the exchange."""

    at: float
    kind: str
    request: Request
    fault: Fault | None
    answered: str

    def __str__(self) -> str:
        range_ = self.request.fields.get("range")
        said = f" Range: {range_} If-Range: {self.request.fields.get('if-range')}" if range_ else ""
        host = "foreign " if self.request.foreign else ""
        fault = f" [{self.fault.name}/{self.fault.salt}]" if self.fault else ""
        return f"{self.at:9.2f}  {host}{self.request.method} {self.request.target}{said}{fault} -> {self.answered}"


@dataclass(slots=True)
class Remote:
    """One provider with one account.

    Args:
        plan: what it is, and its faults.
        origin: where it listens; its paths begin with ``/m<seed>``.
        now: the virtual time.
    """

    plan: Plan
    origin: Origin
    now: Callable[[], float]
    asked: list[Asked] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)
    wrong_bodies: list[str] = field(default_factory=list)
    starts: list[tuple[str, str]] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    met: list[tuple[str, Fault]] = field(default_factory=list)
    versions: Counter[int] = field(default_factory=Counter)
    listed: tuple[int, ...] = ()
    valid_from: int = 0
    lists: int = 0
    session: int = 0
    ready: int = 0
    hops: Hops = field(default_factory=Hops)
    told: dict[str, bool] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)
    _jobs: dict[str, str] = field(default_factory=dict)
    _polls: Counter[str] = field(default_factory=Counter)
    _times: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.plan.shape in ("reuse", "taken") and mechanisms.is_made_before(self.plan.seed):
            self._jobs["old"] = ""

    @property
    def base(self) -> str:
        """The address of the API."""
        return f"{self.origin.own}/m{self.plan.seed}"

    @property
    def canary(self) -> str:
        """The account's secret."""
        return f"canary-{self.plan.seed}-secret"

    @property
    def token(self) -> str:
        """What has to come with a request to the API."""
        return f"session-{self.plan.seed}-{self.session}-secret" if self.plan.auth == "session" else self.canary

    # --- exchanges ----------------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Script:
        """Answer one request: honestly, or with the fault whose turn it is."""
        path = request.path.removeprefix(f"/m{self.plan.seed}")
        self._look_for_leaks(request)
        if hop := self.hops.at(path):
            script = self._hopped(hop, request)
            self._note(f"hop of {hop.kind}", request, None, script)
            return script
        kind = self._kind_of(path, request)
        fault = self._fault_for(kind)
        script = self._honest(kind, path, request).script() if fault is None else self._lie(kind, path, request, fault)
        if kind in ("submit", "start") and fault is None:
            self._count(kind, path, "refused" if script.note == "401" else "accepted")
        self._note(kind, request, fault, script)
        return script

    def _count(self, kind: str, path: str, clarity: str) -> None:
        """Remember what is known of a request that must not be repeated blindly."""
        if kind == "submit":
            self.posts.append(clarity)
        else:
            self.starts.append((path, clarity))

    def _note(self, kind: str, request: Request, fault: Fault | None, script: Script) -> None:
        self.asked.append(Asked(self.now(), kind, request, fault, script.note + _end_of(script)))

    def _look_for_leaks(self, request: Request) -> None:
        secrets = (self.canary, f"session-{self.plan.seed}", "cookie-of-own", "HMAC ")
        seen = f"{request.target} {request.fields}"
        if request.foreign:
            self.leaks += [secret for secret in secrets if secret in seen]
        if self.plan.shape == "named":
            self.leaks += mechanisms.strayed_fields(self, request)

    def _kind_of(self, path: str, request: Request) -> str:
        if path == "/jobs":
            return "submit" if request.method == "POST" else "adopt"
        if request.method == "DELETE":
            return "cleanup"
        handle = path.rsplit("/", 1)[-1]
        if handle in _LAST_SEGMENTS:
            return _LAST_SEGMENTS[handle]
        if path.rsplit("/", 2)[-2] == "folders":
            return "folder"
        if match := re.fullmatch(r"/files/(\d+)", path):
            return f"file{match[1]}"
        is_file = self.plan.shape == "inline" and self._polls[handle] >= self.plan.polls
        return "inline" if is_file else "poll"

    def _fault_for(self, kind: str) -> Fault | None:
        faults = dict(self.plan.faults).get(kind, ())
        at = self._times[kind]
        self._times[kind] += 1
        return faults[at] if at < len(faults) else None

    def _lie(self, kind: str, path: str, request: Request, fault: Fault) -> Script:
        self.met.append((kind, fault))
        trick, rand = FAULTS[fault.name], Random(f"{fault.name}-{fault.salt}")
        if kind in ("submit", "start"):
            clarity = trick.of_submit
            if clarity == "refused" or (kind == "submit" and clarity == "unclear" and fault.salt % 2):
                self._count(kind, path, clarity)
                answer = json_answer({"id": "never-made"}, 201) if kind == "submit" else json_answer({"ok": True})
                return trick.play(Exchange(kind, request, answer, rand, self))
        if trick.first is not None:
            trick.first(self, kind)
        answer = self._honest(kind, path, request)
        if kind in ("submit", "start"):
            known = "accepted" if trick.of_submit == "harmless" else trick.of_submit
            self._count(kind, path, "refused" if answer.status == 401 else known)
        script = trick.play(Exchange(kind, request, answer, rand, self))
        self.told[kind] = any(isinstance(piece, bytes) and b"Content-Length" in piece for piece in script.pieces)
        return script

    def _hopped(self, hop: Hop, request: Request) -> Script:
        if (answer := self.hops.passed(hop, request, self)) is not None:
            return answer.script()
        path = hop.request.path.removeprefix(f"/m{self.plan.seed}")
        original = Request(hop.request.method, hop.request.target, request.fields, b"", request.foreign)
        return self._honest(hop.kind, path, original, checked=False).script()

    # --- the honest API -----------------------------------------------------------------------------------------------

    def _honest(self, kind: str, path: str, request: Request, *, checked: bool = True) -> Answer:
        if kind == "login":
            self.session += 1
            return json_answer({"token": self.token, "ttl": 600})
        answer = self._in_json(kind, path, request, checked=checked)
        is_file = kind.startswith("file")
        return mechanisms.in_xml(answer) if self.plan.shape == "xml" and not is_file else answer

    def _in_json(self, kind: str, path: str, request: Request, *, checked: bool) -> Answer:
        if checked and (refusal := self._refusal_of(kind, request)) is not None:
            return refusal
        handle = path.split("/")[2] if path.count("/") > 1 else ""
        match kind:
            case "before" | "submit" | "start":
                answer = self._make(kind, handle, request)
            case "adopt":
                answer = json_answer({"jobs": [{"id": name, "key": key} for name, key in self._jobs.items()]})
            case "search" | "folders" | "folder":
                answer = mechanisms.listed(self, kind, path, request)
            case "inline" | "answer":
                answer = file_answer(self.plan, 0, self.versions[0], request)
            case "page":
                answer = page_answer(self.plan, request, self.base)
            case "resolve":
                self.ready += 1
                answer = json_answer({"url": self._url_of(0)})
            case "cancel" | "cleanup":
                answer = json_answer({"ok": True}, 200 if handle in self._jobs else 404)
            case "poll":
                answer = self._poll(handle, request)
            case _:
                answer = self._file(int(kind.removeprefix("file")), request)
        return answer

    def _refusal_of(self, kind: str, request: Request) -> Answer | None:
        if not kind.startswith("file") and not self._is_permitted(request):
            return json_answer({"error": "token expired" if self.plan.auth == "session" else "who are you?"}, 401)
        return mechanisms.refusal_of(self, kind, request)

    def _is_permitted(self, request: Request) -> bool:
        if self.plan.auth == "hmac":
            return mechanisms.is_signed(request, self.canary, self.nonces, START_AT + self.now())
        return request.fields.get("authorization") == f"Bearer {self.token}"

    def _file(self, number: int, request: Request) -> Answer:
        if int(request.query.get("sig", "999")) < self.valid_from:
            return json_answer({"error": "Request has expired"}, 403)
        return file_answer(self.plan, number, self.versions[number], request)

    def _make(self, kind: str, handle: str, request: Request) -> Answer:
        """What makes and starts a remote job."""
        if kind == "before":
            return json_answer({"id": f"p{self.plan.seed}"}, 201)
        if kind == "submit":
            return self._submit(request)
        if request.query != {"part": f"p{self.plan.seed}"}:
            return json_answer({"error": "no such part"}, 422)
        self.started.add(handle)
        return json_answer({"ok": True}, 202 if handle in self._jobs else 404)

    def _submit(self, request: Request) -> Answer:
        if (wrong := mechanisms.wrong_body(self.plan.shape, request)) is not None:
            self.wrong_bodies.append(wrong)
        if self.plan.shape == "taken" and self._jobs:
            return json_answer({"error": "TAKEN", "id": next(iter(self._jobs))}, 409)
        handle = f"r{len(self._jobs) + 1}"
        self._jobs[handle] = request.fields.get("idempotency-key", "")
        return json_answer({"id": handle}, 201)

    def _poll(self, handle: str, request: Request) -> Answer:
        if handle not in self._jobs:
            return json_answer({"error": "no such job"}, 404)
        if self.plan.shape == "staged" and handle not in self.started:
            return json_answer({"state": "busy"})
        self._polls[handle] += 1
        if self._polls[handle] <= self.plan.polls:
            status = 202 if self.plan.shape == "inline" else 200
            count = min(self._polls[handle] - 1, len(self.plan.files))
            if self.plan.shape == "added":
                return json_answer({"state": "busy", **mechanisms.added(self, request, count, done=False)})
            listed = range(count) if self.plan.shape == "early" else ()
            files = {"files": [self.listed_file(number) for number in listed]} if listed else {}
            return json_answer({"state": "busy", **files}, status)
        self.ready += 1
        if self.plan.shape == "inline":
            return file_answer(self.plan, 0, self.versions[0], request)
        if self.plan.shape == "added":
            return json_answer({"state": "done", **mechanisms.added(self, request, len(self.plan.files), done=True)})
        if self.plan.shape not in LISTS or self.plan.shape == "nested":
            return json_answer({"state": "done"})
        self.lists += 1
        self.listed = self._listing()
        return json_answer({"state": "done", "files": [self.listed_file(number) for number in self.listed]})

    def _listing(self) -> tuple[int, ...]:
        every = list(range(len(self.plan.files)))
        late = every[:-1] if self.plan.relist == "extend" and len(every) > 1 else every
        if self.lists == 1:
            return tuple(late)
        if self.plan.relist == "shrink" and len(every) > 1:
            return tuple(every[1:])
        if self.plan.relist == "reorder":
            Random(self.plan.seed).shuffle(every)
        return tuple(every)

    def listed_file(self, number: int) -> dict[str, object]:
        """A file as lists announce it."""
        file, stored = self.plan.files[number], stored_of(self.plan, number, self.versions[number])
        item: dict[str, object] = {"url": self._url_of(number), "name": file.label}
        if file.size_told:
            item["bytes"] = len(stored)
        for name, form in (("sha256", file.sha256), ("md5", file.md5)):
            if form:
                item[name] = digest_of(name, form, stored)
        if file.packed:
            item["packing"] = "GZIP"
        if self.plan.shape == "named":
            item["fields"] = mechanisms.fields_of(self.plan.seed, number)
        return item

    def _url_of(self, number: int) -> str:
        foreign = bool(self.plan.files) and self.plan.files[number].foreign
        host = self.origin.foreign if foreign else self.origin.own
        return f"{host}/m{self.plan.seed}/files/{number}?sig={self.ready}"

    # --- the truth ----------------------------------------------------------------------------------------------------

    @property
    def truth(self) -> list[tuple[str, frozenset[bytes]]]:
        """The files that a correct client has at the end: each one's label, and what its content can be.

        A file that changes has several whole contents, of which any is right; a mixture is none of them.
        """
        if self.plan.shape in ARCHIVES:
            every = [members_of(self.plan, version) for version in range(self.versions[0] + 1)]
            return [(name, frozenset(dict(one)[name] for one in every)) for name, _ in every[0]]
        numbers = self.listed if self.plan.shape in LISTS else (0,)
        return [
            (
                self.plan.files[number].label,
                frozenset(content_of(self.plan, number, version) for version in range(self.versions[number] + 1)),
            )
            for number in numbers
        ]

    def transcript(self) -> str:
        """Every exchange, one a line."""
        return "\n".join(map(str, self.asked))


def _end_of(script: Script) -> str:
    return "" if script.end == "keep" else f", then {script.end}"


def items_of(plan: Plan) -> list[object]:
    """All items of a list over several pages."""
    return [{"id": number, "name": f"Zoë {plan.seed}"} for number in range(sum(plan.pages))]


def joined_of(plan: Plan) -> object:
    """What the pages come to: the items, or for CSV the text."""
    if plan.shape != "csv":
        return json.loads(json.dumps(items_of(plan)))
    rows = "".join(f"{number},{plan.seed}\r\n" for number in range(sum(plan.pages)))
    return f"id,name\r\n{rows}"
