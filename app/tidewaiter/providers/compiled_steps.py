"""The compiled steps of an operation, and the search for the remote job of a submit with an unknown outcome.

The account's settings select the variants of a step once; the job's parameters select one of them for each job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import Job
from tidewaiter.providers.errors import UnsendableError
from tidewaiter.providers.extract import Pick, as_handle, as_url, as_word, compile_pick
from tidewaiter.providers.jmespath_expressions import compile_expression, is_true
from tidewaiter.providers.remote_job_search import Adopt, compile_adopt
from tidewaiter.providers.reply import Reading, url_fault
from tidewaiter.providers.reply_limits import WaitRules, compile_waits
from tidewaiter.providers.reply_rules import Rules, expand
from tidewaiter.providers.request_building import HANDLE, Build, compile_request
from tidewaiter.providers.result_files import Results, compile_results
from tidewaiter.providers.spec.field_types import PARAMS, SpecVariant, holds
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.providers.spec.reply_spec import ReplySpec
from tidewaiter.providers.spec.results_spec import ResultsSpec
from tidewaiter.providers.spec.step_specs import AdoptSpec, CancelSpec, PollSpec, ProgressSpec, SubmitSpec
from tidewaiter.providers.template import names_callback
from tidewaiter.providers.xml_replies import XmlForm, xml_form

# --- the search for a remote job --------------------------------------------------------------------------------------


# --- all steps --------------------------------------------------------------------------------------------------------


V = TypeVar("V", bound=SpecVariant)
S = TypeVar("S")

ReadHandle: TypeAlias = Callable[[Reading], str | None]
ReadProgress: TypeAlias = Callable[[Reading], str | None]

_DONE_ALREADY = (404, 410)


@dataclass(frozen=True, slots=True)
class StepVariants(Generic[S]):
    """The variants of a step that an account has; a job's parameters choose among them.

    ``variants`` has the conditions on the parameters, the key in the spec, and the compiled step. ``defaults`` are used
    for parameters that the job does not have, because they were added to the spec after it was made.
    """

    variants: tuple[tuple[Mapping[str, Json], str, S], ...]
    defaults: Mapping[str, Json]

    def of(self, job: Job) -> S | None:
        """The first variant whose conditions the job meets; ``None`` if there is none."""
        return self.with_key(job)[1]

    def with_key(self, job: Job) -> tuple[str, S | None]:
        """The key in the spec, and the variant."""
        for conditions, key, step in self.variants:
            if not conditions or all(self._is(job, name, value) for name, value in conditions.items()):
                return key, step
        return "", None

    def needed(self, job: Job, step: str) -> S:
        """As :meth:`of`; raises ``UnsendableError``, with the name of the step, if there is none."""
        chosen = self.of(job)
        if chosen is None:
            raise UnsendableError(f"operation {job.operation!r} has no {step} for this job")
        return chosen

    def _is(self, job: Job, name: str, value: Json) -> bool:
        return (job.params[name] if name in job.params else self.defaults.get(name)) == value


@dataclass(frozen=True, slots=True)
class SubmitStep:
    """How a remote job is made, and how the reply is read.

    ``handle_fault`` reads why a value cannot be a handle; ``None`` if there is no value. ``repeatable`` is ``None`` if
    that of the operation applies.
    """

    build: Build
    rules: Rules
    handle: ReadHandle
    handle_fault: ReadHandle
    names_callback: bool
    repeatable: bool | None
    xml: XmlForm | None


@dataclass(frozen=True, slots=True)
class PollStep:
    """How a remote job is polled, and how the reply is read."""

    build: Build
    rules: Rules
    handle: ReadHandle
    progress: ReadProgress
    waits: WaitRules
    xml: XmlForm | None


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
    poll: StepVariants[PollStep]
    results: StepVariants[Results]
    cancel: StepVariants[RemoteJobEndStep]
    cleanup: StepVariants[RemoteJobEndStep]


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

    def submit(one: SubmitSpec, at: str) -> SubmitStep:
        build = compile_request(one, base_url, settings, fresh=True)
        handle = _compile_handle(compile_pick(one.handle), base_url, is_url=handle_is_url)
        fault = _compile_handle_fault(compile_pick(one.handle), base_url, is_url=handle_is_url)
        rules = Rules(one.rules, f"{at}.rules")
        return SubmitStep(build, rules, handle, fault, _names_callback(one), one.repeatable, xml_form(one.reply, reply))

    def poll(one: PollSpec, at: str) -> PollStep:
        return PollStep(
            compile_request(one, base_url, settings),
            Rules(one.rules, f"{at}.rules"),
            _compile_handle(compile_pick(one.handle), base_url, is_url=handle_is_url),
            _compile_progress(one.progress),
            compile_waits(one.retry_after),
            xml_form(one.reply, reply),
        )

    def ending(one: CancelSpec, at: str) -> RemoteJobEndStep:
        done = expand(("2xx", *_DONE_ALREADY, *one.done))
        rules = Rules(one.rules, f"{at}.rules")
        return RemoteJobEndStep(compile_request(one, base_url, settings), rules, done, xml_form(one.reply, reply))

    def results(one: ResultsSpec, at: str) -> Results:
        return compile_results(one, base_url, settings, at, reply)

    def adopt(one: AdoptSpec, at: str) -> Adopt:
        as_name = as_url if handle_is_url else lambda value, _base: as_handle(value)
        return compile_adopt(one, base_url, settings, at, as_name, reply=reply)

    def choose(specs: Sequence[V], step: str, compile_one: Callable[[V, str], S]) -> StepVariants[S]:
        return StepVariants(tuple(_variants(specs, settings, f"{key}.{step}", compile_one)), defaults)

    return Steps(
        submit=choose(spec.submit, "submit", submit),
        adopt=choose(spec.adopt, "adopt", adopt),
        poll=choose(spec.poll, "poll", poll),
        results=choose(spec.results, "results", results),
        cancel=choose(spec.cancel, "cancel", ending),
        cleanup=choose(spec.cleanup, "cleanup", ending),
    )


def urls_of(spec: OperationSpec) -> Iterator[str]:
    """The templates of all URLs of an operation."""
    for request in (*spec.submit, *spec.adopt, *spec.poll, *spec.cancel, *spec.cleanup):
        yield request.url
    for results in spec.results:
        asked = (results.resolve, results.pages)
        yield from (url for url in (results.url, *(one and one.url for one in asked)) if url)


def _variants(
    specs: Sequence[V], settings: Mapping[str, Json], key: str, compile_one: Callable[[V, str], S]
) -> Iterator[tuple[Mapping[str, Json], str, S]]:
    for number, spec in enumerate(specs):
        if holds(spec.when, settings):
            at = f"{key}[{number}]" if len(specs) > 1 else key
            yield spec.when.get(PARAMS, {}), at, compile_one(spec, at)


def _compile_handle(pick: Pick, base_url: str, *, is_url: bool) -> ReadHandle:
    """Reads a handle. A URL is made absolute at once, while its base is known."""
    if not is_url:
        return lambda reading: as_handle(pick(reading))
    return lambda reading: as_url(pick(reading), reading.url or f"{base_url}/")


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
