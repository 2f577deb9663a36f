"""The arrows of the design: who may import whom."""

import ast

import pytest
from hypothesis import settings

from tests.conftest import ROOT

PACKAGE = ROOT / "fuxi_plugins"


def imported(path) -> set[str]:
    """Modules that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def files(*names):
    for name in names:
        path = PACKAGE / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def touches(path, *modules) -> set[str]:
    return {name for name in imported(path) if any(name == m or name.startswith(m + ".") for m in modules)}


@pytest.mark.parametrize(
    ("readers", "forbidden"),
    [
        (["reports", "records.py"], ["torch", "fuxictr", "fuxi_plugins.runs", "fuxi_plugins.models",
                                     "fuxi_plugins.scheduling", "fuxi_plugins.experiments"]),
        (["layers"], ["fuxictr", "fuxi_plugins.models", "fuxi_plugins.datasets", "fuxi_plugins.runs"]),
        (["models"], ["fuxi_plugins.datasets", "fuxi_plugins.runs", "fuxi_plugins.experiments",
                      "fuxi_plugins.reports", "fuxi_plugins.scheduling"]),
        (["datasets"], ["fuxi_plugins.models", "fuxi_plugins.runs", "fuxi_plugins.experiments",
                        "fuxi_plugins.reports", "fuxi_plugins.scheduling"]),
        (["experiments"], ["fuxi_plugins.runs", "fuxi_plugins.reports", "fuxi_plugins.scheduling"]),
        (["diagnostics/rank.py", "diagnostics/probes.py", "diagnostics/representations.py", "diagnostics/bounds.py"],
         ["fuxi_plugins.runs", "fuxi_plugins.experiments", "fuxi_plugins.reports",
                           "fuxi_plugins.scheduling"]),
        (["runs"], ["fuxi_plugins.reports", "fuxi_plugins.scheduling"]),
        (["scheduling"], ["fuxi_plugins.reports"]),
    ],
)  # fmt: skip
def test_nothing_reaches_back(readers, forbidden):
    breaches = {str(path.relative_to(ROOT)): found for path in files(*readers) if (found := touches(path, *forbidden))}
    assert not breaches


def test_fuxictrs_training_is_known_to_two_modules_and_its_preprocessing_to_another():
    users = {path.relative_to(PACKAGE).parts[0] + "/" + path.name for path in files(".") if touches(path, "fuxictr")}
    beyond_models = {name for name in users if not name.startswith(("models/", "measuring/"))}  # it times FuxiCTR
    assert beyond_models == {"runs/host.py", "runs/step.py", "datasets/fuxictr_processor.py", "registry.py/registry.py"}


def test_nothing_unsafe_is_called():
    for path in files("."):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path
        assert not touches(path, "pickle"), path


def test_examples_have_no_time_limit_and_one_place_says_so():
    assert settings.default.deadline is None
    own = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py") if "deadline=" in path.read_text()}
    assert own <= {"tests/conftest.py", "tests/test_architecture.py"}
