"""A harmless request that tests a key where the spec has no probe: the status of a job that does not exist."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tidewaiter.domain.http_values import WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.replies.reply_defaults import Polled
from tidewaiter.providers.requests.request_building import HANDLE, NO_JOB

_MADE_UP: Final = "0"
_READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class KeyTest:
    """The status request of an operation, for a made-up handle. It makes nothing and costs one request.

    ``where`` is its method, and its URL as the spec has it.
    """

    operation: str
    where: str
    request: WireRequest = field(repr=False)
    _bound: BoundOperation = field(repr=False)
    _job: Job = field(repr=False)

    def read(self, reply: WireReply, now: float) -> Polled:
        """What the reply would mean for a job of the operation; ``now`` is epoch seconds."""
        return self._bound.read_poll(self._job, reply, now)


def key_test_of(account: BoundAccount) -> KeyTest | None:
    """The test of an account's key by its first operation with a suitable request; ``None`` if there is none.

    Only GET and HEAD are suitable, and no address that the provider has to name: a submit is never sent.
    """
    return next(_key_tests(account), None)


def _key_tests(account: BoundAccount) -> Iterator[KeyTest]:
    for name, bound in account.operations.items():
        spec = account.provider.spec.operations[name]
        if not spec.poll or any(one.url.startswith(HANDLE) for one in spec.poll):
            continue
        params = {key: one.default for key, one in spec.params.items() if one.default is not None}
        job = replace(NO_JOB, account=account.name, operation=name, params=params, handle=_MADE_UP)
        try:
            request = bound.poll(job)
        except UnsendableError:
            continue
        if request.method in _READS:
            yield KeyTest(name, f"{request.method} {spec.poll[0].url}", request, bound, job)
