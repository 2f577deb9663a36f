"""Puts the leaderboards into the README, between the markers that name them: those named as arguments, or all.

The sentences that compare RankElastor with others stand between markers of their own and are always written anew.
"""

import re
import sys
from pathlib import Path

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.record import find_records
from fuxi_plugins.reporting.site.gather import sentences

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- board: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)
SAID = re.compile(r"(<!-- said -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def table(board: str) -> str:
    """The table of a board's Markdown, without its title and notes."""
    path = ROOT / "results" / "leaderboards" / f"{board}.md"
    if not path.exists():
        sys.exit(f"{path} is not there: run the suite {board!r} first, or name the boards to put into the README.")
    text = path.read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("|"))


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    wanted = sys.argv[1:] or [name for _, name, _ in MARKED.findall(text)]
    text = MARKED.sub(lambda match: match[1] + table(match[2]) + match[3] if match[2] in wanted else match[0], text)
    workspace = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")
    said = "".join(f"- {one}\n" for one in sentences(workspace, list(find_records(workspace.results))))
    readme.write_text(SAID.sub(lambda match: match[1] + said + match[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
