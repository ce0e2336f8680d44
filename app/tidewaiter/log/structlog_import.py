"""Imports structlog without rich, which it would load for tracebacks that we never print: 10 MB of memory.

The package imports this module first. Commands that print tables with rich still import it themselves.
"""

import sys
from importlib import import_module

_RICH = "rich"

if _RICH not in sys.modules:
    # `None` makes the import fail: https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules[_RICH] = None  # type: ignore[assignment]  # typeshed expects a module
    try:
        import_module("structlog.dev")
    finally:
        del sys.modules[_RICH]
