"""The tables of ``top``: they fit the width of a terminal, and cut nothing that people type."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

_WIDE: Final = 110
_NAME: Final = 16
_NAME_WIDE: Final = 28
_GAP: Final = 2
_LEAST_REST: Final = 8


def is_wide(width: int | None) -> bool:
    """Whether there is room for what is nice to know; off a terminal there is."""
    return width is None or width >= _WIDE


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    ``typed``: people type its values into commands, so it is never cut. ``rest``: it gets the remaining width, and is
    cut first. ``drop``: if the typed columns leave no room, the columns with the highest numbers are left out first,
    and ``rest`` last of all; 0 for one that stays.
    """

    heading: str
    typed: bool = False
    right: bool = False
    rest: bool = False
    drop: int = 0


def fitted_table(width: int | None, columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> Table:
    """A table without lines that fits the width."""
    longest = None if width is None else _NAME_WIDE if is_wide(width) else _NAME
    widths = [_width_of(column, [row[i] for row in rows], longest) for i, column in enumerate(columns)]
    shown = set(range(len(columns)))
    least = sorted((i for i in shown if columns[i].drop), key=lambda i: -columns[i].drop)
    for i in (*least, *(i for i in shown if columns[i].rest)):
        if width is not None and sum(widths[k] + _GAP for k in shown) > width:
            shown.remove(i)
    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", expand=width is not None)
    for i in sorted(shown):
        column = columns[i]
        made.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column.rest and width is not None else None,
            max_width=None if column.rest or column.typed else longest,
        )
    for row in rows:
        made.add_row(*(row[i] for i in sorted(shown)))
    return made


def _width_of(column: Column, cells: Iterable[Text], longest: int | None) -> int:
    """The least width of a column at which nothing that is typed is cut."""
    if column.rest:
        return _LEAST_REST
    widest = max((len(column.heading), *(cell.cell_len for cell in cells)))
    return widest if column.typed or longest is None else min(widest, longest)
