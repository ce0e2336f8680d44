"""The metrics and labels that the Prometheus rules use."""

import promql_parser as promql

from tidewaiter.metrics.metric_catalogue import CATALOGUE

SUFFIXES = ("_bucket", "_sum", "_count")


OF_THE_SCRAPE = {"job", "instance"}


def selectors(expression: str) -> list[promql.VectorSelector]:
    """Every selector of an expression."""
    found: list[promql.VectorSelector] = []

    def look(node: promql.Expr) -> None:
        selector = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
        if isinstance(selector, promql.VectorSelector):
            found.append(selector)

    promql.walk(promql.parse(expression), look)
    return found


def metric_of(name: str) -> str:
    """The catalogue's name of a series."""
    bases = (name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix))
    return next((base for base in bases if base in CATALOGUE and CATALOGUE[base].kind == "histogram"), name)


def labels_kept(expression: str) -> set[str]:
    """The labels by which an expression is grouped or matched."""
    found: set[str] = set()

    def look(node: promql.Expr) -> None:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        if isinstance(node, promql.BinaryExpr) and node.modifier is not None and node.modifier.matching is not None:
            found.update(node.modifier.matching.labels)

    promql.walk(promql.parse(expression), look)
    return found
