"""Writes docs/glossary.md from the glossary and the table of metrics."""

from pathlib import Path

import click

from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.metrics import all_metrics
from fuxi_plugins.reporting.glossary import GLOSSARY

PAGE = Path(__file__).resolve().parents[1] / "docs" / "glossary.md"
HEAD = """\
# Glossary

The words that boards, commands and messages use. [How to read a board](first_board.md) shows them at work, and
[metrics](metrics.md) has the definitions of the metrics. Made by `python scripts/make_glossary_page.py` from
`fuxi_plugins/reporting/glossary.py`; do not edit.

"""


def page() -> str:
    """The text of the page: words and metrics in alphabetical order, each a section, whose title a search finds."""
    explained = GLOSSARY | {metric.name: f"{metric.meaning} A [metric](metrics.md)." for metric in all_metrics()}
    words = sorted(explained, key=str.casefold)
    return HEAD + "\n\n".join(f"## {word}\n\n{explained[word]}" for word in words) + "\n"


@click.command(help=__doc__)
def main() -> None:
    write_text(PAGE, page())
    print(PAGE)


if __name__ == "__main__":
    main()
