"""A reader for the part of PromQL that the rules over gauges use; it refuses anything else.

Source: https://prometheus.io/docs/prometheus/latest/querying/operators/
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

from tests.alerts.lines import SECONDS, Labels

Vector = Mapping[Labels, float]
"""Values by their labels."""
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">": lambda one, other: one > other,
    "==": lambda one, other: one == other,
}
_MATCH: Mapping[str, Callable[[str, str], bool]] = {
    "MatchOp.Equal": lambda value, wanted: value == wanted,
    "MatchOp.Re": lambda value, wanted: re.fullmatch(wanted, value) is not None,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a series at one moment."""

    name: str
    labels: Mapping[str, str]
    value: float


def evaluated(node: Any, samples: Sequence[Sample]) -> Vector:
    """The value of an expression at the moment of these samples."""
    if isinstance(node, promql.VectorSelector):
        return {
            frozenset(one.labels.items()): one.value
            for one in samples
            if one.name == node.name
            and all(_MATCH[str(each.op)](one.labels.get(each.name, ""), each.value) for each in node.matchers.matchers)
        }
    if isinstance(node, promql.AggregateExpr):
        assert node.modifier is not None
        assert (str(node.op), str(node.modifier.type)) == ("max", "AggModifierType.By")
        found: dict[Labels, float] = {}
        for labels, value in evaluated(node.expr, samples).items():
            group = _only(labels, node.modifier.labels)
            found[group] = max(value, found.get(group, value))
        return found
    assert isinstance(node, promql.BinaryExpr), f"not understood: {node}"
    left = evaluated(node.lhs, samples)
    if isinstance(node.rhs, promql.NumberLiteral):
        return {labels: value for labels, value in left.items() if _COMPARE[str(node.op)](value, node.rhs.val)}
    matching = None if node.modifier is None else node.modifier.matching
    assert matching is not None, "`on` is missing"
    assert str(matching.type) == "LabelModifierType.Include", "`on` is missing"
    by = matching.labels
    right = {_only(labels, by): value for labels, value in evaluated(node.rhs, samples).items()}
    if str(node.op) == "unless":
        return {labels: value for labels, value in left.items() if _only(labels, by) not in right}
    compare = _COMPARE[str(node.op)]
    return {
        labels: value
        for labels, value in left.items()
        if (other := right.get(_only(labels, by))) is not None and compare(value, other)
    }


@dataclass(slots=True)
class AlertRule:
    """An alert, and since when its condition is met, by labels."""

    name: str
    expression: promql.Expr
    for_s: float
    since: dict[Labels, float] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "AlertRule":
        """The rule of a rules file."""
        wait = str(rule.get("for", "0s"))
        return cls(rule["alert"], promql.parse(rule["expr"]), int(wait[:-1]) * SECONDS[wait[-1]])

    def firing(self, at: float, samples: Sequence[Sample]) -> set[Labels]:
        """Evaluate it; returns for what it fires."""
        met = evaluated(self.expression, samples)
        self.since = {labels: self.since.get(labels, at) for labels in met}
        return {labels for labels, since in self.since.items() if at - since >= self.for_s}


def _only(labels: Labels, names: Sequence[str]) -> Labels:
    return frozenset((name, value) for name, value in labels if name in names)
