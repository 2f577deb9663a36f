"""The clusters of test rows: read as the file has them, beside the labels and without a part in the data."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.clusters import Clusters
from fuxi_plugins.datasets.labels import find_test_clusters, find_test_labels
from fuxi_plugins.datasets.prepare import prepare_dataset


def prepared_with(workspace, line):
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("    group_id: group\n", f"    group_id: group\n    {line}\n"))
    spec = load_dataset_spec(workspace.configs, "tiny")
    return spec, prepare_dataset(spec, workspace)


@pytest.mark.parametrize(("named", "column"), [("user", "user"), ("shops", "shops"), ("group", "user")])
def test_clusters_are_those_of_the_file(workspace, tmp_path, named, column):
    before = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    spec, prepared = prepared_with(workspace, f"cluster_id: {named}")
    assert prepared.card == before.card, "the fingerprint is that of the data that models see"
    clusters = find_test_clusters(spec, prepared.card.fingerprint, workspace)
    values = pl.read_csv(tmp_path / "csv" / "test.csv", infer_schema=False)[column].to_list()
    assert len(clusters) == len(find_test_labels(spec, prepared.card.fingerprint, workspace).labels) == 300
    assert_same_partition(clusters, values)


def test_a_column_that_is_no_feature_and_unknown_to_train(workspace, tmp_path):
    for path in (tmp_path / "csv").glob("*.csv"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join(f"{line},{f'{path.stem}{i % 7}' if i else 'visit'}" for i, line in enumerate(lines)))
    spec, prepared = prepared_with(workspace, "cluster_id: visit")
    clusters = find_test_clusters(spec, prepared.card.fingerprint, workspace)
    assert_same_partition(clusters, [(row + 1) % 7 for row in range(300)])


def test_a_column_that_is_not_there_is_named(workspace):
    with pytest.raises(UserError, match="train.csv must have the columns .* but lacks visit"):
        prepared_with(workspace, "cluster_id: visit")


def test_without_the_setting_or_the_data_there_are_none(workspace):
    spec = load_dataset_spec(workspace.configs, "tiny")
    prepared = prepare_dataset(spec, workspace)
    assert find_test_clusters(spec, prepared.card.fingerprint, workspace) is None
    named = spec.model_copy(update={"cluster_id": "user"})
    assert find_test_clusters(named, prepared.card.fingerprint, workspace) is None


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=8), max_size=5))
def test_any_blocks_give_one_number_a_value(blocks):
    clusters = Clusters()
    for block in blocks:
        clusters.add(pl.Series(block, dtype=pl.String))
    rows = [value for block in blocks for value in block]
    assert_same_partition(clusters.numbers(), rows)


def assert_same_partition(numbers, values):
    """Two rows have the same number if and only if they have the same value; a missing value is like no other."""
    seen: dict[object, int] = {}
    keys = [("row", row) if value is None else value for row, value in enumerate(values)]
    for number, key in zip(numbers.tolist(), keys, strict=True):
        assert seen.setdefault(key, number) == number
    assert sorted(seen.values()) == list(range(len(seen)))
    np.testing.assert_equal(len(set(numbers.tolist())), len(seen))
