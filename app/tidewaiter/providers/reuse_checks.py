"""The check that ``reuse`` compares all that the submit asks for, or a job could get the result of another question."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidewaiter.providers.template import references_in

_SENT = ("url", "query", "headers", "json", "form")


def reuse_faults(
    submits: list[Mapping[str, Any]], searches: list[tuple[str, Mapping[str, Any]]]
) -> Iterator[tuple[str, str]]:
    """The faults of the ``reuse`` tables of one operation: the key, and the reason.

    Args:
        submits: the parsed ``submit`` tables.
        searches: the parsed ``reuse`` tables with their keys.
    """
    sent = {name: None for submit in submits for key in _SENT for name in _params_in(submit.get(key))}
    for key, search in searches:
        ignores = search.get("ignores")
        ignored = [one for one in ignores if isinstance(one, str)] if isinstance(ignores, list) else []
        for name in ignored:
            if name not in sent:
                yield f"{key}.ignores", f"names {name}, which the submit does not send: remove it"
        compared = {*_params_in(search.get("match")), *ignored, search.get("newer")}
        missing = [name for name in sent if name not in compared]
        if missing:
            named = ", ".join(f"${{params.{name}}}" for name in missing)
            reason = (
                f"does not compare {named}, which the submit sends, so a job could get the result of another question: "
                "add it to match, or its name to ignores if it does not change the result"
            )
            yield f"{key}.match", reason


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
