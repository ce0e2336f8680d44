"""An unknown API, from an empty folder to its files, with docs/providers as the only guide."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

ROOT = Path(__file__).parents[2]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The API, as its documentation would tell it. Every URL wants ?apikey=...; an error is {"error": {"text": "..."}}.
#
# POST /api/orders        form: station, year; 202 with the header X-Order, and no body; 402 when no orders are left;
#                         409 with {"error": {"order": 4711}} where the same is on order already
# GET  /api/orders/4711   {"phase": "waiting" | "drawing" | "ready" | "void", "percent": 40, "look_again_in": 1,
#                         "sheets": [{"href": "/api/sheets/1", "title": "January", "bytes": 15, "md5": "..."}]}
# GET  /api/sheets/1     the sheet

SPEC = """
name = "tidal-archive"
title = "Tidal Archive"
documentation = "https://archive.example.org/help"
base_url = "${account.server}/api"
error = "error.text"
auth = { type = "query", name = "apikey", value = "${account.key}" }
limits = { requests = 60, period_s = 60 }

[account]
server = { type = "url", help = "the archive's address", default = "https://archive.example.org" }
key = { help = "your API key", secret = true, example = "made-up-key" }

[operations.sheets]
title = "Tide sheets of a station for one year"

[operations.sheets.params]
station = { help = "the station's code", pattern = '[A-Z]{3}', example = "HVN" }
year = { type = "integer", help = "the year", example = 2025 }

[operations.sheets.submit]
url = "/orders"
form = { station = "${params.station}", year = "${params.year}" }
handle = [{ header = "X-Order" }, "error.order"]
rules = [{ status = 409, json = "error.order", then = "duplicate" }]

[operations.sheets.poll]
url = "/orders/${handle}"
progress = "percent"
retry_after = "look_again_in"
rules = [{ word = "phase", words = { waiting = "pending", drawing = "running", ready = "ready", void = "failed" } }]

[operations.sheets.results]
files = { each = "sheets", url = "href", label = "join('', [title, '.csv'])", size = "bytes", md5 = "md5" }

# --- examples

[[examples]]
name = "order"
operation = "sheets"
step = "submit"
request = { url = "https://archive.example.org/api/orders", text = "station=HVN&year=2025" }
reply = { status = 202, headers = { X-Order = "4711" } }
outcome = { is = "Accepted", handle = "4711" }

[[examples]]
name = "on order already"
operation = "sheets"
step = "submit"
reply = { status = 409, json = { error = { text = "You have ordered this.", order = 4711 } } }
outcome = { is = "Duplicate", handle = "4711" }

[[examples]]
name = "waiting"
operation = "sheets"
step = "poll"
handle = "4711"
request = { url = "https://archive.example.org/api/orders/4711" }
reply = { status = 200, json = { phase = "waiting", look_again_in = 9 } }
outcome = { is = "Pending", retry_after_s = 9.0 }

[[examples]]
name = "drawing"
operation = "sheets"
step = "poll"
handle = "4711"
reply = { status = 200, json = { phase = "drawing", percent = 40 } }
outcome = { is = "Pending", status = "drawing", progress = "40" }

[[examples]]
name = "ready"
operation = "sheets"
step = "poll"
handle = "4711"
reply.status = 200
reply.json.phase = "ready"
reply.json.sheets = [{ href = "/api/sheets/1", title = "May", bytes = 15, md5 = "0123456789abcdef0123456789abcdef" }]
outcome = { is = "Ready", links = [{ url = "https://archive.example.org/api/sheets/1", label = "May.csv", size = 15 }] }

[[examples]]
name = "void"
operation = "sheets"
step = "poll"
handle = "4711"
reply = { status = 200, json = { phase = "void", error = { text = "The station was under repair." } } }
outcome = { is = "Refused", reason = "The station was under repair." }
"""

CONFIGURATION = """
[providers]
folders = ["specs"]

[accounts.tides]
provider = "tidal-archive"
allow_private = true

[accounts.tides.settings]
server = "{server}"
key_file = "tide-key"

[accounts.tides.schedule]
first_delay_s = 0.1
interval_s = 0.1
"""

RUN = ("run", "tides", "sheets", "--out", "out")
SHEETS = {"January": b"day,high\n1,4.2\n", "February": b"day,high\n1,4.4\n"}


class Archive:
    """The made-up API; ``key`` is the only one that it knows."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.orders: list[dict[str, str]] = []
        self._phases = ["waiting", "drawing", "ready"]
        self.app = web.Application(middlewares=[self._known])
        self.app.router.add_post("/api/orders", self._order)
        self.app.router.add_get("/api/orders/4711", self._look)
        self.app.router.add_get("/api/sheets/{title}", self._sheet)

    @web.middleware
    async def _known(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.query.get("apikey") != self.key:
            return web.json_response({"error": {"text": "There is no such key."}}, status=401)
        return await handler(request)

    async def _order(self, request: web.Request) -> web.Response:
        self.orders.append({name: str(value) for name, value in (await request.post()).items()})
        return web.Response(status=202, headers={"X-Order": "4711"})

    async def _look(self, _request: web.Request) -> web.Response:
        status: dict[str, object] = {"phase": self._phases.pop(0), "percent": 40}
        if status["phase"] == "ready":
            status["sheets"] = [
                {
                    "href": f"/api/sheets/{title}",
                    "title": title,
                    "bytes": len(body),
                    "md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
                }
                for title, body in SHEETS.items()
            ]
        return web.json_response(status)

    async def _sheet(self, request: web.Request) -> web.Response:
        return web.Response(body=SHEETS[request.match_info["title"]], content_type="text/csv")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str


async def _tidewaiter(folder: Path, *arguments: str) -> Ended:
    """Run the command in a folder, as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tidewaiter.cli.main", *arguments,
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    return Ended(process.returncode or 0, output.decode(), errors.decode())


def _fresh_folder(folder: Path, server: str) -> None:
    (folder / "specs").mkdir()
    (folder / "specs" / "tidal-archive.toml").write_text(SPEC)
    (folder / "tidewaiter.toml").write_text(CONFIGURATION.replace("{server}", server))
    (folder / "tide-key").write_text("sesame\n")


@pytest.mark.slow
async def test_from_an_empty_folder_to_the_files(tmp_path: Path) -> None:
    """Lint finds nothing, every example holds and shows everything, and `run` lands what the API serves."""
    archive = Archive("sesame")
    async with TestServer(archive.app, host="127.0.0.1") as server:
        _fresh_folder(tmp_path, str(server.make_url("")).rstrip("/"))
        linted = await _tidewaiter(tmp_path, "providers", "lint", "specs/tidal-archive.toml")
        tested = await _tidewaiter(tmp_path, "providers", "test", "tidal-archive")
        ran = await _tidewaiter(
            tmp_path, "run", "tides", "sheets", "-p", "station=HVN", "-p", "year=2025", "--out", "out"
        )
    assert (linted.output, linted.code) == ("1 spec: no fault\n", 0)
    assert (tested.output, tested.code) == ("tidal-archive: 6 of 6 examples as expected\n", 0)
    assert ran.code == 0, ran.errors
    assert archive.orders == [{"station": "HVN", "year": "2025"}]
    landed = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.csv")}
    assert landed == {"001-January.csv": SHEETS["January"], "002-February.csv": SHEETS["February"]}
    assert all(name in ran.output for name in landed)


@pytest.mark.slow
async def test_a_slip_is_reported_before_anything_is_sent(tmp_path: Path) -> None:
    """A parameter that the spec does not permit ends the command with 2 and its reason; the API hears nothing."""
    archive = Archive("sesame")
    async with TestServer(archive.app, host="127.0.0.1") as server:
        _fresh_folder(tmp_path, str(server.make_url("")).rstrip("/"))
        ran = await _tidewaiter(
            tmp_path, "run", "tides", "sheets", "-p", "station=hvn", "-p", "year=soon", "--out", "out"
        )
    assert ran.code == 2
    assert "station: 'hvn' does not match the pattern [A-Z]{3}" in ran.errors
    assert "year: must be a whole number, not 'soon'" in ran.errors
    assert archive.orders == []


def test_the_spec_is_short() -> None:
    """Three endpoints take at most forty lines, the examples apart."""
    lines = SPEC.partition("# --- examples")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 40
