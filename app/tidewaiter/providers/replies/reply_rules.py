"""Rules: an ordered list of conditions on a reply. The first rule that holds decides what the reply means."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tidewaiter.patterns import Pattern, compile_pattern
from tidewaiter.providers.replies.extract import Pick, compile_pick, header_values
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.spec.field_types import Codes
from tidewaiter.providers.spec.request_spec import ConditionsSpec, RuleSpec
from tidewaiter.providers.values.jmespath_expressions import compile_expression, is_true
from tidewaiter.providers.values.texts import as_text, as_word

Condition = Callable[[Reading], bool]

READY = frozenset({"ready", "partial"})
"""The effects that say that the results are ready; ``partial`` also sets the status."""

_CODES_PER_CLASS = 100


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What a reply means: the effect, the provider's word if a word decided, and the key of the rule.

    The word is unchanged and may contain secrets. ``effect`` is ``None`` for a word that no rule knows. ``reason`` is
    that of the rule. ``certain``: the rule names the exact status or examines the reply, not only a class of statuses.
    """

    effect: str | None
    word: str | None
    key: str
    reason: str | None = None
    certain: bool = False

    def reason_with(self, message: str) -> str:
        """The rule's reason, if it has one, and the message of the reply."""
        return message if self.reason is None else f"{self.reason}: {message}"


@dataclass(frozen=True, slots=True)
class _Rule:
    key: str
    codes: frozenset[int]
    named: frozenset[int]
    conditions: tuple[Condition, ...]
    then: str | None
    word: Pick | None
    words: Mapping[str, tuple[str, str]]
    reason: str | None

    def holds(self, reading: Reading) -> bool:
        return reading.status in self.codes and all(condition(reading) for condition in self.conditions)


class Rules:
    """The compiled rules of one step."""

    __slots__ = ("_rules",)

    def __init__(self, specs: Sequence[RuleSpec], key: str) -> None:
        self._rules = tuple(_compile(spec, f"{key}[{number}]") for number, spec in enumerate(specs))

    def judge(self, reading: Reading) -> RuleVerdict | None:
        """The verdict of the first rule that holds; ``None`` where none does.

        A rule whose word is not in its table does not hold. If no later rule holds either, the word is returned
        without an effect, so that it can be shown.
        """
        unknown = None
        for rule in self._rules:
            if not rule.holds(reading):
                continue
            if rule.word is None:
                certain = bool(rule.conditions) or reading.status in rule.named
                return RuleVerdict(rule.then, None, rule.key, rule.reason, certain)
            value = rule.word(reading)
            text = as_text(value)
            if text is None:
                continue
            meaning = rule.words.get(fold(text))
            if meaning is not None:
                return RuleVerdict(meaning[0], as_word(value), meaning[1], rule.reason, certain=True)
            unknown = unknown or RuleVerdict(None, as_word(value), rule.key)
        return unknown

    def before(self, others: "Rules") -> "Rules":
        """These rules, and after them the others."""
        both = Rules((), "")
        both._rules = (*self._rules, *others._rules)
        return both

    def may_mean(self, effect: str) -> bool:
        """Whether a rule has this effect."""
        return any(effect == rule.then or effect in {one for one, _ in rule.words.values()} for rule in self._rules)

    def keys(self) -> Iterable[str]:
        """The key of each rule, or of each entry where a rule has a table of words."""
        for rule in self._rules:
            if rule.word is None:
                yield rule.key
            else:
                yield from (key for _, key in rule.words.values())


def fold(word: str) -> str:
    """A word as it is compared: without surrounding spaces, in lower case."""
    return word.strip().casefold()


@lru_cache(maxsize=256)
def expand(codes: Codes) -> frozenset[int]:
    """The status codes that a rule names; ``2xx`` stands for a hundred codes. The rules of all accounts share a set."""
    every: set[int] = set()
    for code in codes:
        if isinstance(code, int):
            every.add(code)
        else:
            first = int(code[0]) * _CODES_PER_CLASS
            every.update(range(first, first + _CODES_PER_CLASS))
    return frozenset(every)


def _compile(spec: RuleSpec, key: str) -> _Rule:
    words = {fold(word): (effect, f"{key}.words.{word}") for word, effect in spec.words.items()}
    word = compile_pick(spec.word) if spec.word else None
    named = frozenset(code for code in spec.status if isinstance(code, int))
    return _Rule(key, expand(spec.status), named, tuple(_conditions(spec)), spec.then, word, words, spec.reason)


def compile_conditions(spec: ConditionsSpec) -> Condition:
    """The function that tests a table of conditions on a reply."""
    codes, conditions = expand(spec.status), tuple(_conditions(spec))
    return lambda reading: reading.status in codes and all(condition(reading) for condition in conditions)


def _conditions(spec: ConditionsSpec) -> Iterable[Condition]:
    if spec.header is not None:
        yield _header_matches(spec.header.name.lower(), compile_pattern(spec.header.regex))
    if spec.expression is not None:
        search = compile_expression(spec.expression)
        yield lambda reading: is_true(search(reading.document()))
    if spec.text is not None:
        pattern = compile_pattern(spec.text)
        yield lambda reading: pattern.found_in(reading.text())


def _header_matches(name: str, pattern: Pattern) -> Condition:
    def holds(reading: Reading) -> bool:
        return any(pattern.found_in(value) for value in header_values(reading, name))

    return holds
