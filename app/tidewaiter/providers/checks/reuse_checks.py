"""The check that ``reuse`` compares all that the submit asks for, or a job could get the result of another question."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidewaiter.providers.checks.spec_kept import reuse_kept_faults
from tidewaiter.providers.checks.spec_trees import Tree, variants_of
from tidewaiter.providers.values.template import references_in

_SENT = ("url", "query", "headers", "json", "form")
_NAMING = ("ignores", "only_without")


def reuse_faults(operation: Tree, key: str) -> Iterator[tuple[str, str]]:
    """The faults of the ``reuse`` tables of an operation, whose place in the spec is ``key``: a key, and a reason."""
    asked = [one for step in ("before", "submit", "start") for _, one in variants_of(operation.get(step), "")]
    sent = {name: None for one in asked for part in _SENT for name in _params_in(one.get(part))}
    yield from reuse_kept_faults(operation, key)
    for at, search in variants_of(operation.get("reuse"), f"{key}.reuse"):
        named = {key: list(_names(search.get(key))) for key in _NAMING}
        for list_key, names in named.items():
            for name in names:
                if name not in sent:
                    yield f"{at}.{list_key}", f"names {name}, which the submit does not send: remove it"
        for name in named["ignores"]:
            if name in named["only_without"]:
                yield f"{at}.ignores", f"names {name}, which only_without names, too: keep one of them"
        compared = {*_params_in(search.get("match")), *named["ignores"], *named["only_without"], search.get("newer")}
        missing = [name for name in sent if name not in compared]
        if missing:
            shown = ", ".join(f"${{params.{name}}}" for name in missing)
            reason = (
                f"does not compare {shown}, which the submit sends, so a job could get the result of another question: "
                "add it to match, or its name to ignores if it does not change the result, or to only_without if the "
                "list does not show it"
            )
            yield f"{at}.match", reason


def _names(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _params_in(tree: Any) -> Iterator[str]:
    """The names of the parameters that the templates in a tree refer to, alternatives included."""
    if isinstance(tree, str):
        yield from (one.name for one in references_in(tree) if one.scope == "params")
    elif isinstance(tree, Mapping):
        for one in tree.values():
            yield from _params_in(one)
    elif isinstance(tree, list):
        for one in tree:
            yield from _params_in(one)
