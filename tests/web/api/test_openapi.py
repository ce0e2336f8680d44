"""The OpenAPI document: well-formed, complete, and true. Schemathesis tests a real server against it."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from tests.support.api_server import ADMIN, READ, new_job, serving
from tests.support.machine_times import TIME_NAME
from tidewaiter.database import migrate
from tidewaiter.web import rate_limits

CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.unsupported_method,
]
LIMITS = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class _Names(dict[str, dict[str, Any]]):
    """By path: what there is."""

    def __missing__(self, path: str) -> dict[str, Any]:
        return {"id": 2 if "cancel" in path else 1, "number": 0, "name": "quay"}


_KNOWN = _Names(
    {
        "/v1/schedules/{name}/run": {"name": "nightly"},
        "/v1/providers/{name}": {"name": "harbour"},
        "/v1/batches/{name}": {"name": "march"},
    }
)


@dataclass(frozen=True, slots=True)
class Running:
    """A server in a thread of its own, and its document."""

    base: str
    document: dict[str, Any]


async def _serve(folder: Path, ready: threading.Event, made: list[Running], stop: list[Any]) -> None:
    async with serving(folder, f"sqlite:///{folder / 'tide.db'}", tokens=True) as site:
        admin = {"Authorization": f"Bearer {ADMIN}"}
        await site.landed(b"0,1,2\n", headers=admin)
        await site.submitted(headers=admin, batch="march")
        over = asyncio.Event()
        stop.append((asyncio.get_running_loop(), over))
        made.append(Running(site.base, (await site.get("/openapi.json", headers=admin)).json))
        ready.set()
        await over.wait()
        assert not (failed := site.logged("http.failed")), json.dumps(failed, indent=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with tokens that has a few jobs. Wrong tokens, of which schemathesis sends many, do not slow it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limits, "BURST", 10**9)
        patch.setattr(rate_limits, "TOTAL_BURST", 10**9)
        yield from _running(tmp_path_factory)


def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("openapi")
    migrate.upgrade(f"sqlite:///{folder / 'tide.db'}")
    ready, made, stop = threading.Event(), list[Running](), list[Any]()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(_serve(folder, ready, made, stop))
        except BaseException as error:  # noqa: BLE001  # told in the test's thread
            failed.append(error)
        ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(60)
    if made:
        yield made[0]
        loop, over = stop[0]
        loop.call_soon_threadsafe(over.set)
    thread.join(60)
    assert not failed, failed


@pytest.mark.slow
def test_the_document_is_sound(running: Running) -> None:
    """It is an OpenAPI 3.1 document by the specification's own schema."""
    from openapi_spec_validator import validate  # noqa: PLC0415  # it takes a second to import

    validate(running.document)
    assert running.document["openapi"].startswith("3.1")


def test_every_time_is_rfc3339(running: Running) -> None:
    """Each member whose name says that it is a time is one in the document, too; pauses and the like are objects."""
    shapes = running.document["components"]["schemas"]
    times = [
        (shape, name, member)
        for shape, one in shapes.items()
        for name, member in one.get("properties", {}).items()
        if TIME_NAME.fullmatch(name)
    ]
    assert len(times) > 20
    for shape, name, member in times:
        kinds = [one for one in member.get("anyOf", [member]) if one.get("type") != "null"]
        assert all(one.get("format") == "date-time" for one in kinds), (shape, name)


def test_every_operation_is_named_once(running: Running) -> None:
    """Each operation has a name of its own, a summary, and its problems."""
    found = [one for path in running.document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in found]
    assert len(set(names)) == len(names) >= 24
    for one in found:
        assert one["summary"]
        assert "application/problem+json" in one["responses"]["401"]["content"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["permitted", "there", "not permitted"])
def test_it_is_true(running: Running, mode: str) -> None:
    """Whatever the document permits is answered as it says, and what it does not permit is refused."""
    schema = schemathesis.openapi.from_dict(running.document)
    failures: list[str] = []
    with requests.Session() as session:
        for found in schema.exclude(path="/v1/events").get_all_operations():
            assert isinstance(found, Ok)
            failures += _ask(found.ok(), mode, running, session)
    assert not failures, "\n\n".join(failures[:10])


def _ask(operation: Any, mode: str, running: Running, session: requests.Session) -> list[str]:
    """Ask for an operation in many ways; what was not answered as the document says."""

    def ask(case: Case[Any]) -> None:
        if mode == "there":
            case.path_parameters = {name: _KNOWN[operation.path][name] for name in case.path_parameters or {}}
            if operation.path == "/v1/jobs" and operation.method == "post":
                case.body = new_job()
        case.call_and_validate(
            base_url=running.base, headers={"Authorization": f"Bearer {ADMIN}"}, checks=CHECKS, session=session
        )

    generated = GenerationMode.NEGATIVE if mode == "not permitted" else GenerationMode.POSITIVE
    try:
        LIMITS(given(case=operation.as_strategy(generation_mode=generated))(ask))()
    except Exception as error:  # noqa: BLE001  # whatever it is, the other operations are asked, too
        return [f"{operation.label}: {error}"]
    return []


def test_reading_takes_the_lesser_role(running: Running) -> None:
    """With the token for reading everything can be read, and nothing changed; without one, nothing at all."""
    reader = {"Authorization": f"Bearer {READ}"}
    with requests.Session() as session:
        for path, of_path in running.document["paths"].items():
            address = running.base + path.replace("{id}", "1").replace("{number}", "0").replace("{name}", "quay")
            for method in of_path:
                with session.request(method, address, headers=reader, timeout=20, stream=True) as reply:
                    assert (reply.status_code == 403) is (method == "post"), (method, path)
                refused = session.request(method, address, timeout=20)
                assert (refused.status_code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")


def test_the_page_and_the_document_name_every_route(running: Running) -> None:
    """Every route of the application is in the document and in docs/api.md, and no other."""
    ours = {f"{method.upper()} {path}" for path, of_path in running.document["paths"].items() for method in of_path}
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", page, re.MULTILINE))
    assert listed == ours
