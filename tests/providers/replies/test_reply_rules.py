"""Rules: the first match decides, and words are compared trimmed and without case."""

from collections.abc import Sequence

import pytest

from tests.support.spec_samples import reply_of
from tidewaiter.domain.http_values import WireReply
from tidewaiter.providers.replies.reply import Reading
from tidewaiter.providers.replies.reply_rules import Rules, RuleVerdict, expand
from tidewaiter.providers.spec.step_specs import PollRule

WORDS = {"word": "status", "words": {"PENDING": "pending", "Done": "ready", "true": "ready", "3": "failed"}}


def _judge(rules: Sequence[object], reply: WireReply) -> RuleVerdict | None:
    return Rules([PollRule.model_validate(rule) for rule in rules], "poll.rules").judge(Reading(reply))


def test_the_first_rule_that_holds_decides() -> None:
    """Order is meaning: a later rule is not asked. One that looks at a class of statuses alone is not certain."""
    rules = [{"status": 202, "then": "pending"}, {"json": "ok", "then": "ready"}, {"then": "failed"}]
    assert _judge(rules, reply_of(202, {"ok": True})) == RuleVerdict("pending", None, "poll.rules[0]", certain=True)
    assert _judge(rules, reply_of(200, {"ok": True})) == RuleVerdict("ready", None, "poll.rules[1]", certain=True)
    assert _judge(rules, reply_of(200, {"ok": False})) == RuleVerdict("failed", None, "poll.rules[2]")


@pytest.mark.parametrize(
    ("text", "effect", "key"),
    [
        ("PENDING", "pending", "PENDING"),
        (" pending\t", "pending", "PENDING"),
        ("DONE", "ready", "Done"),
        (True, "ready", "true"),
        (3, "failed", "3"),
    ],
)
def test_words_are_compared_trimmed_and_in_one_case(text: object, effect: str, key: str) -> None:
    """A status may come with blanks, in any case, as a boolean or as a number."""
    verdict = _judge([WORDS], reply_of(200, {"status": text}))
    assert verdict is not None
    assert (verdict.effect, verdict.key) == (effect, f"poll.rules[0].words.{key}")


def test_an_unknown_word_is_passed_on_and_kept() -> None:
    """The next rule may know what to do; if none does, a person gets to see the word."""
    reply = reply_of(200, {"status": " ARCHIVED "})
    assert _judge([WORDS], reply) == RuleVerdict(None, "ARCHIVED", "poll.rules[0]")
    assert _judge([WORDS, {"then": "gone"}], reply) == RuleVerdict("gone", None, "poll.rules[1]")


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": {"code": 1}}, {"status": " "}, [], "PENDING"])
def test_a_reply_without_a_word_makes_no_verdict(body: object) -> None:
    """Nothing is guessed from a word that is not there."""
    assert _judge([WORDS], reply_of(200, body)) is None


def test_a_rule_speaks_of_success_only_unless_it_says_otherwise() -> None:
    """A status word in an error reply means nothing by default."""
    assert _judge([WORDS], reply_of(500, {"status": "Done"})) is None
    assert _judge([{**WORDS, "status": ["2xx", 500]}], reply_of(500, {"status": "Done"})) is not None
    assert _judge([{"status": "4xx", "then": "gone"}], reply_of(404)) == RuleVerdict("gone", None, "poll.rules[0]")


def test_every_condition_must_hold() -> None:
    """Status, JSON, header and text together."""
    rule = {
        "status": 200,
        "json": "a",
        "header": {"name": "X-Kind", "regex": "^final"},
        "text": "yes",
        "then": "ready",
    }
    assert _judge([rule], reply_of(200, {"a": "yes"}, x_kind="final-1")) is not None
    assert _judge([rule], reply_of(201, {"a": "yes"}, x_kind="final-1")) is None
    assert _judge([rule], reply_of(200, {"b": "yes"}, x_kind="final-1")) is None
    assert _judge([rule], reply_of(200, {"a": "yes"}, x_kind="not final")) is None
    assert _judge([rule], reply_of(200, {"a": "yes"})) is None
    assert _judge([rule], reply_of(200, {"a": "no"}, x_kind="final-1")) is None


def test_json_is_parsed_only_where_a_rule_asks() -> None:
    """An empty 202 of an API that speaks in codes is not malformed."""
    reading = Reading(reply_of(202, b""))
    rules = Rules([PollRule.model_validate({"status": 202, "then": "pending"})], "r")
    assert rules.judge(reading) is not None
    assert not reading.malformed


def test_classes_of_codes_stand_for_their_hundred() -> None:
    """`2xx` is 200 to 299."""
    assert expand(("2xx", 404)) == frozenset({*range(200, 300), 404})


def test_rules_of_all_accounts_share_their_codes() -> None:
    """A set of a hundred codes for each rule of each account would take 11 kB for an account."""
    rules = [PollRule.model_validate({"status": "2xx", "then": "pending"}) for _ in range(2)]
    one, other = (expand(rule.status) for rule in rules)
    assert one is other
