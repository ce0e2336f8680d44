"""The page of a job whose remote job needs several requests."""

from tests.web.ui.ui_server import UiServer
from tidewaiter.domain import outcome as o
from tidewaiter.domain.backoff_and_limits import OperationPolicy
from tidewaiter.domain.stages import Stages


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
