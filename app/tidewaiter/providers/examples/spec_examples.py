"""Examples: recorded exchanges inside a spec, run against the spec itself."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl

from tidewaiter.domain.http_values import HeaderFields, Json, Link, WireReply, WireRequest
from tidewaiter.domain.job import Job, State
from tidewaiter.domain.multipart import FileSource, Part
from tidewaiter.domain.outcome import Refused
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.credentials.login_replies import SignedSession, Token
from tidewaiter.providers.credentials.signed_tokens import claims_of
from tidewaiter.providers.errors import ParameterError, SettingsError, UnsendableError
from tidewaiter.providers.examples.example_comparison import compare, difference, signature_key, signature_problems
from tidewaiter.providers.examples.example_coverage import keys_hit, keys_of
from tidewaiter.providers.examples.list_examples import ListPage, listing_of, page_of, read_list
from tidewaiter.providers.provider import BoundAccount, Probe, Provider
from tidewaiter.providers.results.download_replies import DownloadRequest, FileBody
from tidewaiter.providers.results.listed_files import with_item
from tidewaiter.providers.results.page_joining import Csv, CsvPage
from tidewaiter.providers.results.paged_lists import ListedItems, PageReader
from tidewaiter.providers.spec.provider_spec import Example, ExampleRequest
from tidewaiter.providers.spec.value_spec import ValueSpec
from tidewaiter.providers.steps.remote_job_search import Matches, RemoteJobSearch, ReuseSearch

_NOW = 1_700_000_000.0
_NONCE = "example-nonce"
_PARTIAL = ("reason", "excerpt")
_STATES = {
    "before": State.QUEUED,
    "submit": State.SUBMITTING,
    "adopt": State.RECONCILING,
    "reuse": State.QUEUED,
    "start": State.SUBMITTING,
}


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """The result of one example. ``problems`` are differences, each with the expected and the actual value."""

    key: str
    name: str
    problems: tuple[str, ...]
    hit: frozenset[str]
    """The keys of the rules, words and steps of the spec that it used."""

    @property
    def ok(self) -> bool:
        """Whether there is no difference."""
        return not self.problems

    def __str__(self) -> str:
        if self.ok:
            return f"{self.key} ({self.name}): as expected"
        return "\n".join((f"{self.key} ({self.name}):", *self.problems))


def run_examples(provider: Provider) -> list[ExampleResult]:
    """Run every example of a spec: the request that it builds, and the outcome of its reply.

    The account's settings and the job's parameters are those of the example, else the ``example`` values of the spec.
    Times in seconds are compared as numbers; the clock of an example is fixed.
    """
    return [_run(provider, example, f"examples[{number}]") for number, example in enumerate(provider.spec.examples)]


def uncovered_rules(provider: Provider) -> list[str]:
    """The keys of the spec's rules, words and steps that no example uses, in the order of the spec."""
    hit = frozenset().union(*(result.hit for result in run_examples(provider)))
    return [key for key in keys_of(provider.spec) if key not in hit]


def _run(provider: Provider, example: Example, key: str) -> ExampleResult:
    try:
        account = _bind(provider, example)
        if example.operation is None:
            return _run_account(account, example, key)
        operation = account.operations[example.operation]
        job = _job(provider, operation, example)
        problems = [*_request_problems(account, operation, job, example), *_outcome_problems(operation, job, example)]
    except (SettingsError, ParameterError, UnsendableError) as error:
        return ExampleResult(key, example.name, (_indented(str(error)),), frozenset())
    reply = None if example.reply is None else _reply(example)
    hit = frozenset(keys_hit(operation.steps, example.step, job, reply, example.list))
    if example.request is not None:
        hit |= signature_key(account, example.request, _build(operation, job, example))
    return ExampleResult(key, example.name, tuple(problems), hit)


def _bind(provider: Provider, example: Example) -> BoundAccount:
    settings = {**_example_values(provider.spec.account), **example.account}
    return provider.bind("example", settings)


def _run_account(account: BoundAccount, example: Example, key: str) -> ExampleResult:
    """An exchange that belongs to no job: a login, a reply with or without a valid token, or a probe."""
    if example.step == "renew":
        return _run_renew(account, example, key)
    exchange = account.auth.session if example.step == "login" else account.probe
    if isinstance(exchange, SignedSession):
        return _run_signing(exchange, example, key)
    if exchange is None:
        return ExampleResult(key, example.name, (f"  this account has no {example.step}",), frozenset())
    problems: list[str] = []
    built = exchange.request if isinstance(exchange, Probe) else exchange.login(_NOW, _NONCE)
    if example.request is not None:
        problems += _request_differences(account, built, example.request, example)
    if example.claims:
        problems += _claim_differences(example, _signed_in(built))
    reply = None if example.reply is None else _reply(example)
    if example.outcome is not None and reply is not None:
        read = exchange.read if isinstance(exchange, Probe) else exchange.read_login
        problems += _outcome_differences(example.outcome, read(reply, _NOW))
    hit = frozenset(exchange.keys_hit(reply)) | signature_key(account, example.request, built)
    return ExampleResult(key, example.name, tuple(problems), hit)


def _run_signing(session: SignedSession, example: Example, key: str) -> ExampleResult:
    """The claims of a token that the account signs itself, which no login is sent for."""
    problems = [*_claim_differences(example, session.token(_NOW, _NONCE).value)]
    if example.request is not None or example.reply is not None:
        problems.append("  this account signs its token itself, so there is no login: compare only its claims")
    return ExampleResult(key, example.name, tuple(problems), frozenset({session.key}))


def _claim_differences(example: Example, token: str | None) -> Iterator[str]:
    if token is None:
        yield "  this login has no signed token, so there are no claims"
        return
    claims = claims_of(token)
    for name, value in example.claims.items():
        yield from compare(f"claims.{name}", value, claims.get(name))


def _signed_in(login: WireRequest) -> str | None:
    """The token in the form of a login."""
    sent = dict(parse_qsl((login.body or b"").decode()))
    return next((sent[name] for name in ("assertion", "client_assertion") if name in sent), None)


@dataclass(frozen=True, slots=True)
class Renew:
    """A reply that says that the token is not valid any more."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A reply that does not concern the token."""


def _run_renew(account: BoundAccount, example: Example, key: str) -> ExampleResult:
    session, reply = account.auth.session, _reply(example)
    if session is None:
        return ExampleResult(key, example.name, ("  this account has no login",), frozenset())
    # Only replies from the provider's own origin count; an example may leave the URL out.
    found = session.renew_rule_of(replace(reply, url=reply.url or account.base_url))
    problems = _outcome_differences(example.outcome or {}, Keep() if found is None else Renew())
    return ExampleResult(key, example.name, tuple(problems), frozenset(filter(None, [found])))


def _example_values(specs: Mapping[str, ValueSpec]) -> dict[str, Json]:
    return {name: spec.example for name, spec in specs.items() if spec.example is not None}


def _job(provider: Provider, operation: BoundOperation, example: Example) -> Job:
    given = {**_example_values(provider.spec.operations[operation.name].params), **example.params}
    return with_item(_plain_job(operation, example, given), example.item)


def _plain_job(operation: BoundOperation, example: Example, params: Mapping[str, Json]) -> Job:
    return Job(
        id=1,
        lane=0,
        account="example",
        operation=operation.name,
        params=operation.check_params(params),
        state=_STATES.get(example.step, State.POLLING),
        version=1,
        due_at=_NOW,
        created_at=_NOW,
        deadline_at=_NOW,
        intent_key="example-intent",
        handle=example.handle,
        kept=dict(example.kept),
        stage=example.stage,
    )


def _request_problems(account: BoundAccount, operation: BoundOperation, job: Job, example: Example) -> Iterator[str]:
    if example.request is None:
        return
    built = _build(operation, job, example)
    if built is None:
        yield difference("request", example.request.url, "no request")
        return
    yield from _request_differences(account, built, example.request, example)


def _request_differences(
    account: BoundAccount, built: WireRequest, expected: ExampleRequest, example: Example
) -> Iterator[str]:
    completed = _completed(account, built, example)
    yield from _differences(expected, completed)
    yield from signature_problems(account, expected, completed)


def _completed(account: BoundAccount, request: WireRequest, example: Example) -> WireRequest:
    """A request with the values of a login, if the example has some."""
    session = account.auth.session
    return session.completed(request, Token("", _NOW, _NOW, example.login)) if session and example.login else request


def _differences(expected: ExampleRequest, built: WireRequest) -> Iterator[str]:
    if expected.method is not None:
        yield from compare("request.method", expected.method, built.method)
    yield from compare("request.url", expected.url, built.url)
    sent = {name.lower(): value for name, value in built.headers.items()}
    for name, value in expected.headers.items():
        yield from compare(f"request.headers.{name}", value, sent.get(name.lower()))
    yield from _body_problems(expected, built)


def _body_problems(expected: ExampleRequest, built: WireRequest) -> Iterator[str]:
    text = (built.body or b"").decode()
    if expected.body is not None:
        yield from compare("request.json", expected.body, json.loads(text) if text else None)
    sent = dict(parse_qsl(text, keep_blank_values=True)) if expected.form else {}
    for name, value in expected.form.items():
        yield from compare(f"request.form.{name}", value, sent.get(name))
    parts = {} if built.multipart is None else {part.name: _shown_part(part) for part in built.multipart.parts}
    for name, value in expected.multipart.items():
        yield from compare(f"request.multipart.{name}", value, parts.get(name))
    if expected.text is not None:
        yield from compare("request.text", expected.text, text)


def _shown_part(part: Part) -> str:
    """The text of a part, or the path or job of its file, which is not read here."""
    return part.content.name if isinstance(part.content, FileSource) else part.content.decode()


_BUILD: Mapping[str, Callable[[BoundOperation, Job], WireRequest | None]] = {
    "before": lambda operation, job: operation.before(job),
    "start": lambda operation, job: operation.start(job),
    "poll": lambda operation, job: operation.poll(job),
    "resolve": lambda operation, job: operation.resolve(job),
    "cancel": lambda operation, job: operation.cancel(job),
    "cleanup": lambda operation, job: operation.clean(job),
}
_READ: Mapping[str, Callable[[BoundOperation, Job, WireReply], object]] = {
    "before": lambda operation, job, reply: operation.read_before(job, reply, _NOW),
    "submit": lambda operation, job, reply: operation.read_submit(job, reply, _NOW),
    "start": lambda operation, job, reply: operation.read_start(job, reply, _NOW),
    "poll": lambda operation, job, reply: operation.read_poll(job, reply, _NOW),
    "resolve": lambda operation, job, reply: operation.read_resolve(job, reply, _NOW),
    "cancel": lambda operation, job, reply: operation.read_cancel(job, reply, _NOW),
    "cleanup": lambda operation, job, reply: operation.read_clean(job, reply, _NOW),
}


def _build(operation: BoundOperation, job: Job, example: Example) -> WireRequest | None:
    if example.step in _BUILD:
        return _BUILD[example.step](operation, job)
    match example.step:
        case "submit":
            return operation.submit(job, example.callback_url)
        case "adopt" | "reuse" | "page" | "list":
            return _paged_request(operation, job, example)
        case "file":
            links = operation.links(job)
            return links[0].request({}).with_headers(operation.file_headers(job)) if links else None
        case _:
            raise UnsendableError(f"the step {example.step} belongs to no operation")


def _outcome_problems(operation: BoundOperation, job: Job, example: Example) -> Iterator[str]:
    if example.outcome is not None:
        yield from _outcome_differences(example.outcome, _read(operation, job, example))


def _outcome_differences(outcome: Mapping[str, Json], got: object) -> Iterator[str]:
    expected = dict(outcome)
    kind = expected.pop("is", None)
    yield from compare("outcome.is", kind, _kind_of(got))
    if kind != _kind_of(got):
        yield f"    actual outcome: {got}"
        return
    members = _members_of(got)
    for name, value in expected.items():
        if name not in members:
            yield difference(f"outcome.{name}", value, f"nothing: {kind} has {', '.join(members) or 'no fields'}")
        elif name in _PARTIAL:
            if str(value) not in str(members[name]):
                yield difference(f"outcome.{name}", f"… {value} …", members[name])
        elif not _agrees(value, members[name]):
            yield difference(f"outcome.{name}", value, members[name])


def _read(operation: BoundOperation, job: Job, example: Example) -> object:
    reply = _reply(example)
    if example.step in _READ:
        return _READ[example.step](operation, job, reply)
    match example.step:
        case "adopt" | "reuse" | "page" | "list":
            return _read_page(operation, job, example, reply)
        case "file":
            link = Link(example.link.url, send_auth=example.link.send_auth) if example.link else Link("")
            read = operation.read_download(job, link, DownloadRequest(), reply, now=_NOW, largest_bytes=sys.maxsize)
            return None if isinstance(read, FileBody) else read
        case _:
            raise UnsendableError(f"the step {example.step} belongs to no operation")


def _paged_request(operation: BoundOperation, job: Job, example: Example) -> WireRequest | None:
    if example.step == "list":
        return listing_of(operation, job, example).request(job, example.list - 1, page_of(example))
    pages = _pages(operation, job, example)
    return None if pages is None else pages.request(job, page_of(example))


def _read_page(operation: BoundOperation, job: Job, example: Example, reply: WireReply) -> object:
    if example.step == "list":
        return read_list(operation, job, example, reply, _NOW)
    pages = _pages(operation, job, example)
    if isinstance(pages, PageReader) and pages.csv:
        return _csv_page(pages, job, example, reply)
    return None if pages is None else pages.read(job, page_of(example), reply, _NOW)


def _pages(operation: BoundOperation, job: Job, example: Example) -> PageReader | RemoteJobSearch | ReuseSearch | None:
    if example.step == "reuse":
        return operation.reuse(job, _NOW)
    return operation.adoption(job) if example.step == "adopt" else operation.pages(job)


def _csv_page(pages: PageReader, job: Job, example: Example, reply: WireReply) -> object:
    without_page = pages.read_without_page(job, reply, _NOW)
    if without_page is not None:
        return without_page
    page = CsvPage(Csv())
    page.feed(reply.body)
    _, read = page.end()
    after = pages.after(job, page_of(example), reply, read.records)
    return after if isinstance(after, Refused) else ListedItems((None,) * read.records, after)


def _reply(example: Example) -> WireReply:
    recorded = example.reply
    if recorded is None:
        return WireReply(0)
    text = recorded.text or "" if recorded.body is None else json.dumps(recorded.body)
    headers = {name: (value,) if isinstance(value, str) else value for name, value in recorded.headers.items()}
    return WireReply(recorded.status, HeaderFields(headers), text.encode(), recorded.url)


def _kind_of(got: object) -> str:
    if got is None:
        return "File"
    if isinstance(got, ListedItems | ListPage):
        return "Page"
    return "Links" if isinstance(got, tuple) else type(got).__name__


def _members_of(got: Any) -> dict[str, object]:
    if got is None:
        return {}
    if isinstance(got, tuple):
        return {"links": _links(got)}
    if isinstance(got, ListPage):
        return {**_members_of(got.listed), **({} if got.links is None else {"links": _links(got.links)})}
    if isinstance(got, ListedItems | Matches):
        found = {"items": len(got.items)} if isinstance(got, ListedItems) else {"handles": list(got.handles)}
        return {**found, "next": got.after and got.after.next, "last": got.after is None}
    members = {field.name: getattr(got, field.name) for field in fields(got)}
    return members | ({"links": _links(members["links"])} if "links" in members else {})


def _links(links: Iterable[Link]) -> Sequence[Mapping[str, object]]:
    every = (
        {**asdict(link), "headers": dict(link.headers), "named_headers": dict(link.named_headers)} for link in links
    )
    return [{name: value for name, value in one.items() if value is not None} for one in every]


def _agrees(expected: object, got: object) -> bool:
    """Whether a field of an outcome is as expected; only the named members of a link are compared."""
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(_agrees, expected, got))
    if isinstance(expected, dict) and isinstance(got, dict):
        return all(name in got and got[name] == value for name, value in expected.items())
    return expected == got


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
