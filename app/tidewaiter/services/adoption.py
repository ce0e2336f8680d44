"""A person's decision that a parked job follows a remote job: what is checked before it is stored."""

from collections.abc import Mapping

from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job
from tidewaiter.domain.url import HIDDEN, shown_handle
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.values.texts import as_handle
from tidewaiter.services.job_requests import RequestError


def adoption(job: Job, operation: BoundOperation, handle: str, kept: Mapping[str, str]) -> o.AdoptDecided:
    """The decision, with the handle and the kept values as they will be stored.

    The job's own handle stays if the job has one whose start is in doubt.

    Args:
        job: it is parked.
        operation: of the job.
        handle: the provider's name for the remote job.
        kept: values that the lost reply would have had.

    Raises:
        RequestError: the next request cannot be built from them.
    """
    named = job.handle if job.starts and job.handle is not None else _named(operation, handle)
    values = {} if job.ready_at is not None else operation.kept_by_stage(job, kept)
    if isinstance(values, str):
        raise RequestError(f"job {job.id} cannot follow {shown_handle(named)!r}: {values}")
    after = job.but(handle=named, kept={**job.kept, **values})
    stage = None if job.ready_at is not None else operation.policy.stages.after_submit(after)
    try:
        if stage is None:
            operation.poll(after)
        else:
            operation.start(after.but(stage=stage))
    except UnsendableError as error:
        raise RequestError(f"job {job.id} cannot follow {shown_handle(named)!r}: {error}") from error
    return o.AdoptDecided(named, values)


def _named(operation: BoundOperation, handle: str) -> str:
    named = as_handle(handle)
    if named is None:
        raise RequestError(f"{shown_handle(handle)!r} cannot be the name of a remote job")
    if HIDDEN in named:
        raise RequestError("the name of the remote job is not whole: what is shown as [redacted] has to be given")
    return operation.own.without(named)
