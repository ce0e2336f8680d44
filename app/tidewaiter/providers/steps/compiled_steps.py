"""The compiled steps of an operation, and the search for the remote job of a submit with an unknown outcome.

The account's settings select the variants of a step once; the job's parameters select one of them for each job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self, TypeAlias, TypeVar

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.domain.stages import ONLY_SUBMIT, SUBMIT, Stages
from tidewaiter.providers.replies.extract import Pick, compile_pick
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_limits import WaitRules, compile_waits
from tidewaiter.providers.replies.reply_rules import Rules, expand
from tidewaiter.providers.replies.xml_replies import XmlForm, xml_form
from tidewaiter.providers.requests.request_building import HANDLE, Build, compile_request, kept_url
from tidewaiter.providers.results.result_files import Results, compile_results
from tidewaiter.providers.spec.field_types import SpecVariant
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.results_spec import ResultsSpec
from tidewaiter.providers.spec.step_specs import (
    AdoptSpec,
    CancelSpec,
    PollSpec,
    ProgressSpec,
    ReuseSpec,
    SubmitSpec,
)
from tidewaiter.providers.steps.kept_values import NOTHING_KEPT, KeptValues, compile_keep
from tidewaiter.providers.steps.remote_job_search import Adopt, Reuse, compile_adopt, compile_reuse
from tidewaiter.providers.steps.stage_steps import StageSteps, compile_stages
from tidewaiter.providers.steps.step_variants import StepVariants, variants_for
from tidewaiter.providers.values.addresses import url_fault
from tidewaiter.providers.values.jmespath_expressions import compile_expression, is_true
from tidewaiter.providers.values.template import always, compile_text, names_callback
from tidewaiter.providers.values.texts import as_handle, as_url, as_word

V = TypeVar("V", bound=SpecVariant)
S = TypeVar("S")

ReadHandle: TypeAlias = Callable[[Reading], str | None]
HandleFrom: TypeAlias = Callable[[Job], str | None]
"""Makes the handle of a job from its parameters and kept values; ``None`` if one is missing or it is no handle."""
ReadProgress: TypeAlias = Callable[[Reading], str | None]

_DONE_ALREADY = (404, 410)


@dataclass(frozen=True, slots=True)
class SubmitStep:
    """How a remote job is made, and how the reply is read.

    ``handle_fault`` reads why a value cannot be a handle; ``None`` if there is no value. ``repeatable`` is ``None`` if
    that of the operation applies. ``handle_from`` makes the handle if it is not in the reply.
    """

    build: Build
    rules: Rules
    handle: ReadHandle
    handle_fault: ReadHandle
    names_callback: bool
    repeatable: bool | None
    xml: XmlForm | None
    keep: KeptValues = NOTHING_KEPT
    handle_from: HandleFrom | None = None


@dataclass(frozen=True, slots=True)
class PollStep:
    """How a remote job is polled, and how the reply is read."""

    build: Build
    rules: Rules
    handle: ReadHandle
    progress: ReadProgress
    waits: WaitRules
    xml: XmlForm | None
    keep: KeptValues = NOTHING_KEPT


@dataclass(frozen=True, slots=True)
class RemoteJobEndStep:
    """How a remote job is stopped or deleted.

    If no rule matches a reply, the status codes of ``done`` say that it has ended.
    """

    build: Build
    rules: Rules
    done: frozenset[int]
    xml: XmlForm | None


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps of an operation, for one account."""

    submit: StepVariants[SubmitStep]
    adopt: StepVariants[Adopt]
    reuse: StepVariants[Reuse]
    poll: StepVariants[PollStep]
    results: StepVariants[Results]
    cancel: StepVariants[RemoteJobEndStep]
    cleanup: StepVariants[RemoteJobEndStep]
    before: StageSteps = field(default_factory=dict)
    start: StageSteps = field(default_factory=dict)
    kept_with_link: StepVariants[KeptValues] = field(default_factory=lambda: StepVariants((), {}))

    def stages(self) -> Stages:
        """The requests that make and start a remote job, in order, and which of them a job needs."""
        return Stages((*self.before, SUBMIT, *self.start), self._needs) if self.before or self.start else ONLY_SUBMIT

    def reusing(self, within_s: float | None) -> Self:
        """The steps with another age up to which a remote job is reused; ``None`` leaves the spec's."""
        if within_s is None:
            return self
        variants = tuple((when, key, replace(one, within_s=within_s)) for when, key, one in self.reuse.variants)
        return replace(self, reuse=replace(self.reuse, variants=variants if within_s else ()))

    def _needs(self, job: Job, stage: str) -> bool:
        steps = self.before.get(stage) or self.start.get(stage)
        return steps is None or steps.of(job) is not None


def compile_steps(
    spec: OperationSpec, base_url: str, settings: Mapping[str, Json], key: str, reply: ReplySpec | None = None
) -> Steps:
    """The steps of an operation under an account with these settings.

    Args:
        spec: the operation.
        base_url: the base of URLs that begin with ``/``.
        settings: the account's values.
        key: the place of the operation in the spec.
        reply: how replies are read, unless the operation or a step says otherwise.
    """
    reply = spec.reply or reply
    defaults = {name: one.default for name, one in spec.params.items() if one.default is not None}
    handle_is_url = any(url.startswith(HANDLE) for url in urls_of(spec))
    kept_urls = frozenset(name for name in map(kept_url, urls_of(spec)) if name is not None)
    keeping = partial(compile_keep, urls=kept_urls, base_url=base_url)

    def submit(one: SubmitSpec, at: str) -> SubmitStep:
        build = compile_request(one, base_url, settings, fresh=True)
        handle = _compile_handle(compile_pick(one.handle), base_url, is_url=handle_is_url)
        fault = _compile_handle_fault(compile_pick(one.handle), base_url, is_url=handle_is_url)
        rules = Rules(one.rules, f"{at}.rules")
        made = _compile_handle_from(one.handle_from, base_url, settings, is_url=handle_is_url)
        keep, xml = keeping(one.keep), xml_form(one.reply, reply)
        return SubmitStep(build, rules, handle, fault, _names_callback(one), one.repeatable, xml, keep, made)

    def poll(one: PollSpec, at: str) -> PollStep:
        return PollStep(
            compile_request(one, base_url, settings),
            Rules(one.rules, f"{at}.rules"),
            _compile_handle(compile_pick(one.handle), base_url, is_url=handle_is_url),
            _compile_progress(one.progress),
            compile_waits(one.retry_after),
            xml_form(one.reply, reply),
            keeping(one.keep),
        )

    def ending(one: CancelSpec, at: str) -> RemoteJobEndStep:
        done = expand(("2xx", *_DONE_ALREADY, *one.done))
        rules = Rules(one.rules, f"{at}.rules")
        return RemoteJobEndStep(compile_request(one, base_url, settings), rules, done, xml_form(one.reply, reply))

    def results(one: ResultsSpec, at: str) -> Results:
        return compile_results(one, base_url, settings, at, reply)

    def kept_with_link(one: ResultsSpec, _at: str) -> KeptValues:
        return NOTHING_KEPT if one.resolve is None else keeping(one.resolve.keep)

    as_name = as_url if handle_is_url else lambda value, _base: as_handle(value)

    def adopt(one: AdoptSpec, at: str) -> Adopt:
        return compile_adopt(one, base_url, settings, at, as_name, reply=reply)

    def reuse(one: ReuseSpec, at: str) -> Reuse:
        return compile_reuse(one, base_url, settings, at, as_name, reply=reply)

    def choose(specs: Sequence[V], step: str, compile_one: Callable[[V, str], S]) -> StepVariants[S]:
        found = variants_for(specs, settings, f"{key}.{step}")
        return StepVariants(tuple((when, at, compile_one(one, at)) for when, at, one in found), defaults)

    return Steps(
        submit=choose(spec.submit, "submit", submit),
        adopt=choose(spec.adopt, "adopt", adopt),
        reuse=choose(spec.reuse, "reuse", reuse),
        poll=choose(spec.poll, "poll", poll),
        results=choose(spec.results, "results", results),
        kept_with_link=choose(spec.results, "results", kept_with_link),
        cancel=choose(spec.cancel, "cancel", ending),
        cleanup=choose(spec.cleanup, "cleanup", ending),
        before=compile_stages(spec.before, base_url, settings, f"{key}.before", defaults, keeping=keeping, reply=reply),
        start=compile_stages(spec.start, base_url, settings, f"{key}.start", defaults, keeping=keeping, reply=reply),
    )


def urls_of(spec: OperationSpec) -> Iterator[str]:
    """The templates of all URLs of an operation."""
    searches = (*spec.adopt, *spec.reuse)
    for request in (*spec.before, *spec.submit, *searches, *spec.start, *spec.poll, *spec.cancel, *spec.cleanup):
        yield request.url
    for results in spec.results:
        asked = (results.resolve, results.pages, results.download, *(files.download for files in results.files))
        yield from (one.url for one in results.lists)
        yield from (url for url in (results.url, *(one and one.url for one in asked)) if url)


def _compile_handle(pick: Pick, base_url: str, *, is_url: bool) -> ReadHandle:
    """Reads a handle. A URL is made absolute at once, while its base is known."""
    if not is_url:
        return lambda reading: as_handle(pick(reading))
    return lambda reading: as_url(pick(reading), reading.url or f"{base_url}/")


def _compile_handle_from(
    template: str | None, base_url: str, settings: Mapping[str, Json], *, is_url: bool
) -> HandleFrom | None:
    """Makes a handle from a template."""
    if template is None:
        return None
    render = always(compile_text(template, settings))
    if is_url:
        return lambda job: as_url(render(job, None), f"{base_url}/")
    return lambda job: as_handle(render(job, None))


def _compile_handle_fault(pick: Pick, base_url: str, *, is_url: bool) -> ReadHandle:
    def fault(reading: Reading) -> str | None:
        value = pick(reading)
        if value is None or not is_true(value):
            return None
        if is_url and isinstance(value, str):
            why = url_fault(reading.url or f"{base_url}/", value)
            return None if why is None else f"a URL that cannot be used, {why}"
        return None if as_handle(value) is not None else "a value that cannot be a handle"

    return fault


def _names_callback(spec: SubmitSpec) -> bool:
    return any(map(names_callback, spec.templates()))


def _compile_progress(spec: ProgressSpec | None) -> ReadProgress:
    if spec is None:
        return lambda _reading: None
    if spec.done is None or spec.total is None:
        pick = compile_pick((spec,))
        return lambda reading: as_word(pick(reading))
    done_of, total_of = compile_expression(spec.done), compile_expression(spec.total)

    def ratio(reading: Reading) -> str | None:
        document = reading.document()
        done, total = as_word(done_of(document)), as_word(total_of(document))
        return None if done is None else done if total is None else f"{done}/{total}"

    return ratio
