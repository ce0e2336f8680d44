"""Job requests: how one is checked against the configured accounts and becomes a job, and why a request is refused."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from tidewaiter.database.batch_store import BatchStore
from tidewaiter.database.sealing import Seal
from tidewaiter.domain.batch import batch_name_fault
from tidewaiter.domain.http_values import Json, JsonObject
from tidewaiter.domain.job import Job, NewJob
from tidewaiter.domain.job_context import NO_CONTEXT, JobContext
from tidewaiter.domain.job_labels import label_faults
from tidewaiter.domain.secret_params import MASK, SecretParams, without_secrets
from tidewaiter.providers.bound_accounts import faulty_among
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import ParameterError
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.steps.parameters import secret_names


class RequestError(Exception):
    """The request cannot be done; the message says why, and what can be done instead."""


class NotFoundError(RequestError):
    """The request names something that does not exist."""


class ConflictError(RequestError):
    """The request cannot be done in the present state; at another time it can."""


@dataclass(frozen=True, slots=True)
class JobRequestFault:
    """What is wrong with one request for a job.

    ``place`` counts the requests from 0. ``member`` is ``account``, ``operation``, ``params``, ``labels`` or
    ``batch``; of parameters ``path`` says which, as in ``variants.twitter[0].message``, and of labels it is the name.
    """

    place: int
    member: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class RefusedError(RequestError):
    """Jobs were requested that cannot be made; ``faults`` says what is wrong. Nothing was stored."""

    def __init__(self, faults: Iterable[JobRequestFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request for a job: ``params`` as they were given; ``unique_key`` names the request within its account.

    ``context`` is what the job belongs to; who sends the request is added when the job is stored.
    """

    account: str
    operation: str
    params: Mapping[str, Json]
    unique_key: str | None = None
    context: JobContext = NO_CONTEXT


def new_job_of(accounts: Mapping[str, BoundAccount], request: JobRequest, place: int = 0) -> NewJob:
    """The job for a request.

    Args:
        accounts: the configured accounts, by name.
        request: for a job.
        place: its index among several requests; faults name it.

    Raises:
        RefusedError: unknown account, operation or parameter, or a value that is not permitted.
    """
    account = accounts.get(request.account)
    if (fault := faulty_among(accounts).get(request.account)) is not None:
        reason = f"account {request.account!r} is not served: {fault}"
        raise RefusedError([JobRequestFault(place, "account", "", reason)])
    if account is None:
        known = ", ".join(sorted(accounts)) or "none is configured"
        reason = f"unknown account {request.account!r}; configured: {known}"
        raise RefusedError([JobRequestFault(place, "account", "", reason)])
    operation = account.operations.get(request.operation)
    if operation is None:
        known = ", ".join(sorted(account.operations))
        reason = f"account {request.account!r} has no operation {request.operation!r}; it has: {known}"
        raise RefusedError([JobRequestFault(place, "operation", "", reason)])
    if request.context.batch is not None and (fault := batch_name_fault(request.context.batch)):
        raise RefusedError([JobRequestFault(place, "batch", "", fault)])
    if faults := [JobRequestFault(place, "labels", *fault) for fault in label_faults(request.context.labels)]:
        raise RefusedError(faults)
    if masked := sorted(name for name in secret_names(operation.parts.spec) if request.params.get(name) == MASK):
        reason = f"{MASK} stands in the place of a secret; give the value"
        raise RefusedError(JobRequestFault(place, "params", name, reason) for name in masked)
    try:
        params = operation.check_params(request.params)
    except ParameterError as error:
        raise RefusedError(JobRequestFault(place, "params", one.key, one.reason) for one in error.faults) from error
    new = new_job(request.account, operation, params, unique_key=request.unique_key, context=request.context)
    if new.secrets and (faults := list(_shown_secrets(request, new.secrets, place))):
        raise RefusedError(faults)
    return new


def new_job(
    account: str,
    operation: BoundOperation,
    params: JsonObject,
    *,
    unique_key: str | None = None,
    retry_of: int | None = None,
    context: JobContext = NO_CONTEXT,
) -> NewJob:
    """A job whose parameters have been checked."""
    sharing = operation.sharing
    shown, secrets = without_secrets(params, secret_names(operation.parts.spec))
    return NewJob(
        account,
        operation.name,
        shown,
        operation.policy.deadline_s,
        unique_key,
        retry_of,
        None if sharing is None else sharing.key(params),
        0.0 if sharing is None else sharing.wait_s(params),
        context,
        SecretParams(values=secrets),
    )


def _shown_secrets(request: JobRequest, secrets: SecretParams, place: int) -> Iterator[JobRequestFault]:
    """Secrets in what every output shows: the unique key, the batch and the labels."""
    context = request.context
    shown = [("unique_key", "", request.unique_key), ("batch", "", context.batch)]
    shown += [("labels", name, f"{name}={value}") for name, value in context.labels.items()]
    for member, path, text in shown:
        if text is not None and any(value and value in text for value in secrets.values.values()):
            yield JobRequestFault(place, member, path, "has the value of a secret parameter, and is shown everywhere")


def opened_params(job: Job, seal: Seal) -> dict[str, Json]:
    """The parameters of a job with its secrets, for another job like it.

    Raises:
        ConflictError: no key decrypts its secrets.
    """
    secrets = seal.secrets(job.secrets)
    if secrets is None:
        raise ConflictError(f"the secret parameters of job {job.id} cannot be decrypted; give them again in a new job")
    return {**job.params, **secrets}


def check_batches(batches: BatchStore, news: Sequence[NewJob], connection: Connection) -> None:
    """Make sure that new jobs are in batches of their caller: else it could hold the batch of others open.

    Args:
        batches: within the scope of the caller.
        news: jobs that were added.
        connection: of the transaction that has added them. So of two callers at one moment the second is refused.

    Raises:
        ConflictError: the name of a batch is taken.
    """
    names = {new.context.batch for new in news if new.context.batch is not None}
    if names and (taken := batches.shared_with_others(connection, names)):
        raise ConflictError(f"the name of the batch is taken: {', '.join(sorted(taken))}; choose another one")
