"""The quickstart's promise: the board of the synthetic data has the order that was planted."""

import json

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from tests.conftest import ROOT

FLOOR = ("LR", "FM")


@pytest.mark.slow
def test_lr_is_below_fm_is_below_every_deep_model_is_below_bayes(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    results = tmp_path / "results"
    done = CliRunner().invoke(
        main, ["--configs", str(ROOT / "benchmark_configs"), "--results", str(results), "run", "quickstart"]
    )
    assert done.exit_code == 0, done.output
    board = json.loads((results / "leaderboards" / "quickstart.json").read_text())
    means = {row["display_name"]: row["test"]["AUC"]["mean"] for row in board["rows"]}
    deep = [mean for display_name, mean in means.items() if display_name not in FLOOR]
    gap = 0.006  # several times the spread between seeds
    assert means["LR"] + gap < means["FM"]
    assert means["FM"] + gap < min(deep)
    assert max(deep) + gap < board["data"]["bayes"]["AUC"]
