"""docs/tables.md shows what its commands print, and its Python runs."""

import re

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.reporting import table
from scripts.update_tables_page import PAGE, PRINTED, updated
from tests.conftest import ROOT


def test_the_page_shows_what_its_commands_print():
    text = PAGE.read_text(encoding="utf-8")
    assert len(PRINTED.findall(text)) == text.count("<!-- printed -->") == 4
    assert updated(text) == text, "python scripts/update_tables_page.py writes it anew"


def test_its_python_gives_a_frame_and_latex(monkeypatch):
    here = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")
    monkeypatch.setattr(table.Workspace, "locate", lambda *_: here)
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict = {}
    exec(source, names)
    assert len(source.strip().splitlines()) == 5
    assert ("ml100k", "RelaImpr") in names["frame"].columns
    assert r"\label{tab:overall}" in names["latex"]
