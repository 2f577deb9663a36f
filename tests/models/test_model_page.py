"""docs/models.md is what the code says today."""

import importlib.util

from fuxi_plugins.experiments.common import board_rows
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS
from fuxi_plugins.models.variants import VARIANTS
from tests.conftest import ROOT


def test_the_model_page_is_not_stale():
    spec = importlib.util.spec_from_file_location("make_model_page", ROOT / "scripts" / "make_model_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text() == script.page(), "python scripts/make_model_page.py writes it anew"


def test_every_model_has_a_section_and_a_display_name():
    page, rows = (ROOT / "docs" / "models.md").read_text(), board_rows()
    for name in [*NATIVE_MODELS, *VARIANTS, *TREE_MODELS]:
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        if name in rows:
            assert "Experiments: none" not in section, name
