"""Small charts out of block characters: a bar that fills, and a line of columns."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_COLUMNS: Final = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int, style: str) -> Text:
    """A bar of so many characters, filled to ``share`` (0 to 1); a share above 0 is always visible."""
    eighths = max(round(min(1.0, share) * width * 8), 1 if share > 0 else 0)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return Text.assemble((filled, style), ("░" * (width - len(filled)), "dim"))


def sparkline(values: Sequence[int]) -> str:
    """One column for each value, the largest at full height; only zero has the lowest column."""
    most = max(values, default=0)
    return "".join(_COLUMNS[0] if value <= 0 else _COLUMNS[1 + (value * 6) // most] for value in values)
