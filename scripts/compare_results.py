"""Which numbers of the committed results differ from those of an earlier commit; names and texts may.

\b
    python scripts/compare_results.py 78a8d56

Of records every number counts (metrics, history, parameters, seconds, ranks, costs, settings); of boards those of the
rows: test and valid metrics over seeds, parameters, seconds. Exit code 1 if any number differs or a file is gone.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
OF_A_ROW = ("experiment", "seeds", "test", "valid", "parameters", "seconds_per_epoch")


@click.command(help=__doc__)
@click.argument("commit")
def compare(commit: str) -> None:
    differing = 0
    for kind, pattern in (("records", "results/runs/*/*/*/record.json"), ("boards", "results/leaderboards/*.json")):
        paths = [path for path in _listed(commit, pattern) if not path.endswith(".statistics.json")]
        count = 0
        for path in paths:
            before = json.loads(_git("show", f"{commit}:{path}"))
            now = json.loads((ROOT / path).read_text()) if (ROOT / path).exists() else {}
            old, new = (_of_board(value) if kind == "boards" else value for value in (before, now))
            found, known = Counter(_numbers(old)), Counter(_numbers(new))
            count += found.total()
            if gone := found - known:  # what a later schema says besides is no difference
                differing += 1
                click.echo(f"{path}: {gone.total()} numbers are others, such as {next(iter(gone))}")
        click.echo(f"{len(paths)} {kind}, {count:,} numbers")
    click.echo(f"{differing} files differ" if differing else "no number differs")
    sys.exit(bool(differing))


def _of_board(board: dict[str, Any]) -> dict[str, Any]:
    rows = {row["experiment"]: {name: row.get(name) for name in OF_A_ROW} for row in board.get("rows", [])}
    return {"rank_by": board.get("rank_by"), "rows": rows}


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Each number with the name that it stands under; the places of a list and the names above are left out."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key != "schema_version":
                yield from _numbers(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _numbers(part, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _listed(commit: str, pattern: str) -> list[str]:
    listed = _git("ls-tree", "-r", "--name-only", commit, "results").splitlines()
    return [path for path in listed if Path(path).match(pattern)]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    compare()
