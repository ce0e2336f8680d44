"""A reader for the part of LogQL that the rules use; it refuses anything else.

Source: https://grafana.com/docs/loki/latest/query/
"""

import re
from collections.abc import Sequence

from tests.alerts.lines import COMPARE, SECONDS, Labels, Line, Query, grouped

_STREAM = 'app="tidewaiter"'
_QUERY = re.compile(
    r"(?:(?P<outer>sum|max) ?(?:by \((?P<by>[\w, ]+)\) )?\()?"
    r"(?P<inner>count|max|absent)_over_time\(\{(?P<stream>[^}]*)\}(?P<pipe>.*) \[(?P<count>\d+)(?P<unit>[smhd])\]\)"
    r"(?:\) (?P<compare>>=?) (?P<bound>[\d.]+))?"
)
_STAGE = re.compile(
    r' (?:\|= "(?P<needle>[^"]+)"|\| json (?P<fields>\w+="\w+"(?:, \w+="\w+")*)'
    r'|\| (?P<label>\w+)(?P<op>=|!=)"(?P<value>[^"]*)"|\| unwrap (?P<unwrap>\w+))'
)


def understood(expression: str) -> Query:
    """A rule's expression."""
    query = _QUERY.fullmatch(" ".join(expression.split()))
    assert query is not None, f"not understood: {expression}"
    assert query["stream"] == _STREAM
    stages = [*_STAGE.finditer(query["pipe"])]
    assert "".join(stage[0] for stage in stages) == query["pipe"], f"not understood: {query['pipe']}"
    by = [name.strip() for name in (query["by"] or "").split(",") if name.strip()]
    extracted = {name for stage in stages if stage["fields"] for name in re.findall(r'(\w+)="', stage["fields"])}
    used = {stage["label"] or stage["unwrap"] for stage in stages if stage["label"] or stage["unwrap"]} | set(by)
    assert used == extracted, f"taken out of the JSON: {extracted}, used: {used}"
    unwrapped = next((stage["unwrap"] for stage in stages if stage["unwrap"]), None)
    assert (query["inner"] == "max") == (unwrapped is not None)
    assert (query["inner"] == "absent") == (query["outer"] is None) == (query["bound"] is None)

    def evaluate(lines: Sequence[Line]) -> set[Labels]:
        left = [line for line in lines if all(_passes(line, stage) for stage in stages)]
        if query["inner"] == "absent":
            return set() if left else {frozenset()}
        fired = set()
        for labels, group in grouped(left, by).items():
            value = max(float(line.fields[unwrapped]) for line in group) if unwrapped else float(len(group))
            if COMPARE[query["compare"]](value, float(query["bound"])):
                fired.add(labels)
        return fired

    return Query(int(query["count"]) * SECONDS[query["unit"]], evaluate)


def _passes(line: Line, stage: re.Match[str]) -> bool:
    if stage["needle"]:
        return stage["needle"] in line.text
    if not stage["label"]:
        return True
    value = str(line.fields.get(stage["label"], ""))
    return (value == stage["value"]) == (stage["op"] == "=")
