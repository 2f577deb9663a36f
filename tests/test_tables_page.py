"""docs/tables.md shows what its commands print, and its Python runs."""

import re

from scripts.update_tables_page import PAGE, PRINTED, updated
from tests.conftest import ROOT


def test_the_page_shows_what_its_commands_print():
    text = PAGE.read_text(encoding="utf-8")
    assert len(PRINTED.findall(text)) == text.count("<!-- printed -->") == 5
    assert updated(text) == text, "python scripts/update_tables_page.py writes it anew"


def test_its_python_gives_the_table_that_its_command_prints(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = PAGE.read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict = {}
    exec(source, names)
    assert len([line for line in source.splitlines() if line]) == 5
    assert f"```latex\n{names['latex']}```" in text
    assert list(names["table"].to_pandas().columns) == [
        ("frappe_x1r", "AUC"), ("frappe_x1r", "logloss"), ("ml100k", "gAUC"), ("ml100k", "AUC")
    ]  # fmt: skip
