"""Loads structlog without rich, which it would take for tracebacks that we never print: 10 MB of a daemon.

The package imports this first. Whoever prints tables by rich loads it all the same, sooner or later.
"""

import sys
from importlib import import_module

_RICH = "rich"

if _RICH not in sys.modules:
    # None makes the import fail: https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules[_RICH] = None  # type: ignore[assignment]  # typeshed knows of modules only
    try:
        import_module("structlog.dev")
    finally:
        del sys.modules[_RICH]
