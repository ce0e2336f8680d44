"""The JSON of when a job is expected to be ready."""

from typing import Annotated

from pydantic import Field

from tidewaiter.web.api.body_schemas import Moment, Outgoing


class ExpectationShape(Outgoing):
    """When a remote job is expected to be ready, from what earlier ones of its kind took."""

    usual_s: Annotated[float, Field(description="seconds from the submit that half of them did not exceed")]
    ready_at: Annotated[Moment | None, Field(description="when it is expected; null if it is later than all of them")]
    margin_s: Annotated[float | None, Field(description="it is not further from that, in four of five cases")]
    late: Annotated[bool, Field(description="whether it takes longer than 95 % of them")]


class NextStepShape(Outgoing):
    """When the next step of a job is due, and why."""

    due_at: Annotated[Moment | None, Field(description="when its next step is due, such as the next poll")]
    ready: Annotated[
        ExpectationShape | None, Field(description="null if it is not polled, or too few jobs came before it")
    ]
    sentence: Annotated[str | None, Field(description="the same in words, with times in UTC")]
