"""A metric that the table does not have: the one that docs/metrics.md shows how to add."""

import importlib.util
from contextlib import contextmanager

from fuxi_plugins.records.metrics import TABLE, find_metric
from tests.conftest import ROOT


def load_page_script():
    spec = importlib.util.spec_from_file_location("make_metrics_page", ROOT / "scripts" / "make_metrics_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@contextmanager
def new_metric():
    """The page's example, run as it stands there; the table forgets it afterwards."""
    before = dict(TABLE)
    example = (ROOT / "docs" / "metrics.md").read_text().split("```python\n")[1].split("```")[0]
    exec(compile(example, "docs/metrics.md", "exec"), {})
    try:
        yield find_metric("Brier")
    finally:
        TABLE.clear()
        TABLE.update(before)
