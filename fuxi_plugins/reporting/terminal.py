"""A leaderboard on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.core.cleaning import visible
from fuxi_plugins.reporting.formats import cells
from fuxi_plugins.reporting.notes import notes

PIPE_WIDTH = 200  # columns, where no terminal says how wide it is

# What a narrow terminal does without, first to last, and after that other metrics; no number is ever cut short.
DISPENSABLE = (
    "chosen configuration",
    "embedding parameters",
    "valid",
    "s / epoch",
    "settings",
    "dense parameters",
    "95% interval",
    "verdict",
    "difference",
    "published",
)


def print_board(board: Leaderboard, title: str, console: Console | None = None) -> None:
    """Prints the table, without its less important columns where they do not fit, and the notes."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH, file=console.file)
    header, rows = cells(board)
    rows = [[visible(cell) for cell in row] for row in rows]
    left_out: list[str] = []
    table = _table(header, rows, left_out)
    for name in (*DISPENSABLE, *(f"{metric} mean ± std" for metric in reversed(board.metrics))):
        if Measurement.get(console, console.options.update(max_width=10_000), table).maximum <= console.width:
            break
        left_out += [column for column in header if name in column and column != f"{board.rank_by} mean ± std"]
        table = _table(header, rows, left_out)
    console.print(visible(f"{title} – {board.data.title}"), style="bold", markup=False, highlight=False)
    console.print(table)
    for line in notes(board):
        console.print(visible(f"• {line}"), markup=False, highlight=False)
    if left_out:
        console.print(
            f"• Columns left out because the terminal is too narrow: {', '.join(left_out)}.",
            markup=False,
            highlight=False,
        )


def _table(header: list[str], rows: list[list[str]], left_out: list[str]) -> Table:
    table = Table()
    shown = [index for index, name in enumerate(header) if name not in left_out]
    for index in shown:
        name = header[index]
        table.add_column(
            escape(name.replace(" ", "\n", 1)), justify="left" if name == "model" else "right", no_wrap=True
        )
    for row in rows:
        table.add_row(*(escape(row[index]) for index in shown))
    return table
