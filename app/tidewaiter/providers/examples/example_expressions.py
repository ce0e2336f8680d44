"""The JMESPath expressions of a spec that its examples evaluate, but never make true, or never let find a value."""

from typing import Final

from tidewaiter.providers.checks.spec_lint import expand_like
from tidewaiter.providers.checks.spec_traps import SpecPlace, expressions_in, places_of
from tidewaiter.providers.examples.spec_examples import run_examples
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.spec.request_spec import ConditionsSpec
from tidewaiter.providers.values.jmespath_expressions import Find, watched
from tidewaiter.toml_file import parse

_CONDITIONS: Final = ("last", "where")


def never_true(provider: Provider) -> list[str]:
    """The keys of these expressions, in the order of the spec; of the same text only the first."""
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
