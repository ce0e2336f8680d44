"""A client of the HTTP API for programs: :class:`AsyncClient` for asyncio, and :class:`Client` without it.

Both have the same methods. Jobs and files are the shapes of the API's own schema. Nothing of the daemon is imported, so
a program that only requests exports needs aiohttp and pydantic alone.
"""

from tidewaiter.client.async_client import ENDED, AsyncClient, require_success
from tidewaiter.client.blocking_client import Client
from tidewaiter.client.errors import (
    AccessError,
    ApiError,
    ChecksumError,
    ConflictError,
    InvalidRequestError,
    JobNotSucceededError,
    NotFoundError,
    UnavailableError,
    UnexpectedReplyError,
    WebhookError,
)
from tidewaiter.client.webhook_events import (
    BatchEvent,
    JobEvent,
    OtherEvent,
    WebhookBatch,
    WebhookEvent,
    WebhookFile,
    WebhookJob,
)
from tidewaiter.client.webhook_verification import verify_webhook
from tidewaiter.domain.job import State
from tidewaiter.web.api.batch_schemas import BackfillShape as Backfill
from tidewaiter.web.api.batch_schemas import BatchShape as Batch
from tidewaiter.web.api.body_schemas import ArtifactShape as Artifact
from tidewaiter.web.api.body_schemas import JobShape as Job

__all__ = [
    "ENDED",
    "AccessError",
    "ApiError",
    "Artifact",
    "AsyncClient",
    "Backfill",
    "Batch",
    "BatchEvent",
    "ChecksumError",
    "Client",
    "ConflictError",
    "InvalidRequestError",
    "Job",
    "JobEvent",
    "JobNotSucceededError",
    "NotFoundError",
    "OtherEvent",
    "State",
    "UnavailableError",
    "UnexpectedReplyError",
    "WebhookBatch",
    "WebhookError",
    "WebhookEvent",
    "WebhookFile",
    "WebhookJob",
    "require_success",
    "verify_webhook",
]
