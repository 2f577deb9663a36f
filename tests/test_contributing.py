"""CONTRIBUTING.md says of the package what is true: its rooms, its files, and the functions on the way of a setting."""

import ast
import re

import pytest

from tests.conftest import ROOT
from tests.test_architecture import ROOMS

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
STEPS = re.findall(r"`(\w+)`\s+in\s+`(fuxi_plugins/[\w/]+\.py)`", PAGE)


def defined(path: str) -> set[str]:
    """Functions and classes of a module."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, kinds)}


def test_its_rooms_are_those_of_the_architecture_from_top_to_bottom():
    table = re.findall(r"^\| `(\w+)` \| \S", PAGE, flags=re.M)
    assert table == [room for floor in ROOMS for room in floor]


def test_the_files_it_names_exist():
    named = re.findall(r"`((?:fuxi_plugins|scripts|tests|benchmark_configs)/[\w/.]+)`", PAGE)
    assert len(named) > 20
    assert not [path for path in named if not (ROOT / path).exists()]


def test_it_says_what_every_script_is_for():
    table = PAGE.partition("## The scripts")[2].partition("\n## ")[0]
    scripts = {path.name for path in (ROOT / "scripts").iterdir() if path.suffix in (".py", ".sh")}
    assert sorted(re.findall(r"`(\w+\.(?:py|sh))`", table)) == sorted(scripts)


@pytest.mark.parametrize(("name", "path"), STEPS)
def test_a_function_on_the_way_is_defined_where_it_says(name, path):
    assert name in defined(path)


def test_the_way_has_ten_steps_and_starts_and_ends_with_what_is_there():
    journey = PAGE.partition("## The journey")[2]
    assert re.findall(r"^(\d+)\. ", journey, flags=re.M) == [str(number) for number in range(1, 11)]
    assert len(STEPS) >= 20
    config = (ROOT / "benchmark_configs" / "model_config" / "ml100k.yaml").read_text()
    assert "learning_rate: 5e-3" in config.partition("DCNv2_ml100k:")[2].partition("\n\n")[0]
    cell = re.search(r"the cell `(.+?)`", journey).group(1)
    board = (ROOT / "results" / "leaderboards" / "ml100k_board.md").read_text()
    assert any(cell in line and "DCNv2" in line for line in board.splitlines())
