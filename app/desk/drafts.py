"""Job requests, checked against the configured accounts, become jobs that can be stored."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.desk.errors import RefusedError, WishFault
from app.domain.job import NewJob
from app.domain.jsonvalue import Json, JsonObject
from app.providers.faults import ParameterError
from app.providers.interpreter import BoundOperation
from app.providers.provider import BoundAccount


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for a job: ``params`` as they were given; ``unique_key`` names the request within its account."""

    account: str
    operation: str
    params: Mapping[str, Json]
    unique_key: str | None = None


def draft(accounts: Mapping[str, BoundAccount], request: Wish, place: int = 0) -> NewJob:
    """The job for a request.

    Args:
        accounts: the configured accounts, by name.
        request: for a job.
        place: its index among several requests; faults name it.

    Raises:
        RefusedError: unknown account, operation or parameter, or a value that is not permitted.
    """
    account = accounts.get(request.account)
    if account is None:
        known = ", ".join(sorted(accounts)) or "none is configured"
        reason = f"unknown account {request.account!r}; configured: {known}"
        raise RefusedError([WishFault(place, "account", "", reason)])
    operation = account.operations.get(request.operation)
    if operation is None:
        known = ", ".join(sorted(account.operations))
        reason = f"account {request.account!r} has no operation {request.operation!r}; it has: {known}"
        raise RefusedError([WishFault(place, "operation", "", reason)])
    try:
        params = operation.check_params(request.params)
    except ParameterError as error:
        raise RefusedError(WishFault(place, "params", one.key, one.reason) for one in error.faults) from error
    return new_job(request.account, operation, params, unique_key=request.unique_key)


def new_job(
    account: str,
    operation: BoundOperation,
    params: JsonObject,
    *,
    unique_key: str | None = None,
    retry_of: int | None = None,
) -> NewJob:
    """A job whose parameters have been checked."""
    sharing = operation.sharing
    return NewJob(
        account,
        operation.name,
        params,
        operation.policy.deadline_s,
        unique_key,
        retry_of,
        None if sharing is None else sharing.key(params),
        0.0 if sharing is None else sharing.wait_s(params),
    )
