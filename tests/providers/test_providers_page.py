"""docs/providers.md: its examples work."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.providers.providers_page import CHAPTERS, CONFIGURATION, PAGE, RECIPES, SPEC, WALK, rows, toml_blocks
from tests.support.spec_samples import NOW, job_with, reply_of
from tidewaiter.bootstrap import run_once
from tidewaiter.config import load
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State
from tidewaiter.log import configure
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.spec_lint import expand_like, read_spec
from tidewaiter.providers.spec_references import check_references

# --- what it teaches --------------------------------------------------------------------------------------------------


def test_every_block_is_toml() -> None:
    """Nothing on the page stumbles over a comma."""
    blocks = toml_blocks(PAGE)
    assert len(blocks) > 15
    for block in blocks:
        tomllib.loads(block)


def _is_whole(block: str) -> bool:
    return {"name", "base_url", "operations"} <= tomllib.loads(block).keys()


@pytest.mark.parametrize("text", [SPEC, *filter(_is_whole, toml_blocks(PAGE))])
def test_the_specs_of_the_page_are_whole(text: str) -> None:
    """Lint finds nothing, every example holds, and every step, rule and word is shown."""
    spec, faults = read_spec("specs/example-shop.toml", text)
    assert faults == []
    assert spec is not None
    provider = Provider(spec, text, "page")
    results = run_examples(provider)
    assert results
    assert [str(result) for result in results if not result.ok] == []
    assert uncovered_rules(provider) == []


def test_the_output_of_the_walk_is_what_comes() -> None:
    """The number of examples, and the messages of lint about the two mistakes that the page makes on purpose."""
    assert f"example-shop: {len(tomllib.loads(SPEC)['examples'])} of " in WALK
    wrong = SPEC.replace('${handle}"\nprogress', '${handel}"\nprogress').replace('help = "what to report", ', "")
    _, faults = read_spec("specs/example-shop.toml", wrong)
    assert len(faults) == 2
    for fault in faults:
        assert f"\n{fault}\n" in WALK


_ORDERS = b"order,total\n1,5\n"


@pytest.mark.slow
async def test_the_walk_ends_with_a_file(tmp_path: Path) -> None:
    """The page's spec and configuration, against a server that plays the made-up API: `run` lands its file."""
    seen: list[tuple[str, object]] = []
    states = iter(["QUEUED", "WORKING", "DONE"])

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        seen.append((f"{request.method} {request.path}", body))
        assert request.headers["X-Api-Key"] == "sesame"
        if request.method == "POST":
            return web.json_response({"id": "r-812"}, status=201)
        if request.path.endswith("/file"):
            return web.Response(body=_ORDERS, content_type="text/csv")
        return web.json_response({"id": "r-812", "state": next(states), "rows": 120, "of": 4000})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "example-shop.toml").write_text(SPEC)
    (tmp_path / "shop-key").write_text("sesame\n")
    observed: list[State] = []
    async with TestServer(app, host="127.0.0.1") as server:
        address = str(server.make_url("")).rstrip("/")
        trial = f'server = "{address}"\n[accounts.shop.schedule]\nfirst_delay_s = 0\ninterval_s = 0.1\n'
        config = CONFIGURATION.replace("[accounts.shop]\n", "[accounts.shop]\nallow_private = true\n") + trial
        (tmp_path / "tidewaiter.toml").write_text(config)
        log = configure("json", "error", ())
        job, artifacts = await run_once(
            load(tmp_path / "tidewaiter.toml", {}),
            "shop",
            "report",
            {"kind": "orders"},
            out=tmp_path / "out",
            on_change=lambda job: observed.append(job.state),
            log=log,
        )
        log.close()
    assert job.state is State.SUCCEEDED
    assert [artifact.name for artifact in artifacts] == ["orders.csv"]
    assert (tmp_path / "out" / artifacts[0].key).read_bytes() == _ORDERS
    assert seen[0] == ("POST /v2/reports", {"kind": "orders"})
    assert all(f"\njob 1769853600000 is {state.value}\n" in WALK for state in observed)
    assert f"  {len(_ORDERS)} B, SHA-256 {hashlib.sha256(_ORDERS).hexdigest()}\n" in WALK


# --- recipes ----------------------------------------------------------------------------------------------------------


def _laid_over(recipe: str) -> dict[str, Any]:
    """The spec of the walk with a recipe's tables in place of its own, and without its examples."""
    spec, new = tomllib.loads(SPEC), tomllib.loads(recipe)
    spec["account"] |= new.pop("account", {})
    operations = new.pop("operations", {})
    spec["operations"]["report"] |= operations.pop("report", {})
    spec["operations"] |= operations
    return {**expand_like({**spec, **new, "examples": []})}


def _tried(title: str, **example: object) -> list[str]:
    """What is wrong with an exchange under the first block of a recipe."""
    raw = _laid_over(RECIPES[title][0])
    raw["examples"] = [{"name": title, "operation": "report", "handle": "7", **example}]
    provider = Provider(ProviderSpec.model_validate(raw), "", "page")
    return [problem for result in run_examples(provider) for problem in result.problems]


@pytest.mark.parametrize("title", [title for title, blocks in RECIPES.items() if blocks])
def test_recipes_fit_into_the_spec(title: str) -> None:
    """Each leaves a spec without fault."""
    (recipe,) = RECIPES[title]
    raw = _laid_over(recipe)
    ProviderSpec.model_validate(raw)
    assert check_references("page", raw) == []


_FILE = "https://files.example.com/r-812.csv?sig=a%2Fb"


@pytest.mark.parametrize(
    ("title", "step", "reply", "outcome"),
    [
        (
            "A handle in a header",
            "submit",
            {"status": 202, "headers": {"Location": "/v2/jobs/17"}},
            {"is": "Accepted", "handle": "https://api.example.com/v2/jobs/17"},
        ),
        (
            "A handle in a redirect",
            "submit",
            {"status": 303, "headers": {"Location": "/v2/reports/r-812"}},
            {"is": "Accepted", "handle": "r-812"},
        ),
        (
            "A handle in a redirect",
            "submit",
            {"status": 303, "headers": {"X-Created": "r-813", "Location": "/v2/reports/r-812"}},
            {"is": "Accepted", "handle": "r-813"},
        ),
        (
            "A handle in a redirect",
            "submit",
            {"status": 302, "headers": {"Location": "/login?next=%2Fv2%2Freports"}},
            {"is": "Unknown", "reason": "HTTP 302 (Location: /login?[redacted])"},
        ),
        (
            "Status by HTTP code",
            "poll",
            {"status": 202, "headers": {"X-Progress": "half"}},
            {"is": "Pending", "progress": "half"},
        ),
        ("Status by HTTP code", "poll", {"status": 200}, {"is": "Ready"}),
        ("Status by HTTP code", "poll", {"status": 422}, {"is": "Refused"}),
        (
            "Conditions on body and headers",
            "poll",
            {"status": 200, "json": {"error": {"code": "BUSY"}}},
            {"is": "Throttled"},
        ),
        ("Conditions on body and headers", "poll", {"status": 500, "json": {"error": "no"}}, {"is": "Refused"}),
        (
            "Conditions on body and headers",
            "poll",
            {"status": 200, "headers": {"Content-Type": "text/html"}, "text": "<p>"},
            {"is": "Retry"},
        ),
        (
            "Conditions on body and headers",
            "poll",
            {"status": 200, "json": {"finished_at": 1, "parts": []}},
            {"is": "Pending"},
        ),
        (
            "Conditions on body and headers",
            "poll",
            {"status": 200, "json": {"finished_at": 1, "parts": [1]}},
            {"is": "Ready"},
        ),
        (
            "A second call for the URL",
            "resolve",
            {"status": 200, "text": f"{_FILE}\n"},
            {"is": "Links", "links": [{"url": _FILE, "label": "orders", "send_auth": False}]},
        ),
        (
            "The link in the reply that says ready",
            "poll",
            {"status": 200, "json": {"state": "DONE", "download": _FILE}},
            {"is": "Ready", "links": [{"url": _FILE, "label": "r-812.csv", "send_auth": False}]},
        ),
        (
            "The link in the reply that says ready",
            "poll",
            {"status": 200, "json": {"state": "DONE"}},
            {"is": "Unmapped"},
        ),
        (
            "Several files in a list",
            "poll",
            {
                "status": 200,
                "json": {
                    "state": "DONE",
                    "parts": [{"href": "/v2/parts/1", "name": "orders-1", "bytes": 5}],
                    "logs": [_FILE],
                },
            },
            {
                "is": "Ready",
                "links": [
                    {"url": "https://api.example.com/v2/parts/1", "label": "orders-1", "size": 5},
                    {"url": _FILE, "label": "log"},
                ],
            },
        ),
        (
            "A chain of two polls",
            "submit",
            {"status": 201, "json": {"id": "r-812"}},
            {"is": "Accepted", "handle": "https://api.example.com/v2/reports/r-812"},
        ),
        (
            "A chain of two polls",
            "poll",
            {"status": 200, "json": {"state": "DONE", "list": "/v2/reports/r-812/list"}},
            {"is": "Pending", "handle": "https://api.example.com/v2/reports/r-812/list", "retry_after_s": 1.0},
        ),
        (
            "A chain of two polls",
            "poll",
            {"status": 200, "json": {"state": "WORKING"}},
            {"is": "Pending", "handle": None, "retry_after_s": None},
        ),
        (
            "A chain of two polls",
            "poll",
            {"status": 200, "json": {"files": [{"url": _FILE, "name": "orders"}]}},
            {"is": "Ready", "links": [{"url": _FILE, "label": "orders"}]},
        ),
        ("Inline results", "poll", {"status": 200, "text": "a,b\n"}, {"is": "Inline", "label": "orders"}),
        (
            "Packed files",
            "poll",
            {"status": 200, "json": {"state": "DONE", "parts": [{"href": "/v2/p", "name": "a.gz", "packing": "GZIP"}]}},
            {"is": "Ready", "links": [{"url": "https://api.example.com/v2/p", "label": "a.gz", "gzip": True}]},
        ),
        (
            "Results over several pages",
            "page",
            {"status": 200, "json": {"rows": [1, 2], "next": "b2xk"}},
            {"is": "Page", "items": 2, "next": "b2xk"},
        ),
        ("Results over several pages", "page", {"status": 200, "json": {"rows": [1]}}, {"is": "Page", "last": True}),
        (
            "Find the remote job again",
            "adopt",
            {"status": 200, "json": {"reports": [{"id": "r-1", "note": "example-intent"}, {"id": "r-2", "note": "x"}]}},
            {"is": "Matches", "handles": ["r-1"], "last": True},
        ),
        ("Cancel and clean up", "cancel", {"status": 409}, {"is": "Cancelled"}),
        ("Cancel and clean up", "cleanup", {"status": 204}, {"is": "Cleaned"}),
        (
            "Error messages",
            "submit",
            {"status": 400, "json": {"errors": [{"detail": "too late"}]}},
            {"is": "Refused", "reason": "HTTP 400: too late"},
        ),
        (
            "Error messages",
            "submit",
            {"status": 400, "text": "<title>Bad thing</title>"},
            {"is": "Refused", "reason": "HTTP 400: Bad thing"},
        ),
        (
            "An error that comes as 200",
            "submit",
            {"status": 200, "json": {"error": "no"}},
            {"is": "Refused", "reason": "not a report of this shop: HTTP 200"},
        ),
        (
            "The job exists already",
            "submit",
            {"status": 409, "json": {"error": {"existing_id": 5}}},
            {"is": "Duplicate", "handle": "5"},
        ),
        ("The job exists already", "submit", {"status": 201, "json": {"id": 6}}, {"is": "Accepted", "handle": "6"}),
    ],
)
def test_recipes_do_what_they_say(title: str, step: str, reply: object, outcome: object) -> None:
    """The reply of which a recipe speaks comes to what it promises."""
    assert (
        _tried(
            title, step=step, reply={"url": "https://api.example.com/v2/reports", **_mapping(reply)}, outcome=outcome
        )
        == []
    )


def _mapping(value: object) -> Mapping[str, object]:
    assert isinstance(value, Mapping)
    return value


def test_variants_choose_by_the_account() -> None:
    """The plan that is configured decides where the submit goes."""
    for plan, path in (("paid", "/priority/reports"), ("free", "/reports")):
        request = {"url": f"https://api.example.com/v2{path}"}
        assert _tried("Variants by account setting", step="submit", account={"plan": plan}, request=request) == []


# --- what replies mean by themselves ----------------------------------------------------------------------------------


def _names_of_outcomes(operation: BoundOperation, status: int) -> list[str]:
    """What a bare reply of that status comes to: submit, poll, second call, file from the API, file from elsewhere."""
    job: Job = job_with("r-812", {"kind": "orders"})
    reply = reply_of(status, b"{}")
    got = (
        operation.read_submit(job, reply, NOW),
        operation.read_poll(job, reply, NOW),
        operation.read_resolve(job, reply, NOW),
        operation.read_file(job, Link("https://api.example.com/v2/file"), reply, NOW),
        operation.read_file(job, Link("https://files.example.com/file"), reply, NOW),
    )
    return [type(one).__name__ for one in got]


def test_the_table_of_defaults_is_true() -> None:
    """Each status that the table names comes to what stands in its row."""
    raw = _laid_over(RECIPES["A second call for the URL"][0])
    operation = Provider(ProviderSpec.model_validate(raw), "", "page").bind("shop", {"key": "k"}).operations["report"]
    checked = 0
    for row in rows(CHAPTERS["What replies mean by themselves"]):
        for status in re.findall(r"`(\d{3})`", row[0]):
            listed = [next(iter(re.findall(r"`(\w+)`", cell))) for cell in row[1:]]
            assert listed == _names_of_outcomes(operation, int(status)), status
            checked += 1
    assert checked > 10


def test_links_within_the_page_lead_somewhere() -> None:
    """Each leads to a heading."""
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert target in anchors
