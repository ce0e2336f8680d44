"""kill -9 at each request of a job whose files come from lists while its remote job runs: each file lands whole."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.doomed_daemon import DoomedDaemon, stored_job
from tests.support.scripted_provider import Answer, answering, config_for, open_provider
from tidewaiter.domain.job import State

SPEC = """
[operations.report.submit]
url = "/reports"
handle = "id"

[operations.report.poll]
url = "/reports/${handle}"
rules = [{ status = 202, then = "pending" }, { status = 200, then = "ready" }]

[operations.report.results]
while_running = "listed"

[[operations.report.results.lists]]
url = "/reports/${handle}/groups"
items = "groups"
values = { group = "id" }

[[operations.report.results.lists]]
url = "/groups/${item.group}"
items = "parts"

[operations.report.results.files]
label = "id"
values = { part = "id" }
download = { method = "POST", url = "/files", json = { part = "${item.part}" } }
"""
GROUPS = {"g1": ("a", "b"), "g2": ("c",)}


@dataclass(slots=True)
class Provider:
    """The provider; ``polls`` is the clock of the remote job, ``asked`` counts the requests for each file."""

    polls: int = 0
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def answers(self) -> dict[str, Answer]:
        """By method and path."""
        return {
            "POST /reports": answering({"id": "r1"}),
            "GET /reports/r1": self._status,
            "GET /reports/r1/groups": self._groups,
            "GET /groups/g1": self._group,
            "GET /groups/g2": self._group,
            "POST /files": self._file,
        }

    async def _status(self, _: web.Request) -> web.StreamResponse:
        self.polls += 1
        return web.json_response({"listed": self.polls > 1}, status=202 if self.polls < 5 else 200)

    async def _groups(self, _: web.Request) -> web.StreamResponse:
        there = list(GROUPS) if self.polls >= 5 else ["g1"]
        return web.json_response({"groups": [{"id": one} for one in there]})

    async def _group(self, request: web.Request) -> web.StreamResponse:
        parts = GROUPS[request.path.rpartition("/")[2]]
        return web.json_response({"parts": [{"id": one} for one in (parts if self.polls >= 3 else parts[:1])]})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        part = (await request.json())["part"]
        self.asked[part] += 1
        return web.Response(text=f"{part}\n" * 1000)


def _manifests(folder: Path) -> list[Path]:
    return list(folder.glob("landed/**/manifest.json"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("line", "after_reply"),
    [
        pytest.param("POST /files", True, marks=pytest.mark.slow),
        pytest.param("POST /files", False, marks=pytest.mark.chaos),
        *(
            pytest.param(line, after_reply, marks=pytest.mark.chaos)
            for line in ("GET /reports/r1", "GET /reports/r1/groups", "GET /groups/g1", "GET /groups/g2")
            for after_reply in (False, True)
        ),
    ],
)
async def test_a_kill_at_each_request(tmp_path: Path, sqlite_url: str, line: str, *, after_reply: bool) -> None:
    """The next daemon goes on: nothing is submitted twice, and a file is asked for again only if its row was lost."""
    provider, daemon = Provider(), DoomedDaemon(tmp_path, after_reply)
    answers = provider.answers
    answers[line] = daemon.at(answers[line])
    async with open_provider(answers) as shop, stored_job(sqlite_url) as stored:
        config_for(tmp_path, SPEC, shop.url, sqlite_url)
        file = tmp_path / "tidewaiter.toml"
        file.write_text(file.read_text().replace("[worker]", "[worker]\nlease_s = 2"))
        try:
            await daemon.run_to_its_death()
            assert _manifests(tmp_path) == []
            await daemon.start()
            job = await stored.end()
            artifacts = await stored.store.artifacts(stored.number)
        finally:
            await daemon.kill()
    assert (job.state, job.reason) == (State.SUCCEEDED, None)
    assert shop.times("POST /reports") == 1
    landed = {one.label: (tmp_path / "landed" / one.key).read_text() for one in artifacts}
    assert landed == {part: f"{part}\n" * 1000 for part in "abc"}
    (manifest,) = _manifests(tmp_path)
    assert [one["label"] for one in json.loads(manifest.read_text())["artifacts"]] == ["a", "b", "c"]
    assert len(list(manifest.parent.iterdir())) == 4
    assert max(provider.asked.values()) <= 2
    assert "Traceback" not in daemon.log
