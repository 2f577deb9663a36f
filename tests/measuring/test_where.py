"""Where a step's time goes: a step that is known to do one thing is found to do that."""

import pytest
import torch
from measuring import peers
from measuring.shapes import load_experiment, shape_of
from measuring.where import CLIPPING, KINDS, OPTIMIZER, PRODUCTS, REGULARISER, kind_of, shares

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training import fast_step


def of_a_step(vocabulary, units, rows, **settings):
    shape = peers.Shape([vocabulary], numeric=1, embedding_dim=8)
    model = peers.build(DNN, shape, fast=True, embedding_dim=8, hidden_units=[units, units], **settings)
    return shares(model, shape.batch(rows, torch.device("cpu")), steps=2)


def test_wide_layers_are_products_and_large_tables_are_not():
    wide = of_a_step(vocabulary=9, units=600, rows=500)
    assert wide[PRODUCTS] > 0.5
    large = of_a_step(vocabulary=400_000, units=4, rows=20, embedding_regularizer=1e-3)
    assert large[OPTIMIZER] > large[PRODUCTS]
    assert min(large[REGULARISER], large[CLIPPING]) > 0.005
    for found in (wide, large):
        assert set(found) == set(KINDS)
        assert sum(found.values()) == pytest.approx(1)
    unpenalised = of_a_step(vocabulary=400_000, units=4, rows=20)
    assert unpenalised[REGULARISER] == 0


def test_the_step_is_as_it_was_afterwards():
    before = fast_step.clip_gradients, fast_step.Penalty.add_gradient
    of_a_step(vocabulary=9, units=4, rows=20)
    assert (fast_step.clip_gradients, fast_step.Penalty.add_gradient) == before


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::addmm", "products"),
        ("aten::bmm", "products"),
        ("LookupBackward", "lookups"),
        ("aten::index_add_", "lookups"),
        ("aten::copy_", "copies"),
        ("Memcpy HtoD (Pinned -> Device)", "copies"),
        ("aten::gelu_backward", "element-wise"),
        ("aten::mul", "element-wise"),
        ("aten::sum", "element-wise"),
    ],
)
def test_operations_are_sorted_by_their_names(operation, kind):
    assert kind_of(operation) == kind


def test_rows_are_in_the_shape_of_the_experiments_dataset():
    criteo = shape_of(load_experiment("RankElastor_authors_criteo_dim_20"))
    assert (len(criteo.vocabulary), criteo.numeric, criteo.embedding_dim) == (26, 13, 20)
    with pytest.raises(UserError, match="in the shape of frappe, criteo, avazu"):
        shape_of(load_experiment("DCNv2_ml100k"))
