"""The body of each webhook is a value of the client with types."""

import json
from dataclasses import replace

import pytest

from tests.support.ended_job import AT, FILE, JOB
from tidewaiter.client import BatchEvent, JobEvent, OtherEvent, WebhookError
from tidewaiter.client.webhook_events import event_of
from tidewaiter.domain.job import TERMINAL, State
from tidewaiter.domain.notification import body_of, render_notification


@pytest.mark.parametrize("state", [*sorted(TERMINAL), State.PARKED])
def test_a_job(state: State) -> None:
    """Whatever state a job is notified about, the event has every member that the daemon sends, under its name."""
    body = body_of(replace(JOB, state=state), AT, [FILE], 21)
    event = event_of(body.encode())
    assert isinstance(event, JobEvent)
    assert (event.type, event.data.state, event.data.artifacts[0].key) == (f"job.{state}", state, FILE.key)
    assert event.model_dump(mode="json") == json.loads(body)


def test_a_batch() -> None:
    """The end of a batch counts its jobs by state."""
    data = {"name": "march", "created_at": "2025-06-15T15:05:00.500Z", "ended_at": "2025-06-15T15:06:40.250Z",
            "jobs": 31, "states": {"succeeded": 30, "failed": 1}}  # fmt: skip
    event = event_of(json.dumps({"type": "batch.ended", "timestamp": data["ended_at"], "data": data}).encode())
    assert isinstance(event, BatchEvent)
    assert event.data.states == {State.SUCCEEDED: 30, State.FAILED: 1}


def test_a_test_and_a_newer_version() -> None:
    """A type that this version does not know is an event, too, with its data as they are; so are new members."""
    event = event_of(render_notification("tidewaiter.test", AT, {"endpoint": "ops"}).encode())
    assert isinstance(event, OtherEvent)
    assert (event.type, event.data) == ("tidewaiter.test", {"endpoint": "ops"})
    newer = json.loads(body_of(JOB, AT, [FILE], 1))
    newer["data"]["colour"] = newer["weight"] = 3
    assert isinstance(event_of(json.dumps(newer).encode()), JobEvent)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"[]", "the body: "),
        (b"{", "the body: "),
        (b'{"type":"job.failed","timestamp":"2025-06-15T15:05:00.500Z","data":{"id":0}}', "data.id: "),
    ],
)
def test_what_is_no_event(body: bytes, fault: str) -> None:
    """A body that is no event is refused with the place of the fault, and never as another error."""
    with pytest.raises(WebhookError, match=f"^the message is no event: {fault}"):
        event_of(body)
