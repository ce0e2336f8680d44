"""The page of a job whose remote job needs several requests."""

import pytest

from tests.web.ui.ui_server import UiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.job import HistoryEntry, State
from tidewaiter.domain.stages import Stages
from tidewaiter.domain.state_machine import ANY_LIVE, BY_STATE
from tidewaiter.web.ui.job_pages import TimelineEntry


@pytest.mark.asyncio(loop_scope="session")
async def test_a_start_in_doubt_has_its_own_decisions(page_server: UiServer) -> None:
    """The page says what adopt and retry mean for that request, and has the handle already."""
    policy = OperationPolicy(stages=Stages(("submit", "enqueue")))
    job = await page_server.sample.add("shop", "profiles")
    for outcome in (
        o.Intended("k"), o.Accepted("r-812", kept={"queue": "<q>"}), o.Intended("k"), o.Unknown("lost"),
        o.Undecidable("lost"),
    ):  # fmt: skip
        job = await page_server.sample.learn(job, outcome, policy=policy)
    _, text = await page_server.get(f"/jobs/{job.id}")
    assert "The outcome of enqueue is unknown." in text
    assert "<dt>Stage</dt><dd><bdi>enqueue</bdi></dd>" in text
    assert "queue = &lt;q&gt;" in text
    assert "<h3>It was started</h3>" in text
    assert 'name="handle" value="r-812"' in text
    assert "s-starting" in text


def test_every_outcome_has_words() -> None:
    """The history of a page has no name of a class, such as that of a request before the submit."""
    kinds = {row.kind.__name__ for rows in (ANY_LIVE, *BY_STATE.values()) for row in rows}
    entries = [HistoryEntry(1, 1, 0.0, None, State.QUEUED, kind) for kind in sorted(kinds)]
    assert [one.outcome for one in entries if TimelineEntry(one, None, arrived=False).words == one.outcome] == []
    words = {TimelineEntry(one, None, arrived=False).words for one in entries}
    assert {"the request is prepared", "the outcome of the request is unknown"} <= words
