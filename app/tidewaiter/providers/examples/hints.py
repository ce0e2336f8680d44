"""What an author of a spec may have overlooked: each a sentence that begins with the key, and says what to write."""

from collections.abc import Iterator
from typing import Final

from tidewaiter.providers.checks.spec_lint import expand_like
from tidewaiter.providers.checks.spec_traps import SpecPlace, expressions_in, places_of
from tidewaiter.providers.examples.spec_examples import run_examples
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.replies.wait_times import ignored_texts
from tidewaiter.providers.spec.request_spec import ConditionsSpec
from tidewaiter.providers.values.jmespath_expressions import Find, watched
from tidewaiter.providers.values.texts import as_note
from tidewaiter.toml_file import parse

_CONDITIONS: Final = ("last", "where")


def hints_of(provider: Provider) -> list[str]:
    """The sentences, in the order of the checks; none of them makes a spec unusable."""
    unfound = [f"{key} finds nothing in any example: is it what the API sends?" for key in never_true(provider)]
    return [*unfound, *_ignored_waits(provider), *_starts_without_done(provider)]


def _ignored_waits(provider: Provider) -> Iterator[str]:
    with ignored_texts() as texts:
        run_examples(provider)
    for text in dict.fromkeys(texts):
        yield f'retry_after finds {as_note(text)!r}, which is ignored: it is a text with a duration, add unit = "text"'


def _starts_without_done(provider: Provider) -> Iterator[str]:
    """Starts that may not be repeated, and whose rules do not know the reply of an API that has started already."""
    for name, operation in provider.spec.operations.items():
        for number, start in enumerate(operation.start):
            effects = {effect for rule in start.rules for effect in (rule.then, *rule.words.values())}
            if not start.repeatable and "done" not in effects:
                yield (
                    f"operations.{name}.start[{number}] is not repeatable, and no rule says done: if a person sends it "
                    "a second time, a reply such as 409 fails the job; add a rule for the reply that says that the "
                    'remote job runs already, with then = "done"'
                )


def never_true(provider: Provider) -> list[str]:
    """The keys of expressions that the examples evaluate, but never make true, or never let find a value.

    They are in the order of the spec; of the same text only the first.
    """
    with watched() as finds:
        run_examples(provider)
    found: dict[str, str] = {}
    is_shown = False
    for place in places_of(provider.spec, expand_like(parse(provider.source))):
        for key, source in expressions_in(place):
            finds_nothing = source in finds and finds[source] < _needed(place, key)
            if finds_nothing:
                found.setdefault(source, key)
            is_shown = is_shown or (_is_message(key) and source in finds and not finds_nothing)
    # An API words its errors in several ways, and a proxy before it in others: one of them in the examples is enough.
    return [key for key in found.values() if not (is_shown and _is_message(key))]


def _is_message(key: str) -> bool:
    """Whether a key is one of the places of an error's message."""
    return key.partition("[")[0] == "error"


def _needed(place: SpecPlace, key: str) -> Find:
    """What an expression must find to be shown: a condition the truth, everything else a value."""
    is_condition = isinstance(place.table, ConditionsSpec) or key.rpartition(".")[2] in _CONDITIONS
    return Find.TRUE if is_condition else Find.VALUE
