"""Puts the leaderboards into the README, between the markers that name them: those named as arguments, or all."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"(<!-- board: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def table(board: str) -> str:
    """The table of a board's Markdown, without its title and notes."""
    text = (ROOT / "results" / "leaderboards" / f"{board}.md").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("|"))


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    wanted = sys.argv[1:] or [name for _, name, _ in MARKED.findall(text)]
    readme.write_text(
        MARKED.sub(lambda match: match[1] + table(match[2]) + match[3] if match[2] in wanted else match[0], text),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
