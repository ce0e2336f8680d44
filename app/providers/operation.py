"""The compiled steps of an operation, chosen by account once and by a job's parameters each time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from app.domain.job import Job
from app.domain.jsonvalue import Json
from app.providers.adoption import Adopt, compile_adopt
from app.providers.extract import Pick, as_handle, as_url, as_word, compile_pick
from app.providers.faults import UnsendableError
from app.providers.jmes import compile_expression, is_true
from app.providers.reading import Reading
from app.providers.requests import HANDLE, Build, compile_request
from app.providers.results import Results, compile_results
from app.providers.rules import Rules, expand
from app.providers.spec.fields import PARAMS, Variant, holds
from app.providers.spec.provider import OperationSpec
from app.providers.spec.steps import AdoptSpec, CancelSpec, PollSpec, ProgressSpec, ResultsSpec, SubmitSpec
from app.providers.template import names_callback
from app.providers.urls import url_fault
from app.providers.waits import Waits, compile_waits

V = TypeVar("V", bound=Variant)
S = TypeVar("S")

ReadHandle: TypeAlias = Callable[[Reading], str | None]
ReadProgress: TypeAlias = Callable[[Reading], str | None]

_DONE_ALREADY = (404, 410)


@dataclass(frozen=True, slots=True)
class Choice(Generic[S]):
    """The variants of a step that an account has; a job's parameters choose among them.

    ``variants`` holds what the parameters must be, the key in the spec, and the compiled step. ``defaults`` stands in
    for parameters that the job does not have, because they came into the spec after it was made.
    """

    variants: tuple[tuple[Mapping[str, Json], str, S], ...]
    defaults: Mapping[str, Json]

    def of(self, job: Job) -> S | None:
        """The first variant that is meant for the job; ``None`` where there is none."""
        return self.with_key(job)[1]

    def with_key(self, job: Job) -> tuple[str, S | None]:
        """The same, after its key in the spec."""
        for conditions, key, step in self.variants:
            if not conditions or all(self._is(job, name, value) for name, value in conditions.items()):
                return key, step
        return "", None

    def needed(self, job: Job, step: str) -> S:
        """As :meth:`of`; raises ``UnsendableError`` where there is none, which names the step."""
        chosen = self.of(job)
        if chosen is None:
            raise UnsendableError(f"operation {job.operation!r} has no {step} for this job")
        return chosen

    def _is(self, job: Job, name: str, value: Json) -> bool:
        return (job.params[name] if name in job.params else self.defaults.get(name)) == value


@dataclass(frozen=True, slots=True)
class Submit:
    """How a remote job is made, and how the reply is read.

    ``handle_fault`` says what is wrong with what stands in the place of a handle; ``None`` where nothing stands there.
    ``repeatable`` is ``None`` where the operation's own word holds.
    """

    build: Build
    rules: Rules
    handle: ReadHandle
    handle_fault: ReadHandle
    names_callback: bool
    repeatable: bool | None


@dataclass(frozen=True, slots=True)
class Poll:
    """How a remote job is polled, and how the reply is read."""

    build: Build
    rules: Rules
    handle: ReadHandle
    progress: ReadProgress
    waits: Waits


@dataclass(frozen=True, slots=True)
class Ending:
    """How a remote job is stopped or deleted.

    Where no rule matches a reply, ``done`` are the status codes that say that it has ended.
    """

    build: Build
    rules: Rules
    done: frozenset[int]


@dataclass(frozen=True, slots=True)
class Steps:
    """All steps of an operation, for one account."""

    submit: Choice[Submit]
    adopt: Choice[Adopt]
    poll: Choice[Poll]
    results: Choice[Results]
    cancel: Choice[Ending]
    cleanup: Choice[Ending]


def compile_steps(spec: OperationSpec, base_url: str, settings: Mapping[str, Json], key: str) -> Steps:
    """The steps of an operation under an account with these settings; ``key`` is where it stands in the spec."""
    defaults = {name: one.default for name, one in spec.params.items() if one.default is not None}
    handle_is_url = any(url.startswith(HANDLE) for url in urls_of(spec))

    def submit(one: SubmitSpec, at: str) -> Submit:
        build = compile_request(one, base_url, settings, fresh=True)
        handle = _compile_handle(compile_pick(one.handle), base_url, is_url=handle_is_url)
        fault = _compile_handle_fault(compile_pick(one.handle), base_url, is_url=handle_is_url)
        rules = Rules(one.rules, f"{at}.rules")
        return Submit(build, rules, handle, fault, _names_callback(one), one.repeatable)

    def poll(one: PollSpec, at: str) -> Poll:
        return Poll(
            compile_request(one, base_url, settings),
            Rules(one.rules, f"{at}.rules"),
            _compile_handle(compile_pick(one.handle), base_url, is_url=handle_is_url),
            _compile_progress(one.progress),
            compile_waits(one.retry_after),
        )

    def ending(one: CancelSpec, at: str) -> Ending:
        done = expand(("2xx", *_DONE_ALREADY, *one.done))
        return Ending(compile_request(one, base_url, settings), Rules(one.rules, f"{at}.rules"), done)

    def results(one: ResultsSpec, at: str) -> Results:
        return compile_results(one, base_url, settings, at)

    def adopt(one: AdoptSpec, at: str) -> Adopt:
        as_name = as_url if handle_is_url else lambda value, _base: as_handle(value)
        return compile_adopt(one, base_url, settings, at, as_name)

    def choose(specs: Sequence[V], step: str, compile_one: Callable[[V, str], S]) -> Choice[S]:
        return Choice(tuple(_variants(specs, settings, f"{key}.{step}", compile_one)), defaults)

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
    """Reads a handle. One that is a URL is made absolute at once, while it is known what it is relative to."""
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
        return None if as_handle(value) is not None else "something that is no name of one"

    return fault


def _names_callback(spec: SubmitSpec) -> bool:
    return any(names_callback(texts) for texts in (spec.query, spec.headers, spec.body, spec.form))


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
