"""A table on a terminal that is too narrow for it: some columns become lines below each row."""

import textwrap
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

_GAP: Final = "  "
_BETWEEN: Final = " · "
_LEAST_TEXT: Final = 20
"""The least legible width of a column whose text wraps."""
_LEAST_LINE: Final = 20
_UTC: Final = " (UTC)"


def legible_width(made: Table, gap: int) -> int:
    """The width at which no column that stays on one line is cut, and the texts of the others are still legible."""
    return sum(
        (_widest(column) if column.no_wrap else min(_widest(column), _LEAST_TEXT)) + gap for column in made.columns
    )


def stacked_lines(made: Table, below: Sequence[str], omitted: Collection[str], width: int) -> Iterator[Text]:
    """The lines of the table: each row without the columns ``below``, and these below it, wrapped to the width.

    The columns below stand in the order of ``below``. Columns ``omitted`` are not shown, nor are empty values below.
    Numbers and times there have their heading before them; a text speaks for itself.
    """
    head = [column for column in made.columns if column.header not in (*below, *omitted)]
    rest = sorted((one for one in made.columns if one.header in below), key=lambda one: below.index(str(one.header)))
    widths = [_widest(column) for column in head]
    yield _line([Text(str(column.header), style="bold") for column in head], head, widths)
    yield Text("─" * min(width, sum(widths) + len(_GAP) * (len(widths) - 1)))
    indent = " " * (widths[0] + len(_GAP)) if widths[0] < _LEAST_LINE else _GAP
    for row in range(made.row_count):
        yield _line([_cell(column, row) for column in head], head, widths)
        told = [text for column in rest if (text := _told(column, row))]
        for line in _wrapped(told, max(_LEAST_LINE, width - len(indent))):
            yield Text(indent + line, style="dim")


def _line(cells: list[Text], columns: list[Column], widths: list[int]) -> Text:
    padded = []
    for cell, column, wide in zip(cells, columns, widths, strict=True):
        blank = " " * (wide - cell_len(cell.plain))
        padded.append(Text.assemble(blank, cell) if column.justify == "right" else Text.assemble(cell, blank))
    made = Text(_GAP).join(padded)
    made.rstrip()
    return made


def _wrapped(values: list[str], width: int) -> Iterator[str]:
    """Values with a sign between them; a line breaks within a value only where it is longer than the line."""
    line = ""
    for value in values:
        if line and cell_len(line + _BETWEEN + value) > width:
            yield line
            line = ""
        *whole, line = textwrap.wrap(f"{line}{_BETWEEN}{value}" if line else value, width, break_on_hyphens=False)
        yield from whole
    if line:
        yield line


def _told(column: Column, row: int) -> str:
    value, heading = _cell(column, row).plain, str(column.header)
    if not value:
        return ""
    if heading.endswith(_UTC):
        return f"{heading.removesuffix(_UTC)} {value} UTC"
    return f"{heading} {value}" if column.justify == "right" or column.no_wrap else value


def _cell(column: Column, row: int) -> Text:
    cell = list(column.cells)[row]
    return cell.copy() if isinstance(cell, Text) else Text(str(cell))


def _widest(column: Column) -> int:
    return max(cell_len(str(cell)) for cell in (column.header, *column.cells))
