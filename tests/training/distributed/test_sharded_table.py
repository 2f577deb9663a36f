"""Sharded tables: where rows lie, their initial values, and training equal to that of whole tables."""

import copy

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.training.distributed import initial_values
from fuxi_plugins.training.distributed.placement import Layout, Planner
from fuxi_plugins.training.distributed.sharded import ShardedMixin
from fuxi_plugins.training.distributed.sharded_table import (
    ShardedTable,
    look_up_together,
    sharded_tables,
    sharded_tables_of,
)
from fuxi_plugins.training.fast_step import FastStep
from fuxi_plugins.training.sparse_embeddings import SparseEmbeddings
from tests.models import tiny
from tests.training.distributed.forked import in_processes

LAYOUTS = st.builds(
    lambda rows, processes, owner: Layout(rows, processes, None if owner is None else owner % processes),
    st.integers(1, 500),
    st.integers(1, 9),
    st.none() | st.integers(0, 8),
)


@given(LAYOUTS)
def test_every_row_has_one_place_on_the_process_that_it_is_looked_up_on(layout):
    rows = torch.arange(layout.rows)
    assert sorted(layout.places(rows).tolist()) == rows.tolist()
    held = [layout.held(rank) for rank in range(layout.processes)]
    assert [place for part in held for place in part] == rows.tolist()
    owners, numbers = layout.find(rows)
    assert [held[owner][number] for owner, number in zip(owners, numbers, strict=True)] == layout.places(rows).tolist()
    assert all(len(part) <= layout.size for part in held)


@given(st.integers(100, 100_000), st.integers(2, 9))
def test_frequent_ids_are_spread_over_the_processes(rows, processes):
    """The first ids are the frequent ones. Without places all of them would lie on the first process."""
    owners, _ = Layout(rows, processes).find(torch.arange(10 * processes))
    assert torch.bincount(owners, minlength=processes).max() <= 10 + 4


def test_auto_splits_large_tables_and_spreads_small_ones():
    planner = Planner("auto", processes=2)
    assert [planner.layout(rows, 4).owner for rows in (1 << 16, 1000, 10, 20, 5000)] == [None, 0, 1, 1, 1]


FILLS = {
    "normal": lambda weight: nn.init.normal_(weight[1:, :], std=1e-4),
    "uniform": lambda weight: nn.init.uniform_(weight, -1, 1),
    "xavier": lambda weight: nn.init.xavier_normal_(weight[1:]),
    "constant": lambda weight: nn.init.constant_(weight[2:5], 3.0),
    "data": lambda weight: weight.data[1:].normal_(),
}


@settings(max_examples=60)
@given(st.integers(6, 99), st.integers(1, 5), st.sampled_from(sorted(FILLS)), st.integers(1, 3), st.integers(1, 3))
def test_initial_values_are_those_of_the_whole_table(rows, columns, fill, processes, blocks):
    parts = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initial_values, "BLOCK_ROWS", blocks * initial_values.DRAWN_TOGETHER)
        for rank in range(processes):
            patch.setattr("torch.distributed.get_rank", lambda rank=rank: rank)
            torch.manual_seed(rows)
            table = ShardedTable(rows, columns, 0, Layout(rows, processes))
            FILLS[fill](table.weight)
            parts.append(table.shard.detach())
            after = torch.rand(3)
    torch.manual_seed(rows)
    table = nn.Embedding(rows, columns, padding_idx=0)
    with torch.no_grad():
        FILLS[fill](table.weight)
    whole = table.weight.detach()
    assert torch.equal(torch.cat(parts)[Layout(rows, processes).places(torch.arange(rows))], whole)
    assert torch.equal(torch.rand(3), after), "what is drawn next must be the same too"


def test_a_model_that_reads_a_whole_table_is_told(monkeypatch):
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    weight = ShardedTable(10, 4, None, Layout(10, 2)).weight
    for reads in (lambda: weight @ torch.ones(4), lambda: weight[::2], lambda: weight.norm(), weight.tolist):
        with pytest.raises(UserError, match="each process holds only some rows"):
            reads()


MODELS = {
    "DNN": {},
    "DCNv2": {},
    "RankElastor": {"num_tokens": 5, "token_dim": 6, "num_blocks": 1, "tokenizer_hidden_units": (8,)},
    "DSSM": {},  # looks up the user's side and the item's each by itself
    "FFM": {},  # has many embedding layers
    "FinalMLP": {"fs1_context": ["user"], "fs2_context": ["item"]},  # starts some of its tables by itself
}
REGULARISED = {"embedding_regularizer": 1e-2, "net_regularizer": "l1_l2(1e-4,1e-3)"}


def build(name, mixins, given_settings):
    return tiny.build(type("Built", (*mixins, load_model_class(name)), {}), **MODELS[name], **given_settings)


def train(model, steps, limit):
    model.train()
    model._max_gradient_norm = limit
    return [float(model.train_step(batch)) for batch in tiny.batches(rows=41 * steps, batch_size=41)]


def train_shared(name, sharding, step, steps, limit, regularised):
    """In one of several processes: the losses, the parameters by name, and the initial and final parts of tables."""
    with sharded_tables(sharding):
        model = build(name, (ShardedMixin, step), regularised)
    model.join(seed=0)
    tables = sharded_tables_of(model)
    initial = [copy.deepcopy(table.shard.data) for table in tables]
    losses = train(model, steps, limit)
    whole = {n: p.detach().numpy() for n, p in model.named_parameters() if not n.endswith(".shard")}
    parts = [(t.layout, a.numpy(), t.shard.detach().numpy()) for t, a in zip(tables, initial, strict=True)]
    return losses, whole, parts


def require_equal(name, sharding, step, folder, processes=2, steps=100, limit=0.5, regularised=REGULARISED):
    """In float64, for in float32 Adam enlarges the rounding of gradients near zero."""
    with tiny.in_float64():
        torch.set_default_dtype(torch.float64)
        try:
            alone = build(name, (step,), regularised)
            tables = [m for m in alone.modules() if type(m) is nn.Embedding]
            initial = [table.weight.detach().clone() for table in tables]
            expected = train(alone, steps, limit)
            found = in_processes(processes, folder, train_shared, name, sharding, step, steps, limit, regularised)
        finally:
            torch.set_default_dtype(torch.float32)
    losses = [sum(each) / processes for each in zip(*(one[0] for one in found), strict=True)]
    assert losses == pytest.approx(expected, rel=1e-9)
    parameters = dict(alone.named_parameters())
    for _, whole, _ in found:
        for key, value in whole.items():
            torch.testing.assert_close(torch.from_numpy(value), parameters[key].detach(), rtol=1e-6, atol=1e-10)
    for number, table in enumerate(tables):
        layout = found[0][2][number][0]
        places = layout.places(torch.arange(layout.rows))
        for moment, values in ((1, initial[number]), (2, table.weight.detach())):
            together = torch.cat([torch.from_numpy(one[2][number][moment]) for one in found])
            torch.testing.assert_close(together[places], values, rtol=1e-6, atol=1e-10 if moment == 2 else 0)


@pytest.mark.parametrize("sharding", ["row_wise", "table_wise"])
@pytest.mark.parametrize(
    ("name", "step"),
    [("DNN", FastStep), ("DNN", SparseEmbeddings), ("DCNv2", FastStep), ("RankElastor", FastStep)],
)
def test_a_hundred_steps_end_where_one_process_does(name, sharding, step, tmp_path):
    require_equal(name, sharding, step, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["row_wise", "table_wise"])
@pytest.mark.parametrize("name", ["DNN", "DCNv2", "RankElastor"])
@pytest.mark.parametrize("step", [FastStep, SparseEmbeddings])
def test_four_processes_do_too(name, sharding, step, tmp_path):
    require_equal(name, sharding, step, tmp_path, processes=4)


@pytest.mark.parametrize("name", ["DSSM", "FFM", "FinalMLP"])
def test_other_ways_to_look_up(name, tmp_path):
    require_equal(name, "row_wise", FastStep, tmp_path, steps=5, limit=10.0, regularised={})


def held(sharding, step):
    """Bytes that one process holds for tables, between two steps, and the same of whole tables."""
    with sharded_tables(sharding):
        model = build("DNN", (ShardedMixin, step), {"embedding_dim": 10})
    model.join(seed=0)
    train(model, 2, 10.0)
    kept, whole = 0, 0
    optimizers = getattr(model.optimizer, "optimizers", [model.optimizer])
    for table in sharded_tables_of(model):
        states = next(o.state[table.shard] for o in optimizers if table.shard in o.state)
        tensors = [table.shard, table.shard.grad.to_dense(), *(s for s in states.values() if torch.is_tensor(s))]
        kept += sum(tensor.nbytes for tensor in tensors if tensor.dim())
        whole += 4 * table.num_embeddings * table.embedding_dim * 4
    return kept, whole


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("step", [FastStep, SparseEmbeddings])
def test_each_process_holds_its_share_of_weights_gradients_and_states(step, processes, tmp_path):
    found = in_processes(processes, tmp_path, held, "row_wise", step)
    (whole,) = {whole for _, whole in found}
    assert sum(kept for kept, _ in found) == whole
    assert max(kept for kept, _ in found) <= whole / processes  # 12 rows a table


def looked_up_alone():
    layout = Layout(10, 2)
    torch.manual_seed(0)
    table = ShardedTable(10, 3, None, layout)
    ids = torch.tensor([[1, 2], [9, 1]])
    rows = table(ids)
    rows.sum().backward()
    return rows.detach().numpy(), table.shard.grad.sum().item()


def test_a_table_can_be_looked_up_without_its_layer(tmp_path):
    found = in_processes(2, tmp_path, looked_up_alone)
    torch.manual_seed(0)
    expected = nn.Embedding(10, 3)(torch.tensor([[1, 2], [9, 1]])).detach()
    for rows, _ in found:
        assert torch.equal(torch.from_numpy(rows), expected)
    assert sum(gradient for _, gradient in found) == 2 * 4 * 3 / 2  # both processes' rows, averaged


def exchanges():
    with sharded_tables("row_wise"):
        model = build("DNN", (FastStep,), {})
    look_up_together(model)
    sent = []
    with pytest.MonkeyPatch.context() as patch:
        own = torch.distributed.all_to_all_single
        patch.setattr("torch.distributed.all_to_all_single", lambda *a, **k: sent.append(a[1].numel()) or own(*a, **k))
        model(tiny.columns(200))
    return sent


def test_the_tables_of_a_layer_are_looked_up_in_one_exchange_of_different_rows(tmp_path):
    for counts, ids, rows in in_processes(2, tmp_path, exchanges):
        assert counts == 2
        assert ids <= 3 * 12  # two hundred rows of five columns need no more of three tables of twelve rows
        assert rows <= 2 * 18 * 10
