"""Coverage: the rules, words and steps of a spec, and those that an exchange uses."""

from collections.abc import Iterator, Sequence

from tidewaiter.domain.http_values import WireReply
from tidewaiter.domain.job import Job
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_rules import READY, Rules
from tidewaiter.providers.replies.xml_replies import XmlForm
from tidewaiter.providers.results.nested_lists import NestedLists
from tidewaiter.providers.results.result_files import JoinedPages, Results
from tidewaiter.providers.spec.all_auth_spec import parts_of
from tidewaiter.providers.spec.auth_spec import JwtAuth, OAuth2Auth, SessionAuth
from tidewaiter.providers.spec.list_spec import ListSpec
from tidewaiter.providers.spec.provider_spec import ProviderSpec
from tidewaiter.providers.spec.signing_spec import Aws4Auth, HmacAuth
from tidewaiter.providers.steps.compiled_steps import Steps

_NAMES_RESULTS = ("submit", "poll")


def keys_of(spec: ProviderSpec) -> Iterator[str]:
    """The keys of everything in a spec that an example should use: variants of steps, rules, words."""
    yield from _keys_of_auth(spec)
    if spec.probe is not None:
        yield "probe"
        yield from Rules(spec.probe.rules, "probe.rules").keys()
    for name, operation in spec.operations.items():
        for step in ("before", "submit", "adopt", "reuse", "start", "poll", "results", "cancel", "cleanup"):
            variants = getattr(operation, step)
            if operation.like is not None and variants == getattr(spec.operations[operation.like], step):
                continue  # the examples of that operation are enough
            for number, variant in enumerate(variants):
                at = f"operations.{name}.{step}" + (f"[{number}]" if len(variants) > 1 else "")
                yield at
                yield from Rules(getattr(variant, "rules", ()), f"{at}.rules").keys()
                if (pages := getattr(variant, "pages", None)) is not None:
                    yield from Rules(pages.rules, f"{at}.pages.rules").keys()
                yield from _keys_of_lists(getattr(variant, "lists", ()), f"{at}.lists")


def _keys_of_lists(lists: Sequence[ListSpec], key: str) -> Iterator[str]:
    for number, one in enumerate(lists):
        at = f"{key}[{number}]" if len(lists) > 1 else key
        yield at
        yield from Rules(one.rules, f"{at}.rules").keys()


def _keys_of_auth(spec: ProviderSpec) -> Iterator[str]:
    for number, variant in enumerate(spec.auth):
        for key, auth in parts_of(variant, f"auth[{number}]" if len(spec.auth) > 1 else "auth"):
            if isinstance(auth, HmacAuth | Aws4Auth):
                yield key
            if isinstance(auth, SessionAuth | OAuth2Auth | JwtAuth):
                yield f"{key}.claims" if isinstance(auth, JwtAuth) else f"{key}.login"
                yield from (f"{key}.renew[{n}]" for n in range(len(auth.renew)) if _is_documented(auth))
            if isinstance(auth, SessionAuth):
                yield from Rules(auth.login.rules, f"{key}.login.rules").keys()


def _is_documented(auth: SessionAuth | OAuth2Auth | JwtAuth) -> bool:
    """Whether the spec itself says which reply means that a token is not valid any more."""
    return "renew" in auth.model_fields_set


def keys_hit(steps: Steps, step: str, job: Job, reply: WireReply | None, number: int = 1) -> Iterator[str]:
    """The keys that a step of a job uses, with the rule that its reply matches; ``number`` is that of a list."""
    results_key, results = steps.results.with_key(job)
    if step == "list":
        yield results_key
    key, rules, xml = _list_rules(results, number) if step == "list" else _rules_of(steps, step, job)
    yield key
    verdict = None if rules is None or reply is None else rules.judge(Reading(reply, xml=xml))
    if verdict is None:
        return
    yield verdict.key
    if step in _NAMES_RESULTS and verdict.effect in READY and results is not None and results.in_ready_reply:
        yield results_key


def _list_rules(results: Results | None, number: int) -> tuple[str, Rules | None, XmlForm | None]:
    """The key of one of the lists that lead to the files, and the rules for its reply."""
    levels = results.source.levels if results is not None and isinstance(results.source, NestedLists) else ()
    one = levels[number - 1] if number <= len(levels) else None
    return ("", None, None) if one is None else (one.key, one.paged.rules, one.paged.xml)


def _rules_of(steps: Steps, step: str, job: Job) -> tuple[str, Rules | None, XmlForm | None]:
    """The key of the variant that a step of a job uses, the rules for its reply, and how XML is read."""
    if step in ("submit", "poll"):
        key, asked = (steps.submit if step == "submit" else steps.poll).with_key(job)
        return (key, None, None) if asked is None else (key, asked.rules, asked.xml)
    if step in ("cancel", "cleanup"):
        key, ending = (steps.cancel if step == "cancel" else steps.cleanup).with_key(job)
        return (key, None, None) if ending is None else (key, ending.rules, ending.xml)
    if step in ("before", "start"):
        stages = (steps.before if step == "before" else steps.start).get(job.stage or "")
        key, stage = ("", None) if stages is None else stages.with_key(job)
        return (key, None, None) if stage is None else (key, stage.rules, stage.xml)
    if step in ("adopt", "reuse"):
        key, search = (steps.adopt if step == "adopt" else steps.reuse).with_key(job)
        return (key, None, None) if search is None else (key, search.paged.rules, search.paged.xml)
    key, results = steps.results.with_key(job)
    if results is not None and step == "page":
        pages = results.source.pages if isinstance(results.source, JoinedPages) else None
        return (key, None, None) if pages is None else (key, pages.rules, pages.xml)
    return (key, None, None) if results is None else (key, results.rules, results.xml)
