"""Compile each template of the page once in a test process, not once for each of the hundreds of listeners it opens."""

from collections.abc import Hashable
from types import CodeType
from typing import Any, Final

from jinja2 import Environment

_COMPILE: Final = Environment.compile
_FLAGS: Final = (
    "autoescape",
    "finalize",
    "keep_trailing_newline",
    "lstrip_blocks",
    "newline_sequence",
    "optimized",
    "trim_blocks",
    "undefined",
)


def compile_templates_once() -> None:
    """Let Jinja remember the code of each template, by its text and by all that decides what the code is."""
    known: dict[Hashable, str | CodeType] = {}

    def compiled(environment: Environment, source: Any, *places: Any, **options: Any) -> Any:
        settings = [getattr(environment, flag) for flag in _FLAGS]
        names = [*sorted(environment.filters), *sorted(environment.tests), *sorted(environment.extensions)]
        key = (source, *places, *sorted(options.items()), *settings, *names)
        if key not in known:
            known[key] = _COMPILE(environment, source, *places, **options)
        return known[key]

    Environment.compile = compiled  # type: ignore[method-assign,assignment]
