"""Jobs counted by what they have in common."""

import pytest

from tests.support.api_server import ApiServer
from tidewaiter.services import job_counts


async def test_jobs_are_counted_by_a_label(any_site: ApiServer) -> None:
    """Those without the label are a group of their own; the filter of the list holds."""
    for labels in ({"dag": "x"}, {"dag": "y"}, {"dag": "x", "team": "a"}, {}):
        await any_site.submitted(labels=labels)
    counts = (await any_site.get("/v1/jobs:count?by=label.dag")).json
    assert counts == {
        "by": "label.dag",
        "groups": [
            {"value": "x", "jobs": 2, "states": {"queued": 2}},
            {"value": None, "jobs": 1, "states": {"queued": 1}},
            {"value": "y", "jobs": 1, "states": {"queued": 1}},
        ],
        "jobs": 4,
        "complete": True,
    }
    team = (await any_site.get("/v1/jobs:count?by=label.dag&label=team%3Da")).json
    assert [(group["value"], group["jobs"]) for group in team["groups"]] == [("x", 1)]


async def test_the_newest_are_counted(site: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply says that older ones match, too."""
    monkeypatch.setattr(job_counts, "MOST_COUNTED", 3)
    monkeypatch.setattr(job_counts, "_AT_ONCE", 2)
    for _ in range(3):
        await site.submitted()
    assert (await site.get("/v1/jobs:count")).json["complete"] is True
    await site.submitted()
    counts = (await site.get("/v1/jobs:count")).json
    assert (counts["by"], counts["jobs"], counts["complete"]) == ("state", 3, False)


@pytest.mark.parametrize("by", ["label.", "reason", "labels.dag"])
async def test_what_cannot_be_counted_by(site: ApiServer, by: str) -> None:
    """The fault says what can."""
    (fault,) = (await site.get(f"/v1/jobs:count?by={by}")).problem(400)["errors"]
    assert fault["detail"] == "must be state, account, operation, batch, schedule or label.NAME"
