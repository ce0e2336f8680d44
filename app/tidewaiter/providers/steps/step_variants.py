"""The variants of a step: the account's settings select them once, and a job selects one of them.

A job selects by its parameters, by the values that it keeps of earlier replies, and by its handle.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.patterns import Pattern, compile_pattern
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.spec.field_types import HANDLE_IS, KEPT, PARAMS, SpecVariant, When, holds
from tidewaiter.providers.values.texts import as_text

S = TypeVar("S")
V = TypeVar("V", bound=SpecVariant)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a job must have: parameters, kept values as text, and a handle in which a pattern is found."""

    params: Mapping[str, Json] = field(default_factory=dict)
    kept: Mapping[str, str | None] = field(default_factory=dict)
    handle: Pattern | None = None

    @classmethod
    def of(cls, when: When) -> Self:
        """The conditions in a ``when`` that concern a job."""
        kept = {name: as_text(value) for name, value in when.get(KEPT, {}).items()}
        handle = when.get(HANDLE_IS)
        # A setting may have the same name; then the condition is on the account.
        pattern = compile_pattern(handle) if isinstance(handle, str) else None
        return cls(when.get(PARAMS, {}), kept, pattern)

    def met_by(self, job: Job, defaults: Mapping[str, Json]) -> bool:
        """Whether a job meets them; ``defaults`` are used for parameters that the job does not have."""
        for name, value in self.params.items():
            if (job.params[name] if name in job.params else defaults.get(name)) != value:
                return False
        if any(job.kept.get(name) != value for name, value in self.kept.items()):
            return False
        return self.handle is None or (job.handle is not None and self.handle.found_in(job.handle))


NO_CONDITIONS = Conditions()


@dataclass(frozen=True, slots=True)
class StepVariants(Generic[S]):
    """The variants of a step that an account has.

    ``variants`` has the conditions on the job, the key in the spec, and the compiled step. ``defaults`` are used for
    parameters that the job does not have, because they were added to the spec after it was made.
    """

    variants: tuple[tuple[Conditions, str, S], ...]
    defaults: Mapping[str, Json]

    def of(self, job: Job) -> S | None:
        """The first variant whose conditions the job meets; ``None`` if there is none."""
        for conditions, _, step in self.variants:
            if conditions is NO_CONDITIONS or conditions.met_by(job, self.defaults):
                return step
        return None

    def with_key(self, job: Job) -> tuple[str, S | None]:
        """The key in the spec, and the variant."""
        for conditions, key, step in self.variants:
            if conditions is NO_CONDITIONS or conditions.met_by(job, self.defaults):
                return key, step
        return "", None

    def needed(self, job: Job, step: str) -> S:
        """As :meth:`of`; raises ``UnsendableError``, with the name of the step, if there is none."""
        chosen = self.of(job)
        if chosen is None:
            raise UnsendableError(f"operation {job.operation!r} has no {step} for this job")
        return chosen


def variants_for(specs: Sequence[V], settings: Mapping[str, Json], key: str) -> Iterator[tuple[Conditions, str, V]]:
    """The variants that an account with these settings has: the conditions on the job, the key, and the table."""
    for number, spec in enumerate(specs):
        if holds(spec.when, settings):
            at = f"{key}[{number}]" if len(specs) > 1 else key
            conditions = Conditions.of(spec.when)
            yield NO_CONDITIONS if conditions == NO_CONDITIONS else conditions, at, spec
