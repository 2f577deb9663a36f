"""The arrows of the design: who may import whom."""

import ast
import re
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter

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


# The rooms of the package from top to bottom: a module imports from its own room and from those below it.
ROOMS = (
    ("cli",),
    ("reporting",),
    ("tuning", "submissions"),
    ("execution",),
    ("training",),
    ("experiments",),
    ("analysis",),
    ("diagnostics",),
    ("datasets",),
    ("models",),
    ("records",),
    ("layers",),
    ("core",),
)
FLOOR = {room: len(ROOMS) - place for place, rooms in enumerate(ROOMS) for room in rooms}
LOOSE = {"__init__.py", "__main__.py"}  # the only modules at the package's root
WITHOUT_TORCH = ("records", "analysis", "reporting", "core")  # a laptop without torch rebuilds every table


def files(*names):
    for name in names:
        path = PACKAGE / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def touches(path, *modules) -> set[str]:
    return {name for name in imported(path) if any(name == m or name.startswith(m + ".") for m in modules)}


def test_every_module_lies_in_a_room():
    assert {path.name for path in PACKAGE.glob("*.py")} == LOOSE
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(FLOOR)


@pytest.mark.parametrize("room", FLOOR)
def test_every_arrow_runs_down(room):
    upward = {
        f"{path.relative_to(ROOT)} -> {name}"
        for path in files(room)
        for name in touches(path, "fuxi_plugins")
        if (other := name.removeprefix("fuxi_plugins").strip(".").partition(".")[0]) in FLOOR
        and other != room
        and FLOOR[other] >= FLOOR[room]
    }
    assert not upward


# Modules beside ``cli``, whose commands import what they need when they run, that import within a function, and why.
LATE_IMPORTS = {
    "analysis/find_evidence.py": "HDF5 and what reads datasets; most boards find their evidence kept",
    "datasets/label_rule.py": "polars, without which configs are read and listed",
    "datasets/preprocessing.py": "FuxiCTR's preprocessing, which imports Ray",
    "datasets/sources/hub.py": "huggingface-hub, an extra",
    "execution/planner.py": "torch and FuxiCTR, which listing and reporting do without",
    "execution/processes.py": "the trainer, which only a run's own process needs",
    "execution/measure_cost.py": "torch, which the process that measures has",
    "execution/resources.py": "torch, when GPUs are named",
    "experiments/equal_size.py": "torch and FuxiCTR, without which suites are listed",
    "experiments/training_settings.py": "torch, for the name of an optimizer",
    "models/checkouts.py": "torch, when a class of a checkout is loaded",
    "models/registry.py": "FuxiCTR, when a class is loaded",
    "records/metrics/ranking.py": "scipy, which takes half a second",
    "reporting/frames.py": "matplotlib, for a plot",
    "reporting/table.py": "pandas, for a frame",
    "reporting/tabular.py": "matplotlib, for the widths of letters",
    "submissions/bundle.py": "what prepares data, to verify alone",
    "training/compiling.py": "torch's compiler, which takes seconds and is asked for by few",
    "training/provenance.py": "torch, without which a record of failure can be written",
    "training/runner.py": "the trainer, without which a record of failure can be written",
    "training/trackers.py": "trackers, which are extras",
    "training/worker.py": "several processes, which most runs do without",
    "tuning/search.py": "optuna, an extra",
}


def test_imports_within_functions_have_a_reason():
    late = set()
    for path in files("."):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function)
            ):
                late.add(path.relative_to(PACKAGE).as_posix())
    assert {name for name in late if not name.startswith("cli/")} == set(LATE_IMPORTS)


def test_no_two_modules_import_each_other():
    """Whether at their start or later, within functions."""
    known = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files(".")}
    graph = {name: sorted(imported(path) & set(known)) for name, path in known.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_tables_are_made_without_torch(room):
    assert not {str(path): found for path in files(room) if (found := touches(path, "torch", "fuxictr"))}


def test_the_layers_know_torch_alone():
    assert not {str(path): found for path in files("layers") if (found := touches(path, "fuxictr"))}


def test_fuxictrs_training_is_known_to_a_few_modules_and_its_preprocessing_to_another():
    users = {str(path.relative_to(PACKAGE)) for path in files(".") if touches(path, "fuxictr")}
    others = {name for name in users if not name.startswith("models/")}
    training = {"trainer.py", "feature_maps.py", "fast_step.py", "compiling.py", "distributed/sharded_table.py"}
    assert others == {*(f"training/{name}" for name in training), "datasets/preprocessing.py"}


def test_every_package_that_is_imported_is_named_in_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    known = {re.match(r"[\w-]+", one)[0].lower().replace("-", "_") for one in named}
    modules = {"scikit_learn": "sklearn", "pyyaml": "yaml", "markdown_it_py": "markdown_it"}
    their_own = {"pydantic_core", "markupsafe"}  # of pydantic and of jinja2
    used = {name.partition(".")[0] for path in files(".") for name in imported(path)}
    used -= {*sys.stdlib_module_names, "fuxi_plugins", *their_own}
    assert used <= {modules.get(name, name) for name in known}


def test_configs_are_read_with_the_catalogue():
    """``Workspace.configs`` is where a user's own are written; without the catalogue, shipped names are unknown."""
    reading = re.compile(r"\b(load_\w+|suite_names|files_by_name|start_board|expand)\(\s*workspace\.configs\b")
    assert not [str(path) for path in files(".") if reading.search(path.read_text())]


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
