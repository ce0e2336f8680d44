"""What a webhook says: a job or a batch has ended, or something that a newer version sends."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from tidewaiter.client.errors import WebhookError
from tidewaiter.domain.job import State
from tidewaiter.web.api.body_schemas import JobNumber, Moment, Outgoing


class WebhookFile(Outgoing):
    """A landed file."""

    name: str
    key: Annotated[str, Field(description="its path below the storage's folder or URL")]
    size: Annotated[int, Field(ge=0, description="in bytes")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    media_type: str


class WebhookJob(Outgoing):
    """A job that has entered a state; :meth:`AsyncClient.job` has its parameters and everything else."""

    id: JobNumber
    account: str
    operation: str
    state: State
    reason: str | None
    unique_key: str | None
    retry_of: JobNumber | None
    created_at: Moment
    finished_at: Annotated[Moment | None, Field(description="null while it is parked: it can continue")]
    traceparent: str | None
    labels: dict[str, str]
    artifacts: Annotated[list[WebhookFile], Field(description="its first files")]
    artifacts_total: Annotated[int, Field(ge=0, description="how many files it has")]


class WebhookBatch(Outgoing):
    """A batch whose last job has ended; it counts the jobs of the endpoint's accounts."""

    name: str
    created_at: Moment
    ended_at: Moment
    jobs: int
    states: dict[State, int]


class JobEvent(Outgoing):
    """A job has ended, or waits for a person."""

    type: Literal["job.succeeded", "job.failed", "job.cancelled", "job.expired", "job.parked"]
    timestamp: Annotated[Moment, Field(description="when the job entered the state")]
    data: WebhookJob


class BatchEvent(Outgoing):
    """The last job of a batch has ended."""

    type: Literal["batch.ended"]
    timestamp: Moment
    data: WebhookBatch


class OtherEvent(Outgoing):
    """A test of the endpoint (``tidewaiter.test``), or an event of a newer version: answer 204 and do nothing."""

    type: str
    timestamp: Moment
    data: dict[str, JsonValue]


WebhookEvent: TypeAlias = JobEvent | BatchEvent | OtherEvent

_SHAPES: dict[str, type[JobEvent | BatchEvent]] = {
    **{f"job.{state}": JobEvent for state in ("succeeded", "failed", "cancelled", "expired", "parked")},
    "batch.ended": BatchEvent,
}
_OTHER: TypeAdapter[OtherEvent] = TypeAdapter(OtherEvent)


def event_of(body: bytes) -> WebhookEvent:
    """The event in the body of a message.

    Raises:
        WebhookError: the body is no event.
    """
    try:
        other = _OTHER.validate_json(body)
        shape = _SHAPES.get(other.type)
        return other if shape is None else shape.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the body"
        raise WebhookError(f"the message is no event: {place}: {fault['msg']}") from error
