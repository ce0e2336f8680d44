"""A provider whose remote jobs are used again: what it lists, how it answers about each, and a spec for it."""

import time

from aiohttp import web

from tests.support.scripted_provider import Answer

SPEC = """
[operations.report.params]
kind = { help = "what is reported", default = "orders" }
newest = { type = "boolean", help = "no older one", default = false }

[operations.report.reuse]
url = "/jobs"
query = { since = "${page.since}", page = "${page.number}" }
items = "jobs"
size = 2
match = { kind = "${params.kind}" }
where = "state != 'failed'"
created = "made"
handle = "id"
within_s = 3600.0
newer = "newest"

[operations.report.submit]
url = "/jobs"
json = { kind = "${params.kind}" }
handle = "id"

[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ word = "state", words = { busy = "pending", done = "ready", failed = "failed" } }]

[operations.report.results]
url = "/jobs/${handle}/file"

[operations.report.cancel]
url = "/jobs/${handle}/cancel"
method = "POST"

[operations.report.cleanup]
url = "/jobs/${handle}"
by_default = true
"""
ADOPTS = (
    SPEC
    + """
[operations.report.adopt]
url = "/all"
items = "jobs"
match = { kind = "${params.kind}" }
handle = "id"
lag_s = 0
"""
)
STAGED = (
    SPEC.replace('url = "/jobs/${handle}/file"', 'url = "/jobs/${handle}/file?token=${kept.token}"')
    .replace('created = "made"', 'created = "made"\nkeep = { token = "token" }')
    .replace('json = { kind = "${params.kind}" }', 'json = { kind = "${params.kind}", file = "${kept.file}" }')
    + """
[[operations.report.before]]
name = "upload"
url = "/files"
keep = { file = "id" }

[[operations.report.start]]
name = "run"
url = "/jobs/${handle}/run"
keep = { token = "token" }
"""
)
NAMES = ("theirs", "old", "r1", "r2", "r3")


class Remote:
    """A provider's jobs: what it lists, and how it answers about each."""

    def __init__(self, *listed: str, state: str = "done") -> None:
        self.listed = [self.item(name) for name in listed]
        self.states = dict.fromkeys(NAMES, state)
        self.made = 0
        self.lists = True

    @staticmethod
    def item(name: str, kind: str = "orders", age_s: float = 60.0) -> dict[str, object]:
        """An entry of the list."""
        return {"id": name, "kind": kind, "state": "done", "made": time.time() - age_s}

    def answers(self) -> dict[str, Answer]:
        """How every request is answered."""
        found: dict[str, Answer] = {"POST /jobs": self.create, "GET /jobs": self.index, "GET /all": self.index}
        for name in NAMES:
            found |= {
                f"GET /jobs/{name}": self.status,
                f"GET /jobs/{name}/file": self.file,
                f"DELETE /jobs/{name}": self.ended,
                f"POST /jobs/{name}/cancel": self.ended,
            }
        return found

    async def create(self, request: web.Request) -> web.StreamResponse:
        self.made += 1
        name = f"r{self.made}"
        if self.lists:
            self.listed.insert(0, self.item(name, (await request.json())["kind"], 0.0))
        return web.json_response({"id": name}, status=201)

    async def index(self, request: web.Request) -> web.StreamResponse:
        start = 2 * (int(request.query.get("page", "1")) - 1)
        return web.json_response({"jobs": self.listed[start : start + 2]})

    async def status(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"state": self.states[request.path.split("/")[2]], "error": "no rows"})

    async def file(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=request.path.split("/")[2].encode())

    async def ended(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204)
