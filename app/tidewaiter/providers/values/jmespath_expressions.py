"""JMESPath, compiled once, and tolerant about the spelling of keys.

A key is looked up as it is written; if it is missing, a key that differs only in case or surrounding spaces is used. An
expression that cannot be evaluated on a reply (a wrong type, a comparison of text with a number) has no value; this is
not an error.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

from tidewaiter.domain.http_values import Json

Search = Callable[[Json], Json]

_LONGEST_EXPRESSION = 2000
_MOST_NESTING = 200
_NESTING = re.compile(r"[(\[{.!|&]")
_EVALUATION_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class ExpressionError(ValueError):
    """An expression is not JMESPath, or calls a function that JMESPath does not have."""


Finds = dict[str, "Find"]
"""What expressions have found at best."""
_FINDS: ContextVar[Finds | None] = ContextVar("finds", default=None)


class Find(IntEnum):
    """What an expression has found at best: nothing, a value, or one that is true."""

    NOTHING = 0
    VALUE = 1
    TRUE = 2


@contextmanager
def watched() -> Iterator[Finds]:
    """Note what the expressions find that are compiled within the block, by their text."""
    finds: Finds = {}
    token = _FINDS.set(finds)
    try:
        yield finds
    finally:
        _FINDS.reset(token)


def compile_expression(source: str) -> Search:
    """The function that evaluates a JMESPath expression on parsed JSON.

    Raises:
        ExpressionError: the message says what is wrong, and where.
    """
    search, finds = _compiled(source), _FINDS.get()
    if finds is None:
        return search

    def noting(document: Json) -> Json:
        value = search(document)
        found = Find.NOTHING if value is None else Find.TRUE if is_true(value) else Find.VALUE
        finds[source] = max(finds.get(source, Find.NOTHING), found)
        return value

    return noting


@lru_cache(maxsize=1024)  # the operations of all accounts of a provider share it
def _compiled(source: str) -> Search:
    tree = _parse(source)
    names = _path(tree)
    if names is not None:
        return _follow(names)

    def search(document: Json) -> Json:
        try:
            found: Json = _TOLERANT.visit(tree, document)
        except _EVALUATION_FAULTS:
            return None
        return found

    return search


def is_true(value: Json) -> bool:
    """Truth as in JMESPath: everything but null, false and empty values; 0 is true."""
    return not (value is None or value is False or value in ("", [], {}))


def lookup(document: Json, name: str) -> Json:
    """A member of a JSON object, by its exact name, else by a name that differs only in case or spaces."""
    if not isinstance(document, dict):
        return None
    found: Json = document.get(name)
    if found is not None or name in document:
        return found
    folded = name.strip().casefold()
    return next((value for key, value in document.items() if key.strip().casefold() == folded), None)


_STEPS_INTO = frozenset({"subexpression", "index_expression", "projection", "value_projection", "filter_projection"})
_COMPARED = "comparator"
_NEGATION = "not_expression"
_LITERAL = "literal"


def negation_fault(source: str) -> str | None:
    """Why a ``!`` in an expression negates less than it seems to; ``None`` if it does not.

    ``!`` binds closer than a dot and a comparison, so ``!a.b`` is ``(!a).b``, which is always null.
    """
    for node in _nodes(_parse(source)):
        first = node["children"][0] if node["children"] else None
        if not isinstance(first, dict) or first["type"] != _NEGATION:
            continue
        if node["type"] in _STEPS_INTO:
            return "is always null: ! binds closer than the dot, so that !a.b is (!a).b; write !(a.b)"
        if node["type"] == _COMPARED and _is_no_boolean(node["children"][1]):
            return "compares true or false: ! binds closer than the comparison; write !(a == b), or a != b"
    return None


def _is_no_boolean(node: Any) -> bool:
    return node["type"] == _LITERAL and not isinstance(node["value"], bool)


class _Tolerant(TreeInterpreter):
    def visit_field(self, node: Any, value: Any) -> Any:
        """A key, looked up as :func:`lookup` does."""
        return lookup(value, node["value"])


_TOLERANT = _Tolerant()


def _follow(names: tuple[str, ...]) -> Search:
    """The same result as the interpreter's, but faster: most expressions are one key."""
    if len(names) == 1:
        (only,) = names
        return lambda document: (
            document[only] if isinstance(document, dict) and only in document else lookup(document, only)
        )

    def search(document: Json) -> Json:
        for name in names:
            document = lookup(document, name)
        return document

    return search


def _path(tree: Any) -> tuple[str, ...] | None:
    """The keys of an expression that has only keys; ``None`` if it has more."""
    if tree["type"] == "field":
        return (tree["value"],)
    if tree["type"] == "subexpression" and all(child["type"] == "field" for child in tree["children"]):
        return tuple(child["value"] for child in tree["children"])
    return None


def _parse(source: str) -> Any:
    # The parser recurses for each bracket and each operator.
    if len(source) > _LONGEST_EXPRESSION or len(_NESTING.findall(source)) > _MOST_NESTING:
        raise ExpressionError(
            f"is not read: an expression has at most {_LONGEST_EXPRESSION} characters and {_MOST_NESTING} brackets "
            "and operators"
        )
    try:
        tree: Any = jmespath.compile(source).parsed
    except JMESPathError as error:
        # The rest of the message shows the expression with a caret below it.
        what = str(error).splitlines()[0].removesuffix(":").removesuffix(", for expression")
        what = re.sub(r"^(Invalid|Bad) jmespath expression: ", "", what, flags=re.IGNORECASE)
        raise ExpressionError(f"not JMESPath: {what}") from error
    for node in _nodes(tree):
        if node["type"] == "function_expression":
            _check_call(node["value"], len(node["children"]))
    return tree


def _nodes(tree: Any) -> Iterator[Any]:
    yield tree
    for child in tree["children"]:
        if isinstance(child, dict):  # the children of a slice are numbers
            yield from _nodes(child)


def _check_call(name: str, given: int) -> None:
    """JMESPath itself reports an unknown function only when it calls it."""
    table: Any = Functions.FUNCTION_TABLE
    if name not in table:
        raise ExpressionError(f"not JMESPath: there is no function {name}(); there are {', '.join(sorted(table))}")
    signature = table[name]["signature"]
    variadic = bool(signature) and signature[-1].get("variadic", False)
    if given < len(signature) or (given > len(signature) and not variadic):
        raise ExpressionError(f"not JMESPath: {name}() takes {len(signature)} arguments, not {given}")
