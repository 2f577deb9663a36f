"""PPNet against its formula spelled out, and where its gates must change nothing."""

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models.ppnet import PPNet
from tests.models import tiny

N, K = 5, 4


def build(**settings) -> PPNet:
    settings = {"embedding_dim": K, "gate_emb_dim": 3, "gate_hidden_dim": 5, "hidden_units": [7, 6], **settings}
    model = tiny.build(PPNet, **settings)
    tiny.randomize(model, 0.3)
    return model.eval()


def affine(layer: nn.Linear, x: Tensor) -> Tensor:
    return torch.stack([sum(w * value for w, value in zip(row, x, strict=True)) for row in layer.weight]) + layer.bias


def test_it_is_its_formula():
    model, batch = build(gate_priors=["item", "user"]), tiny.columns(3)
    flat = model.embedding_layer(model.get_inputs(batch), flatten_emb=True)
    tables = model.prior_embedding.embedding_layer.embedding_layer.embedding_layers
    for row in range(3):
        own = [tables[name].weight[batch[name][row]] for name in ("user", "item")]  # as the dataset orders them
        g = torch.cat([flat[row], *own])
        h = flat[row]
        for layer, gate in zip(model.layers, model.gates, strict=True):
            opened = affine(gate.output, affine(gate.hidden, g).clamp(min=0))
            h = affine(layer[0], h).clamp(min=0) * 2 / (1 + (-opened).exp())
        torch.testing.assert_close(model(batch)["y_pred"][row], affine(model.fc, h).sigmoid())


def close_gates(model: PPNet) -> None:
    with torch.no_grad():
        for gate in model.gates:
            gate.output.weight.zero_()
            gate.output.bias.zero_()


def test_gates_of_zero_weights_leave_a_plain_mlp():
    model, batch = build(gate_priors=["user"]), tiny.columns(8)
    close_gates(model)
    h = model.embedding_layer(model.get_inputs(batch), flatten_emb=True)
    for layer in model.layers:
        h = layer[0](h).relu()
    torch.testing.assert_close(model(batch)["y_pred"], model.fc(h).sigmoid())


def test_no_gradient_reaches_the_features_embeddings_through_the_gates():
    model, batch = build(gate_priors=["user"]), tiny.columns(8)
    with torch.no_grad():
        model.layers[0][0].weight.zero_()  # so that the embeddings reach the prediction by the gates alone
    model(batch)["y_pred"].sum().backward()
    tables = model.embedding_layer.embedding_layer.embedding_layers
    assert all(table.weight.grad.abs().max() == 0 for table in tables.values())
    prior = model.prior_embedding.embedding_layer.embedding_layer.embedding_layers["user"]
    assert prior.weight.grad.abs().max() > 0


@pytest.mark.parametrize(("priors", "gate_dim"), [((), N * K), (("user", "history"), N * K + 6)])
def test_parameters(priors, gate_dim):
    model = build(gate_priors=priors)
    mlp = (N * K * 7 + 7) + (7 * 6 + 6) + (6 + 1)
    gates = 2 * (gate_dim * 5 + 5) + (5 * 7 + 7) + (5 * 6 + 6)
    assert tiny.dense_count(model) == mlp + gates
    assert (model.prior_embedding is None) == (not priors)


def test_every_table_of_the_priors_starts_small():
    """FuxiCTR's own start leaves out what shares its embedding, which here shares with nobody."""
    model = tiny.build(PPNet, gate_priors=["history"])
    table = model.prior_embedding.embedding_layer.embedding_layer.embedding_layers["history"].weight
    assert 0 < table.abs().max() < 1e-3
    assert table[0].eq(0).all()


def test_a_prior_that_is_no_field_is_refused():
    with pytest.raises(ValueError, match="the fields are user, .* but 'group' is named"):
        build(gate_priors=["group"])
