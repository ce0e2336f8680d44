"""docs/providers/index.md, the tutorial of the spec language: its examples work."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.providers.providers_page import CHAPTERS, CONFIGURATION, DOCS, RECIPES, SPEC, WALK, rows, toml_blocks
from tests.support.spec_samples import NOW, job_with, reply_of
from tidewaiter.bootstrap import run_once
from tidewaiter.config import load
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.job import Job, State
from tidewaiter.log import configure
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.checks.spec_lint import read_spec
from tidewaiter.providers.examples.spec_examples import run_examples, uncovered_rules
from tidewaiter.providers.provider import Provider

# --- what it teaches --------------------------------------------------------------------------------------------------


def test_every_block_is_toml() -> None:
    """Nothing on the pages stumbles over a comma."""
    blocks = [block for page in DOCS.rglob("*.md") for block in toml_blocks(page.read_text("utf-8"))]
    assert len(blocks) > 5
    for block in blocks:
        tomllib.loads(block)


def test_the_spec_of_the_walk_is_whole() -> None:
    """Lint finds nothing, every example holds, and every step, rule and word is shown."""
    spec, faults = read_spec("specs/example-shop.toml", SPEC)
    assert faults == []
    assert spec is not None
    provider = Provider(spec, SPEC, "page")
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
    text = (RECIPES / "second-call-for-the-url.toml").read_text("utf-8")
    operation = Provider.read(text, "recipe").bind("shop", {"key": "k"}).operations["report"]
    checked = 0
    for row in rows(CHAPTERS["What replies mean by themselves"]):
        for status in re.findall(r"`(\d{3})`", row[0]):
            listed = [next(iter(re.findall(r"`(\w+)`", cell))) for cell in row[1:]]
            assert listed == _names_of_outcomes(operation, int(status)), status
            checked += 1
    assert checked > 10
