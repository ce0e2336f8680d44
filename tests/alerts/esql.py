"""A reader for the part of ES|QL that the rules use; it refuses anything else.

Source: https://www.elastic.co/docs/reference/query-languages/esql
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.alerts.lines import COMPARE, SECONDS, Labels, Line, Query, grouped

_QUERY = re.compile(
    r"FROM logs-tidewaiter-\* \| WHERE (?P<where>[^|]+)"
    r" \| STATS (?P<name>\w+) = (?:COUNT\(\*\)|MAX\((?P<field>[\w.]+)\))"
    r"(?: BY (?P<by>[\w., ]+))? \| WHERE (?P<checked>\w+) (?P<compare>==|>=?) (?P<bound>[\d.]+)"
)
_TERM = re.compile(r'(?P<field>[\w.]+) (?:== "(?P<value>[^"]*)"|IS NOT NULL)')
_BELOW = "tidewaiter."


def understood(params: Mapping[str, Any]) -> Query:
    """The parameters of a rule of the type ``.es-query``."""
    query = _QUERY.fullmatch(params["esqlQuery"]["esql"])
    assert query is not None, f"not understood: {params['esqlQuery']['esql']}"
    assert query["name"] == query["checked"]
    terms = [_TERM.fullmatch(term) for term in query["where"].split(" AND ")]
    by = [_below(name.strip()) for name in (query["by"] or "").split(",") if name.strip()]

    def evaluate(lines: Sequence[Line]) -> set[Labels]:
        left = [line for line in lines if all(_passes(line, term) for term in terms)]
        groups = grouped(left, by)
        if not by:
            groups = {frozenset(): left}  # without BY there is one row, whatever there is
        fired = set()
        for labels, group in groups.items():
            value = _most(group, _below(query["field"])) if query["field"] else float(len(group))
            if value is not None and COMPARE[query["compare"]](value, float(query["bound"])):
                fired.add(labels)
        return fired

    return Query(params["timeWindowSize"] * SECONDS[params["timeWindowUnit"]], evaluate)


def fields_of(params: Mapping[str, Any]) -> set[str]:
    """The fields that a query asks for."""
    return set(re.findall(r"tidewaiter\.(\w+)", params["esqlQuery"]["esql"]))


def _below(name: str) -> str:
    assert name.startswith(_BELOW), f"{name} is not below {_BELOW}"
    return name.removeprefix(_BELOW)


def _most(lines: Sequence[Line], field: str) -> float | None:
    return max((float(line.fields[field]) for line in lines if field in line.fields), default=None)


def _passes(line: Line, term: re.Match[str] | None) -> bool:
    assert term is not None, "a term was not understood"
    value = line.fields.get(_below(term["field"]))
    return value is not None and (term["value"] is None or value == term["value"])
