"""A provider of exports that counts what it is asked by what each request is for, and looks at what a client may do."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.stub_world import ORIGIN, ReplyData, Sent
from tidewaiter.domain.http_values import WireRequest

TOKEN = "canary-6d1f2b"
HOOK = f"{ORIGIN}/hook"
_BUILD_S = 12.0

SPEC = """
name = "demo"
title = "Demo"
base_url = "${account.server}"
auth = { type = "bearer", token = "${account.token}" }
[account]
server = { type = "url", help = "the server" }
token = { help = "the token", secret = true }
[operations.export]
title = "Export"
BLIND
[operations.export.params]
files = { type = "integer", help = "how many", default = 1 }
[operations.export.schedule]
first_delay_s = 5
interval_s = 5
cap_s = 5
gone_grace_s = 0
deadline_s = 7200
[operations.export.callback]
first_delay_s = 40
interval_s = 40
cap_s = 40
[operations.export.submit]
url = "/exports"
json = { marker = "${intent.key}", job = "${job.id}", files = "${params.files}", call = "${callback_url}" }
handle = "id"
ADOPT
[operations.export.poll]
url = "/exports/${handle}"
rules = [{ word = "status", words = { working = "pending", ready = "ready" } }]
RESULTS
[operations.export.cancel]
url = "/exports/${handle}"
method = "DELETE"
done = [404]
[operations.export.cleanup]
url = "/exports/${handle}"
method = "DELETE"
done = [404]
"""
ADOPT = """[operations.export.adopt]
url = "/exports"
items = "exports"
match = { marker = "${intent.key}" }
handle = "id"
lag_s = 5
"""
FILES = '[operations.export.results]\nfiles = { each = "files", url = "url", label = "name" }'
INLINE = "[operations.export.results]\ninline = true"


def spec(kind: str, results: str = FILES) -> str:
    """The spec: ``kind`` says what may be done about a submit whose outcome is unknown."""
    blind = "repeatable = true" if kind == "repeatable" else ""
    return (
        SPEC.replace("BLIND", blind).replace("ADOPT", ADOPT if kind == "adoptable" else "").replace("RESULTS", results)
    )


@dataclass(slots=True)
class Export:
    """A remote job."""

    job: int
    marker: str
    files: int
    ready_at: float
    call: str | None
    deleted: bool = False


@dataclass(slots=True)
class ExportProvider:
    """Makes exports; ``posts`` counts submits by the job that they are for.

    ``on_delete`` is called with the job before its export is deleted. ``told`` are the bodies of notifications by their
    ids. Where it ``breaks`` the first transfer of each file is lost half way; ``resumed`` counts requests for the rest.
    """

    on_delete: Callable[[Export], str | None] = lambda _: None
    exports: dict[str, Export] = field(default_factory=dict)
    posts: Counter[int] = field(default_factory=Counter)
    asked_at: list[float] = field(default_factory=list)
    downloads: Counter[str] = field(default_factory=Counter)
    told: dict[str, set[bytes]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    repeatable: bool = False
    inline: bool = False
    breaks: bool = False
    resumed: int = 0

    def file_of(self, export: str, number: int) -> bytes:
        """The bytes of a file; without links it is the reply that says ready."""
        if self.inline:
            return json.dumps({"status": "ready", "rows": [export] * 50}).encode()
        # What breaks before a file's kind is known leaves nothing to continue.
        return f"{export} {number};".encode() * (50 + 7 * number) * (200 if self.breaks else 1)

    def __call__(self, sent: Sent) -> ReplyData:
        """One request."""
        request = sent.request
        if request.url == HOOK:
            self.told.setdefault(request.headers["webhook-id"], set()).add(request.body or b"")
            return ReplyData(204)
        self.asked_at.append(sent.at)
        parts = request.url.removeprefix(ORIGIN).strip("/").split("/")
        match request.method, parts:
            case "POST", ["exports"]:
                return self._make(sent)
            case "GET", ["exports"]:
                found = [{"id": name, "marker": one.marker} for name, one in self.exports.items() if not one.deleted]
                return ReplyData(200, {"exports": found})
            case "GET", ["exports", name]:
                return self._status(name, sent.at)
            case "DELETE", ["exports", name]:
                return self._delete(name)
            case "GET", ["files", name, number]:
                self.downloads[f"{name} {number}"] += 1
                return self._file(request, name, number)
            case _:
                return ReplyData(404)

    def _make(self, sent: Sent) -> ReplyData:
        asked = json.loads(sent.request.body or b"")
        job = int(asked["job"])
        self.posts[job] += 1
        if self.repeatable:  # it knows the request again
            for name, one in self.exports.items():
                if one.job == job and not one.deleted:
                    return ReplyData(200, {"id": name})
        name = f"e{len(self.exports)}"
        files = int(asked["files"])
        self.exports[name] = Export(job, asked["marker"], files, sent.at + _BUILD_S, asked.get("call"))
        return ReplyData(201, {"id": name})

    def _status(self, name: str, now: float) -> ReplyData:
        export = self.exports.get(name)
        if export is None or export.deleted:
            return ReplyData(404)
        if now < export.ready_at:
            return ReplyData(200, {"status": "working"})
        if self.inline:
            return ReplyData(200, self.file_of(name, 0))
        files = [{"url": f"{ORIGIN}/files/{name}/{one}", "name": f"part-{one}.csv"} for one in range(export.files)]
        return ReplyData(200, {"status": "ready", "files": files})

    def _file(self, request: WireRequest, name: str, number: str) -> ReplyData:
        whole, etag = self.file_of(name, int(number)), f'"{name}-{number}"'
        half = len(whole) // 2
        if self.breaks and self.downloads[f"{name} {number}"] == 1:
            return ReplyData(200, whole, {"etag": etag}, breaks_after=half)
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if wanted is None or request.headers.get("If-Range", etag) != etag:
            return ReplyData(200, whole, {"etag": etag})
        self.resumed += 1
        start = int(wanted[1])
        told = {"etag": etag, "content-range": f"bytes {start}-{len(whole) - 1}/{len(whole)}"}
        return ReplyData(206, whole[start:], told)

    def _delete(self, name: str) -> ReplyData:
        export = self.exports.get(name)
        if export is None or export.deleted:
            return ReplyData(404)
        if (wrong := self.on_delete(export)) is not None:
            self.wrong.append(wrong)
        export.deleted = True
        return ReplyData(204)
