"""How far a remote job is, out of the words that its provider has for it."""

import re
from typing import Final

_RATIO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/|of)\s*(\d+(?:\.\d+)?)")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def fraction_of(progress: str | None) -> float | None:
    """How much is done, 0 to 1, where a provider's words for it can be read as a ratio or a percentage."""
    if progress is None:
        return None
    if ratio := _RATIO.search(progress):
        done, total = float(ratio[1]), float(ratio[2])
        return min(1.0, done / total) if total else None
    percent = _PERCENT.search(progress)
    return min(1.0, float(percent[1]) / 100) if percent else None
