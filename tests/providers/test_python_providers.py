"""Providers in Python: the page's example as an installed package, and packages with faults."""

import hashlib
import hmac
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.providers.providers_page import DOCS, SPEC, sections, toml_blocks
from tests.support.one_export import listening, run
from tests.support.spec_samples import NOW, job_with, reply_of
from tidewaiter import sdk
from tidewaiter.domain.job import State
from tidewaiter.providers.errors import SpecError
from tidewaiter.providers.examples.spec_examples import run_examples
from tidewaiter.providers.provider_registry import Registry

_CHAPTER = (DOCS / "python.md").read_text("utf-8")
_SECTIONS = sections(_CHAPTER, 2)
_CODE, _TWO_STEP_CODE = re.findall(r"^```python\n(.*?)^```$", _CHAPTER, re.MULTILINE | re.DOTALL)
_TWO_STEP_SPEC = "\n".join(toml_blocks(_SECTIONS["An API in two steps"]))
_SPEC = SPEC.replace('name = "example-shop"', 'name = "signed-shop"')


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; what was imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _install(site: Path, name: str, files: dict[str, str], entry: str) -> None:
    for file, text in files.items():
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    about = site / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[tidewaiter.providers]\n{entry}\n")


def test_the_example_of_the_page_signs_what_it_submits(site: Path) -> None:
    """The spec does the rest: its requests, rules and examples are those of the page's walk."""
    _install(
        site,
        "signed_shop",
        {"signed_shop/__init__.py": _CODE, "signed_shop/signed-shop.toml": _SPEC},
        "signed-shop = signed_shop:provider",
    )
    assert 'signed-shop = "signed_shop:provider"' in _CHAPTER
    provider = Registry.load().get("signed-shop")
    assert [str(result) for result in run_examples(provider) if not result.ok] == []
    account = provider.bind("shop", {"key": "sesame"})
    operation, job = account.operations["report"], job_with("r-812", {"kind": "orders"})
    request = operation.submit(job)
    assert request.headers["X-Signature"] == hmac.new(b"sesame", request.body or b"", hashlib.sha256).hexdigest()
    assert operation.poll(job).url.endswith("/reports/r-812")
    assert "sesame" not in repr(account)
    assert type(operation.read_submit(job, reply_of(201, {"id": 7}), NOW)).__name__ == "Accepted"


def test_packages_that_do_not_work_are_reported(site: Path) -> None:
    """What their code raises, what they return, a broken spec and a taken name: each with the entry point's name."""
    _install(site, "a", {"a_module.py": "raise RuntimeError('no luck')\n"}, "a = a_module:provider")
    _install(site, "b", {"b_module.py": "def provider():\n    return 7\n"}, "b = b_module:provider")
    _install(site, "c", {}, "c = c_module:provider")
    code = "from tidewaiter.sdk import Provider\n\n\ndef provider():\n    return Provider.read({!r}, {!r})\n"
    _install(site, "d", {"d_module.py": code.format("name = 5", "d.toml")}, "d = d_module:provider")
    taken = SPEC.replace('name = "example-shop"', 'name = "symplify"')
    _install(site, "e", {"e_module.py": code.format(taken, "e.toml")}, "e = e_module:provider")
    with pytest.raises(SpecError) as raised:
        Registry.load()
    lines = str(raised.value).splitlines()
    assert "entry point a (a_module:provider): cannot be loaded: RuntimeError: no luck" in lines
    assert "entry point b (b_module:provider): returns int" in lines
    assert any(line.startswith("entry point c (c_module:provider): cannot be loaded: ModuleNotFound") for line in lines)
    assert "d.toml: name: must be text" in lines
    assert "e.toml: name: 'symplify' is the name of the provider in catalog/symplify.toml already" in lines


@pytest.mark.slow
async def test_the_two_step_example_of_the_page_lands_a_file(site: Path, tmp_path: Path) -> None:
    """Create, start, poll, fetch, against a real server; the start that fails is sent again until it is taken."""
    _install(
        site,
        "two_step_shop",
        {"two_step_shop/__init__.py": _TWO_STEP_CODE, "two_step_shop/two-step-shop.toml": _TWO_STEP_SPEC},
        "two-step-shop = two_step_shop:provider",
    )
    calls: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer sesame"
        call = f"{request.method} {request.path}"
        calls.append(call)
        match call:
            case "POST /exports":
                assert await request.json() == {"year": 2025}
                return web.json_response({"id": 7, "state": "created"}, status=201)
            case "POST /exports/7/start":
                return web.Response(status=502 if calls.count(call) == 1 else 202)
            case "GET /exports/7":
                return web.json_response({"state": "running" if calls.count(call) == 1 else "done"})
            case _:
                assert call == "GET /exports/7/file"
                return web.Response(text="order,price\n", content_type="text/csv")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with listening(app) as server:
        landed = await run(
            tmp_path / "out", "two-step-shop", {"server": server, "key": "sesame"}, "export", {"year": "2025"}
        )
    assert landed.job.state is State.SUCCEEDED
    assert list(landed.files.values()) == [b"order,price\n"]
    start, status = "POST /exports/7/start", "GET /exports/7"
    assert calls == ["POST /exports", start, start, status, status, "GET /exports/7/file"]


_PAIRS = ("before", "submit", "start", "poll", "resolve", "cancel", "clean")
_METHODS = (*_PAIRS, *(f"read_{name}" for name in _PAIRS), "links", "read_file")


@pytest.mark.parametrize("name", _METHODS)
def test_every_method_of_a_pair_is_documented(name: str) -> None:
    """In its docstring and on the page."""
    assert getattr(sdk.BoundOperation, name).__doc__
    assert re.search(rf"`{name}\(", _SECTIONS["The pairs"])


def test_the_sdk_exports_what_the_page_names() -> None:
    """Every outcome in the table of pairs can be imported from the SDK, and every export exists."""
    outcomes = set(re.findall(r"`([A-Z]\w+)`", _SECTIONS["The pairs"]))
    assert outcomes - {"None"} <= set(sdk.__all__)
    assert all(hasattr(sdk, name) for name in sdk.__all__)
