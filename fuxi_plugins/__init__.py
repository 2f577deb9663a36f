"""A benchmark harness for click-through-rate models on FuxiCTR.

In Python, ``import fuxi_plugins as fb`` is enough: ``fb.load_runs()``, ``fb.load_board("frappe_board")``,
``fb.compare("RankElastor", "DCNv2")``, ``fb.paper_table(["frappe_board"])``,
``fb.run(model="DCNv2", dataset="synthetic")``, ``fb.register(MyModel)``. What a function needs is imported when it is
first asked for, so that importing the package alone loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuxi_plugins.cli.notebook import compare, describe, load_board, load_runs, new_board, register, run
    from fuxi_plugins.reporting.table import paper_table

__version__ = "0.1.0"
__all__ = ["compare", "describe", "load_board", "load_runs", "new_board", "paper_table", "register", "run"]

# Where each function lies.
_HOMES = dict.fromkeys(__all__, "fuxi_plugins.cli.notebook") | {"paper_table": "fuxi_plugins.reporting.table"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
