"""The measured figures as a JSON file and as a Markdown table."""

import json
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from fuxi_plugins.core.files import write_text
from measuring.timing import OURS

END = "<!-- end -->"


def as_markdown(results: Sequence[dict]) -> str:
    """One line a peer: how long it takes, how long we take, the ratio of both by either clock."""
    rows = []
    for result in results:
        for peer, ratio in result["ratios"].items():
            cpu = result["cpu_seconds"]
            cpu_ratio = _ratio(cpu[peer] / cpu[OURS]) if cpu.get(OURS) and cpu.get(peer) else "–"
            rows.append([
                result["section"], f"{result['job']}, {result['unit']}", peer, _time(result["seconds"][peer]),
                _time(result["seconds"][OURS]), f"**{_ratio(ratio)}**", cpu_ratio,
            ])  # fmt: skip
    header = ["section", "job", "peer", "peer takes", "ours takes", "ratio", "ratio of CPU time"]
    return tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True)


def merge(path: Path, sections: Sequence[str], measured: dict) -> dict:
    """Puts newly measured sections into the file of an earlier call, each with the machine that it was measured on."""
    known = json.loads(path.read_text()) if path.exists() else {"sections": {}}
    known["sections"].update({name: measured[name] for name in sections})
    write_text(path, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return known


def start(name: str) -> str:
    """The line of a page after which its table of that name stands."""
    return f"<!-- {name} table -->"


def update_page(page: Path, name: str, table: str) -> None:
    """Puts a table between its markers on the page."""
    head, marker, rest = page.read_text().partition(start(name))
    _, _, tail = rest.partition(END)
    write_text(page, f"{head}{marker}\n{table}\n{END}{tail}")


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}x" if ratio < 2 else f"{ratio:.1f}x"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
