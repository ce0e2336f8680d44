"""The secrets of a step are known to the log for as long as the step runs."""

from typing import Any

import pytest

from tidewaiter.database.sealing import Seal
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.secret_params import SecretParams
from tidewaiter.log import REDACTED, Redactor
from tidewaiter.worker.secret_opening import SecretOpening
from tidewaiter.worker.step_context import StepContext

_UNUSED: Any = None


@pytest.mark.slow
def test_other_jobs_do_not_push_out_the_secret_of_a_long_step() -> None:
    """A download may take hours; meanwhile thousands of callbacks and of other secrets come and go."""
    redactor = Redactor()
    secrets = SecretParams('{"password": "canary-secret-42"}')
    job = Job(7, 1, "shop", "report", {"password": "***"}, State.FETCHING, 3, 1.0, 1.0, 9.0, secrets=secrets)
    step = StepContext(job, _UNUSED, _UNUSED, _UNUSED)
    with SecretOpening(Seal(), redactor).opened(step) as unreadable:
        assert unreadable is None
        assert dict(step.job.secrets.values) == {"password": "canary-secret-42"}
        for number in range(4100):
            redactor.add_recent(f"{number:08d}-callback")
        assert redactor.clean("HTTP 403: canary-secret-42") == f"HTTP 403: {REDACTED}"
    assert redactor.clean("HTTP 403: canary-secret-42") == f"HTTP 403: {REDACTED}"
