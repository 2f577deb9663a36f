import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from fuxi_plugins.datasets import dataloader
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.dataloader import PIECES, ColumnLoader
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.training.feature_maps import load_feature_map


@pytest.fixture
def data(workspace):
    return prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)


def loader(data, split="train", **settings):
    settings = {"batch_size": 64, "shuffle": split == "train", "seed": 7, "num_workers": 0, **settings}
    return ColumnLoader(load_feature_map(data, 4), data.split_folder(split), split=split, **settings)


def rows_in_order(batches):
    """The rows of a pass as tuples, which identify them well enough to compare orders."""
    return [
        (int(user), round(float(price), 4), float(label))
        for batch in batches
        for user, price, label in zip(batch["user"], batch["price"], batch["label"], strict=True)
    ]


def test_every_row_comes_once_in_each_epoch_and_each_epoch_has_its_own_order(data):
    train = loader(data)
    first, second = rows_in_order(train), rows_in_order(train)
    assert len(first) == train.num_samples == 600
    assert first != second
    assert sorted(first) == sorted(second) == sorted(rows_in_order(loader(data, shuffle=False)))


def test_the_seed_alone_decides_the_order(data):
    assert rows_in_order(loader(data)) == rows_in_order(loader(data))
    assert rows_in_order(loader(data)) != rows_in_order(loader(data, seed=8))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_do_not_change_the_order(data, workers):
    assert rows_in_order(loader(data, num_workers=workers)) == rows_in_order(loader(data))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_blocks_that_workers_gather_ahead_come_in_their_order(data, workers, monkeypatch):
    monkeypatch.setattr(dataloader, "BLOCK_ROWS", 64)  # ten of them
    assert rows_in_order(loader(data, num_workers=workers)) == rows_in_order(loader(data))


def test_the_order_is_the_same_on_every_machine(data):
    """Worked out once; another value means that seeds no longer name what they named."""
    assert next(loader(data)._orders(0))[:8].tolist() == [237, 199, 70, 231, 588, 24, 239, 2]


def test_no_epoch_of_a_seed_is_an_epoch_of_another(data):
    orders = set()
    for seed in range(3):
        batches = loader(data, seed=seed)
        for batches.epoch in range(3):
            orders.add(tuple(next(batches._orders(batches.epoch))))
    assert len(orders) == 9


def test_rows_that_are_taken_come_in_the_order_asked_for(data):
    rows = [4, 0, 9]
    taken, whole = loader(data, "test").take(np.array(rows)), next(iter(loader(data, "test")))
    assert all(torch.equal(taken[name], column[rows]) for name, column in whole.items())


def test_evaluation_keeps_the_order_of_the_file(data, tmp_path):
    labels = torch.cat([batch["label"] for batch in loader(data, "test")])
    lines = (tmp_path / "csv" / "test.csv").read_text().splitlines()[1:]
    assert labels.tolist() == [float(line.split(",")[0]) for line in lines]


def test_tensors_are_what_fuxictr_models_expect(data):
    batch = next(iter(loader(data)))
    assert {name: (tuple(t.shape), t.dtype) for name, t in batch.items()} == {
        "user": ((64,), torch.int64),
        "shop": ((64,), torch.int64),
        "price": ((64, 1), torch.float32),
        "shops": ((64, 3), torch.int64),
        "group": ((64,), torch.int64),
        "label": ((64,), torch.float32),
    }
    assert all(tensor.is_contiguous() for tensor in batch.values())


@pytest.mark.parametrize(
    ("batch_size", "split", "sizes"),
    [
        (599, "train", [599]),  # a last batch of one row would break batch normalisation
        (299, "test", [299, 1]),  # but no row is left out of an evaluation
        (200, "train", [200, 200, 200]),
        (250, "train", [250, 250, 100]),
        (1000, "train", [600]),
    ],
)
def test_batch_sizes(data, batch_size, split, sizes):
    batches = loader(data, split, batch_size=batch_size)
    assert [len(batch["label"]) for batch in batches] == sizes
    assert len(batches) == len(sizes)
    in_order = loader(data, split, batch_size=batch_size, shuffle=False)
    assert [len(batch["label"]) for batch in in_order] == sizes


def test_the_only_row_of_a_split_is_a_batch(data):
    batches = loader(data, shuffle=False)
    batches.num_samples = 1
    assert [len(batch["label"]) for batch in batches] == [1]


def test_a_batch_holds_what_is_stored(data):
    """Each column, and each place of a history, is where the store has it."""
    (batch,) = loader(data, "test", batch_size=1000)
    stored = read_columns(data.split_folder("test"))
    assert set(batch) <= set(stored)
    for name, column in batch.items():
        np.testing.assert_array_equal(column.reshape(stored[name].shape), stored[name], err_msg=name)


@pytest.mark.parametrize("block_rows", [1, 64, 200, 1 << 16])
def test_how_many_rows_are_gathered_at_a_time_does_not_matter(data, monkeypatch, block_rows):
    whole = list(loader(data))
    monkeypatch.setattr(dataloader, "BLOCK_ROWS", block_rows)
    for ours, theirs in zip(loader(data), whole, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_error_in_a_worker_reaches_the_caller(data, monkeypatch):
    def fail(*_):
        raise OSError("the disk is gone")

    batches = loader(data, num_workers=2)
    monkeypatch.setattr(batches, "_gather", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        list(batches)


@given(st.integers(1, 300), st.integers(2, 40), st.integers(2, 300), st.integers(0, 5))
def test_windows_hold_every_row_once_in_an_order_of_the_seed_and_the_epoch(rows, batch_size, window, epoch):
    batches = object.__new__(ColumnLoader)
    batches.num_samples, batches.shuffle, batches.seed = rows, True, 3
    batches.window = -(-window // batch_size) * batch_size
    orders = [order.tolist() for order in batches._orders(epoch)]
    assert sorted(row for order in orders for row in order) == list(range(rows))
    assert orders == [order.tolist() for order in batches._orders(epoch)]
    assert all(len(order) == batches.window for order in orders[:-1])


def test_a_window_reads_few_places_and_shuffles_what_it_reads(data):
    batches = loader(data, window=100, batch_size=10)
    windows = list(batches._orders(0))
    assert [len(window) for window in windows] == [100] * 6
    for window in windows:
        pieces = np.split(np.sort(window), np.flatnonzero(np.diff(np.sort(window)) > 1) + 1)
        assert len(pieces) <= PIECES + 2
        assert (np.diff(window) != 1).mean() > 0.9
    assert windows[0].tolist() != next(iter(batches._orders(1))).tolist()
    assert rows_in_order(batches) != rows_in_order(loader(data, batch_size=10))


@pytest.mark.parametrize("settings", [{}, {"window": 64}, {"num_workers": 2}], ids=str)
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_read_the_same_batches_each_its_part(data, settings, processes):
    def share(rank):
        return lambda rows: range(rows * rank // processes, rows * (rank + 1) // processes)

    whole = list(loader(data, batch_size=47, **settings))
    parts = [list(loader(data, batch_size=47, share=share(rank), **settings)) for rank in range(processes)]
    for batch, *of_batch in zip(whole, *parts, strict=True):
        assert {part.rows for part in of_batch} == {len(batch["label"])}
        for name, column in batch.items():
            assert torch.equal(torch.cat([part[name] for part in of_batch]), column)
