"""How `leads query` draws rows: cut to the terminal, safe to print, with a note of what was left out."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

MOST_ROWS = 1000
"""How many rows a table shows; JSON and CSV hold all."""

_NARROWEST = 12  # characters of a column that is cut; more columns than fit so are left out
_BORDERS = 3  # characters that each column's border and padding take
_MOST_CHARACTERS = 200  # of one value: no terminal shows more in a line


def print_table(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Print the rows as a table as wide as the terminal at most, with their count."""
    console = Console(highlight=False, markup=False, emoji=False)
    shown = [[_cell(value) for value in row] for row in rows[:MOST_ROWS]]
    natural = [max([len(name), *(row[index].cell_len for row in shown)]) for index, name in enumerate(columns)]
    widths = _widths(natural, console.width - 1)
    fitting = len(widths)
    table = Table()
    for index, width in enumerate(widths):
        is_number = any(isinstance(row[index], int | float | Decimal) for row in rows)
        table.add_column(
            Text(_printable(columns[index])),
            width=width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if is_number else "left",
        )
    for row in shown:
        table.add_row(*row[:fitting])
    console.print(table)
    console.print(_count_text(len(rows)))
    if fitting < len(columns):
        console.print(
            f"{fitting} of {len(columns)} columns fit the terminal. Name the columns you want, or use --csv or --json."
        )


def _count_text(rows: int) -> str:
    if rows > MOST_ROWS:
        return f"The first {MOST_ROWS:,} rows; there are more. Use --csv or --json for all of them, or a LIMIT."
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _widths(natural: Sequence[int], room: int) -> list[int]:
    """Return the widths of as many columns as fit: short ones whole, the long ones sharing the rest equally."""
    fitting, used = 0, 0
    for width in natural:
        used += min(width, _NARROWEST) + _BORDERS
        if used > room:
            break
        fitting += 1
    fitting = max(fitting, 1)
    left = room - fitting * _BORDERS
    widths = [0] * fitting
    shortest_first = sorted(range(fitting), key=lambda index: natural[index])
    for done, index in enumerate(shortest_first):
        widths[index] = max(min(natural[index], left // (fitting - done)), 1)
        left -= widths[index]
    return widths


def _cell(value: object) -> Text:
    if value is None:
        return Text("NULL", style="dim")
    text = value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)
    return Text(_printable(text))


def _printable(text: str) -> str:
    """Return the text on one line without control characters: buyers wrote it, and terminals obey some of them."""
    return "".join(c if c.isprintable() else " " for c in text[:_MOST_CHARACTERS])
