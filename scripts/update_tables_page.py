"""Runs the commands in docs/tables.md again and puts below each what it prints."""

import re
import shlex
import tempfile
from pathlib import Path

import click
from click.testing import CliRunner

from fuxi_plugins.cli.main import main as fuxibench
from fuxi_plugins.core.files import write_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tables.md"
PRINTED = re.compile(r"(```bash\nfuxibench ([^\n]*)\n```\n\n<!-- printed -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def updated(text: str) -> str:
    """The page with what its commands print now."""
    return PRINTED.sub(lambda match: f"{match[1]}{_shown(match[2])}{match[3]}", text)


def _shown(command: str) -> str:
    """What a command prints: Markdown as it is, LaTeX as source; files go into a folder that is thrown away."""
    words = shlex.split(command)
    with tempfile.TemporaryDirectory() as folder:
        if "--out" in words:
            words[words.index("--out") + 1] = folder
        arguments = ["--configs", str(ROOT / "benchmark_configs"), "--results", str(ROOT / "results"), *words]
        done = CliRunner().invoke(fuxibench, arguments, catch_exceptions=False)
        if done.exit_code:
            raise SystemExit(f"fuxibench {command}: {done.output}")
        printed = done.output.replace(folder, "across")
    return f"```latex\n{printed}```\n" if "tex" in words else printed


@click.command(help=__doc__)
def main() -> None:
    write_text(PAGE, updated(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
