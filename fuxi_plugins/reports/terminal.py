"""A leaderboard on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fuxi_plugins.reports.formats import cells, notes
from fuxi_plugins.reports.leaderboard import Leaderboard

PIPE_WIDTH = 200  # columns, where no terminal says how wide it is


def print_board(board: Leaderboard, title: str) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    header, rows = cells(board)
    table = Table(title=escape(f"{title} – {board.data.title}"), title_justify="left")
    for name in header:
        table.add_column(escape(name), justify="left" if name == "model" else "right", no_wrap=name != "model")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for line in notes(board):
        console.print(f"• {line}", markup=False, highlight=False)
