"""Opens the secret parameters of a job for one step, and lets the log remove them from every text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tidewaiter.database.sealing import Seal
from tidewaiter.domain import outcome as o
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.secret_params import SecretParams
from tidewaiter.log import Redactor
from tidewaiter.worker.step_context import StepContext

_UNREADABLE: Final = (
    "the secret parameters cannot be decrypted: database.key_file lacks the key that encrypted them; "
    "add the key, or submit the job again with the values"
)


class SecretOpening:
    """Opens secret parameters.

    Args:
        seal: decrypts them.
        redactor: removes their values from texts from then on.
    """

    def __init__(self, seal: Seal, redactor: Redactor) -> None:
        self._seal = seal
        self._redactor = redactor

    @contextmanager
    def opened(self, step: StepContext) -> Iterator[o.Outcome | None]:
        """Give the step its secrets. If they cannot be decrypted, the outcome of a step that would send them.

        A download may take hours, while thousands of other jobs have secrets: those of the step stay known until the
        block ends.
        """
        job = step.job
        if not job.secrets:
            yield None
            return
        values = self._seal.secrets(job.secrets)
        if values is None:
            yield _without_secrets(job)
            return
        step.job = job.but(secrets=SecretParams(job.secrets.text, values))
        with self._redactor.holding(values.values()):
            yield None


def _without_secrets(job: Job) -> o.Outcome | None:
    if job.state is State.QUEUED:
        return o.Refused(_UNREADABLE)
    return o.Retry(_UNREADABLE) if job.state is State.STARTING else None
