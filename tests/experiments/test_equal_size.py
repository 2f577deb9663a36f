"""Widths that make two models equally large, and settings that wait until they are read."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.equal_size import LateSettings, as_large_as, nearest_width
from tests.conftest import ROOT

TOKENS = {"model": "RankElastor", "formulation": "official_code", "num_tokens": 4, "token_dim": 8}
REFERENCE = {**TOKENS, "ffn_hidden_units": [64, 64]}
FIELDS = (4, 4, 4, 4)


@given(
    slope=st.integers(1, 50),
    curve=st.integers(0, 50),
    constant=st.integers(0, 1000),
    target=st.integers(1, 10_000),
    start=st.integers(1, 300),
)
def test_the_nearest_width_is_that_of_trying_all(slope, curve, constant, target, start):
    def size(width):
        return constant + slope * width + curve * width**2

    nearest = min(abs(size(width) - target) for width in range(1, target + 2))
    assert abs(size(nearest_width(target, size, start)) - target) == nearest


def test_few_sizes_are_computed():
    asked = set()

    def size(width):
        asked.add(width)
        return 1_000 + 300 * width + 7 * width**2

    assert nearest_width(size(777), size) == 777
    assert len(asked) < 15


def test_a_model_gets_the_reference_s_size():
    assert as_large_as(REFERENCE, {**TOKENS, "ffn_hidden_units": [9, 9]}, FIELDS, "same") == REFERENCE
    mlp = as_large_as(REFERENCE, {"model": "DNN", "hidden_units": [5, 5]}, FIELDS, "MLP")
    assert mlp["hidden_units"][0] == mlp["hidden_units"][1] > 64


def test_a_size_that_no_width_gives_is_refused():
    deep = {"model": "DNN", "hidden_units": [1] * 9}
    small = {"model": "DNN", "hidden_units": [2]}
    with pytest.raises(UserError, match="MLP must come within 2% of the 37 dense parameters of DNN, but the nearest"):
        as_large_as(small, deep, FIELDS, "MLP")


def test_late_settings_are_made_once_and_when_read():
    made = []

    def make():
        made.append(1)
        return {"width": 3, "depth": 2}

    late = LateSettings(["width", "depth"], make)
    assert list(late) == ["width", "depth"]
    assert len(late) == 2
    assert not made
    assert late == {"width": 3, "depth": 2} == {**late}
    assert len(made) == 1


def test_suites_of_equal_sizes_are_listed_without_torch():
    code = (
        "import sys\n"
        "for name in ('torch', 'fuxictr'): sys.modules[name] = None\n"
        "from fuxi_plugins.core.workspace import Workspace\n"
        "from fuxi_plugins.experiments.suite import load_suite\n"
        "suite = load_suite(Workspace.locate().all_configs, 'paper_ablation@ml100k,matched')\n"
        "print(len([config.origins for config in suite.experiments]))\n"
        "try: suite.experiments[1].settings['ffn_hidden_units']\n"
        "except ImportError: print('needs torch')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines() == ["17", "needs torch"]
