"""Shared results: which jobs ask for the same thing, and how old a result may be that they share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.providers.spec.provider_spec import AnswersSpec


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the jobs of an operation share results.

    A provider that renews its data every ``fresh_s`` seconds gives the same result until then. So a job may use any
    result that was requested at most ``fresh_s`` seconds before the job was made, or later. A job whose parameter
    ``newer`` is true uses no older data: it waits ``fresh_s``, and uses only results that were requested after that.
    """

    fresh_s: float
    newer: str | None

    def key(self, params: Mapping[str, Json]) -> str:
        """A key that is the same for jobs of one operation that may share a result."""
        shared = {name: value for name, value in params.items() if name != self.newer}
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()

    def wait_s(self, params: Mapping[str, Json]) -> float:
        """How long a new job waits before its request."""
        return self.fresh_s if self._asks_for_newer(params) else 0.0

    def since(self, job: Job) -> float:
        """The job may use a result that was requested at this epoch second or later."""
        return job.created_at + (self.fresh_s if self._asks_for_newer(job.params) else -self.fresh_s)

    def _asks_for_newer(self, params: Mapping[str, Json]) -> bool:
        return self.newer is not None and params.get(self.newer) is True


def sharing_of(spec: AnswersSpec | None) -> Sharing | None:
    """The compiled form of ``answers``; ``None`` if jobs share nothing."""
    return None if spec is None else Sharing(spec.fresh_s, spec.newer)
