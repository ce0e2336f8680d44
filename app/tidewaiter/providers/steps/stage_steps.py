"""The compiled requests before the submit, and those after it that start the remote job."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import (
    FailedForNow,
    Gone,
    NotYet,
    Refused,
    StepDone,
    Throttled,
    Unauthorized,
    Unknown,
    Unsent,
)
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.replies.reply_defaults import Trouble
from tidewaiter.providers.replies.reply_rules import Rules
from tidewaiter.providers.replies.xml_replies import XmlForm, xml_form
from tidewaiter.providers.requests.request_building import Build, compile_request
from tidewaiter.providers.spec.field_types import KeepSpec
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.stage_specs import BeforeSpec, StartSpec
from tidewaiter.providers.steps.kept_values import KeptValues
from tidewaiter.providers.steps.step_variants import StepVariants, variants_for

Prepared: TypeAlias = StepDone | NotYet | Trouble
"""The outcome of a request before the submit."""
Started: TypeAlias = StepDone | Gone | FailedForNow | Refused | Throttled | Unauthorized | Unsent | Unknown
"""The outcome of a request that starts the remote job."""

_KEY_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class StageStep:
    """A request before or after the submit; ``repeatable`` says whether a second one does no harm."""

    build: Build
    rules: Rules
    keep: KeptValues
    repeatable: bool
    xml: XmlForm | None = None


StageSteps: TypeAlias = Mapping[str, StepVariants[StageStep]]
"""The requests of one kind that an account has, by name, in their order; a job may need only some of them."""

Sp = TypeVar("Sp", BeforeSpec, StartSpec)


def compile_stages(
    specs: Sequence[Sp],
    base_url: str,
    settings: Mapping[str, Json],
    key: str,
    defaults: Mapping[str, Json],
    *,
    keeping: Callable[[Mapping[str, KeepSpec]], KeptValues],
    reply: ReplySpec | None = None,
) -> StageSteps:
    """The compiled form of ``before`` or ``start``, at ``key`` of the spec.

    Args:
        specs: the tables.
        base_url: the base of URLs that begin with ``/``.
        settings: the account's values.
        key: the place of the tables in the spec.
        defaults: of the parameters.
        keeping: compiles a ``keep`` table.
        reply: how replies are read, unless a step says otherwise.
    """

    def step(spec: BeforeSpec | StartSpec, at: str) -> StageStep:
        build = compile_request(spec, base_url, settings, fresh=isinstance(spec, StartSpec))
        repeatable = spec.repeatable if isinstance(spec, StartSpec) else True
        xml = xml_form(spec.reply, reply)
        return StageStep(build, Rules(spec.rules, f"{at}.rules"), keeping(spec.keep), repeatable, xml)

    found = variants_for(specs, settings, key)
    return {spec.name: StepVariants(((when, at, step(spec, at)),), defaults) for when, at, spec in found}


def needed_stage(steps: StageSteps, job: Job, stage: str) -> StageStep:
    """The request of a stage; raises ``UnsendableError`` if the spec does not have it for this job (any more)."""
    variants = steps.get(stage)
    if variants is None:
        raise UnsendableError(f"operation {job.operation!r} has no step {stage!r}, which this job has reached")
    return variants.needed(job, stage)


def with_own_key(job: Job, stage: str) -> Job:
    """The job with an intent key for one of its stages, which is the same for each repetition.

    Providers keep the key of a request together with its content, so two different requests need two keys.
    """
    if job.intent_key is None:
        return job
    return job.but(intent_key=hashlib.sha256(f"{job.intent_key}/{stage}".encode()).hexdigest()[:_KEY_LENGTH])
