"""Runs read copies of libsvm and encoded files, and no run takes an old copy for the file of today."""

import os

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.describing.own_data import describe_own
from fuxi_plugins.datasets.prepare import prepare_dataset


@pytest.fixture
def described(tmp_path):
    """A libffm file and the workspace that has a copy of it."""
    original = tmp_path / "clicks.ffm"
    original.write_text(
        "".join(f"{row % 2} 0:{row % 7}:1 1:{20 + row % 5}:1 2:{40 + row % 3}:1\n" for row in range(300))
    )
    workspace = Workspace(tmp_path / "benchmark_configs", tmp_path / "results", tmp_path / "cache")
    describe_own("mine", original, workspace)
    return original, workspace


def rows(workspace):
    prepared = prepare_dataset(load_dataset_spec(workspace.all_configs, "mine"), workspace)
    return sum(prepared.card.rows.values())


def test_a_changed_original_is_refused(described):
    original, workspace = described
    assert rows(workspace) == 300
    original.write_text(original.read_text() + "1 0:3:1 1:21:1 2:41:1\n")
    with pytest.raises(UserError, match=r"clicks.ffm must be as it was when it was copied .* but has changed"):
        rows(workspace)
    (workspace.configs / "dataset_config" / "mine.yaml").unlink()
    describe_own("mine", original, workspace)
    assert rows(workspace) == 301


def test_an_original_that_was_touched_or_is_gone_is_not(described):
    original, workspace = described
    os.utime(original, (1, 1))
    assert rows(workspace) == 300
    original.unlink()
    assert rows(workspace) == 300
