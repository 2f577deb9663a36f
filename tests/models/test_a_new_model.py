"""A new model is one file and one line in the registry: here that of docs/add_a_model.md, in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, make_workspace

pytestmark = pytest.mark.slow  # processes that load torch, on a machine that may be busy

NAME = "FieldGate"
COPIED = ("benchmark_configs", "docs", "fuxi_plugins", "scripts", "tests")
LINKED = ("README.md", "pyproject.toml", "results")
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "add_a_model.md").read_text(), flags=re.DOTALL)


def block(start: str) -> str:
    (found,) = (text for text in BLOCKS if text.lstrip().startswith(start))
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in LINKED:
        (root / name).symlink_to(ROOT / name)
    models = root / "fuxi_plugins" / "models"
    (models / "fieldgate.py").write_text(block("# fuxi_plugins/models/fieldgate.py"))
    registry = (models / "registry.py").read_text()
    first = "NATIVE_MODELS = {\n"
    assert registry.count(first) == 1
    (models / "registry.py").write_text(registry.replace(first, first + block(f'"{NAME}"')))
    return root


def run(checkout: Path, *arguments: str) -> str:
    """The output of a Python process in the copy, which must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def passed(checkout: Path, *arguments: str) -> int:
    """How many tests have passed in the copy."""
    options = ("-o", "addopts=", "-n", "0", "-p", "no:cacheprovider")
    found = re.search(r"(\d+) passed", run(checkout, "-m", "pytest", *options, *arguments))
    assert found
    return int(found[1])


def test_it_is_held_to_the_contract(checkout):
    assert passed(checkout, "tests/models/test_contract.py", "-k", NAME) >= 12


def test_its_code_is_named_and_gets_a_revision_when_it_is_frozen(checkout):
    code = f"from fuxi_plugins.experiments.code import code_of; print(code_of({NAME!r}).model)"
    assert run(checkout, "-c", code).startswith("sha256:")


def test_a_new_board_has_a_row_of_it(checkout, tmp_path, monkeypatch):
    workspace = make_workspace(tmp_path, monkeypatch)
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    run(checkout, "-m", "fuxi_plugins", *folders, "new", "tiny")
    experiments = (workspace.configs / "model_config" / "tiny_common.yaml").read_text()
    entry = experiments.split(f"{NAME}_tiny_common:\n")[1].split("\n\n")[0]
    assert f"model: {NAME}" in entry
    assert "hidden_units: [128, 64]" in entry


def test_the_scripts_write_what_follows_and_the_checks_of_it_pass(checkout):
    run(checkout, "scripts/make_zoo_experiments.py")
    run(checkout, "scripts/make_model_page.py")
    assert f"\n## {NAME}\n" in (checkout / "docs" / "models.md").read_text()
    files = ("models/test_model_page.py", "experiments/test_zoo_experiments.py", "experiments/test_common.py")
    chosen = "page or section or committed or every_model_once or has_a_row"
    assert passed(checkout, *(f"tests/{file}" for file in files), "-k", chosen) == 5
