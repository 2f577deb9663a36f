import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

LAYERS = sorted((ROOT / "fuxi_plugins" / "layers").glob("*.py"))


@pytest.mark.parametrize("path", LAYERS, ids=lambda path: path.stem)
def test_a_layer_imports_the_standard_library_torch_numpy_and_its_neighbours_alone(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots = {node.module.partition(".")[0]}
        else:
            continue
        assert roots <= {"torch", "numpy", *sys.stdlib_module_names}


def test_the_layers_work_without_fuxictr():
    code = (
        "import sys, fuxi_plugins.layers; print(sorted({'torch', 'fuxictr', 'pandas', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['torch']"
