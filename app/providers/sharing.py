"""Shared answers: which jobs ask for the same thing, and how old an answer may be that they share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.job import Job
from app.domain.jsonvalue import Json
from app.providers.spec.provider import AnswersSpec


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the jobs of an operation share answers.

    A provider that renews its data every ``fresh_s`` seconds answers the same until then, so a job may take any answer
    that was asked for within so many seconds before it was made, or later. A job whose parameter ``newer`` is true
    wants nothing from before its own making: it waits ``fresh_s``, and takes only what was asked for after that.
    """

    fresh_s: float
    newer: str | None

    def key(self, params: Mapping[str, Json]) -> str:
        """The same for jobs of one operation that may share an answer."""
        asked = {name: value for name, value in params.items() if name != self.newer}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def wait_s(self, params: Mapping[str, Json]) -> float:
        """How long a new job waits before it asks."""
        return self.fresh_s if self._wants_newer(params) else 0.0

    def since(self, job: Job) -> float:
        """An answer serves the job if it was asked for at this epoch second or later."""
        return job.created_at + (self.fresh_s if self._wants_newer(job.params) else -self.fresh_s)

    def _wants_newer(self, params: Mapping[str, Json]) -> bool:
        return self.newer is not None and params.get(self.newer) is True


def sharing_of(spec: AnswersSpec | None) -> Sharing | None:
    """The compiled form of ``answers``; ``None`` where every job asks for itself."""
    return None if spec is None else Sharing(spec.fresh_s, spec.newer)
