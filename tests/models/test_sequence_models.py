"""DIN, BST, DIEN and TransAct, spelled out row by row, with padding in front, behind, and nothing but padding."""

import inspect
from typing import get_args

import pytest
import torch
from torch import Tensor

from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.experiments.requirements import unmet, unmet_need
from fuxi_plugins.models.dien_cells import Formulation
from fuxi_plugins.models.histories import padding_first
from fuxi_plugins.models.needs import Needs
from fuxi_plugins.models.registry import NATIVE_MODELS, load_model_class
from tests.models import tiny

SEQUENCE_MODELS = [
    "BST", "DIEN", "DIN", "DMIN", "DMR", "ETA", "HSTU", "HyFormer", "InterFormer", "OneTrans", "SDIM", "SIM",
    "TransAct",
]  # fmt: skip
SMALL = {"embedding_dim": 4}
NARROW = {  # else random weights predict 0 or 1 for all
    **{name: {"dnn_hidden_units": [8], "attention_dim": 4} for name in ("ETA", "SDIM", "SIM")},
    "HSTU": {"token_dim": 8, "attention_dim": 4, "hidden_dim": 4},
    "OneTrans": {"token_dim": 8, "num_tokens": 3, "num_heads": 2},
}


def build(name: str, **settings):
    model = tiny.build(load_model_class(name), **SMALL, **NARROW.get(name, {}), **settings)
    tiny.randomize(model, 0.3)
    return model.eval()


def batch_with(history: list[list[int]]) -> dict[str, Tensor]:
    batch = tiny.columns(len(history))
    batch["history"] = torch.tensor(history)
    return batch


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_a_row_without_history_is_a_number_that_its_neighbours_do_not_change(name):
    model = build(name)
    both = model(batch_with([[0, 0, 0, 0], [1, 2, 3, 4]]))["y_pred"]
    alone = model(tiny.take(batch_with([[0, 0, 0, 0], [1, 2, 3, 4]]), [0]))["y_pred"]
    assert both.isfinite().all()
    torch.testing.assert_close(both[:1], alone)


def test_padding_goes_to_the_front_and_becomes_zero():
    behaviours = torch.tensor([[[1.0], [9.0], [2.0]], [[3.0], [4.0], [9.0]]])
    real = torch.tensor([[True, False, True], [True, True, False]])
    moved, are_real = padding_first(behaviours, real)
    assert moved.squeeze(-1).tolist() == [[0, 1, 2], [0, 3, 4]]
    assert are_real.tolist() == [[False, True, True]] * 2


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_a_row_without_history_learns(name):
    model = build(name).train()
    batch = batch_with([[0, 0, 0, 0]] * 3)
    model.compute_loss(model(batch), model.get_labels(batch)).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("name", [name for name in SEQUENCE_MODELS if name != "BST"])
def test_it_does_not_matter_on_which_side_the_padding_is(name):
    model = build(name)
    front, behind = (batch_with([row])["history"] for row in ([0, 0, 5, 7], [5, 7, 0, 0]))
    batch = batch_with([[0, 0, 5, 7]])
    one, other = (model({**batch, "history": history})["y_pred"] for history in (front, behind))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["BST", "DIEN", "DMIN", "DMR", "HSTU", "InterFormer", "OneTrans", "TransAct"])
def test_the_order_of_the_history_matters(name):
    model = build(name)
    batch = batch_with([[0, 3, 5, 7]])
    turned = batch_with([[0, 7, 5, 3]])["history"]
    assert not torch.allclose(model(batch)["y_pred"], model({**batch, "history": turned})["y_pred"])


def embeddings(model, batch) -> tuple[Tensor, Tensor, Tensor]:
    """The fields' vectors but the history's (B, 4k), the target's (B, k), and the behaviours' (B, L, k)."""
    embedded, others = model.embedding_layer(model.get_inputs(batch))
    return others, embedded["item"], embedded["history"]


def test_din_is_its_formula():
    model = build("DIN", attention_hidden_activations="ReLU")
    batch = batch_with([[0, 3, 5, 7], [0, 0, 0, 2], [1, 0, 2, 0]])
    others, target, behaviours = embeddings(model, batch)
    expected = []
    for row in range(3):
        pooled = torch.zeros(4)
        for s, item in zip(behaviours[row], batch["history"][row], strict=True):
            if item:
                t = target[row]
                weight = model.attention_layers[0].attention_layer(torch.cat([t, s, t - s, t * s]).unsqueeze(0))
                pooled = pooled + weight.squeeze() * s
        expected.append(model.dnn(torch.cat([others[row], pooled]).unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


@pytest.mark.parametrize("formulation", get_args(Formulation))
@pytest.mark.parametrize("gru_type", ["GRU", "AIGRU", "AGRU", "AUGRU"])
def test_dien_is_its_formula(gru_type, formulation):
    model = build("DIEN", gru_type=gru_type, formulation=formulation)
    batch = batch_with([[0, 3, 5, 7], [0, 0, 0, 0], [1, 0, 2, 0]])
    others, target, behaviours = embeddings(model, batch)
    part = model.evolutions[0]
    expected = []
    for row in range(3):
        real = [s for s, item in zip(behaviours[row], batch["history"][row], strict=True) if item]
        state = torch.zeros(4)
        if real:
            interests = part.extraction(torch.stack(real).unsqueeze(0))[0][0]
            state = evolved(part, gru_type, formulation, interests, target[row])
        expected.append(model.dnn(torch.cat([others[row], state]).unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


def evolved(part, gru_type: str, formulation: str, interests: Tensor, target: Tensor) -> Tensor:
    if gru_type == "GRU":
        return part.evolution(interests.unsqueeze(0))[0][0, -1]
    scores = torch.stack([i @ part.score.linear.weight @ target for i in interests])
    weights = scores.exp() / scores.exp().sum()
    if gru_type == "AIGRU":
        return part.evolution((interests * weights.unsqueeze(1)).unsqueeze(0))[0][0, -1]
    h = torch.zeros(4)
    for i, a in zip(interests, weights, strict=True):
        if formulation in ("mixed", "official_code"):
            gates = part.gates(torch.cat([i, h])).sigmoid()
            u, r = gates[:4], gates[-4:]
            candidate = part.candidate(torch.cat([i, r * h])).tanh()
        else:
            v, w = part.of_interest.weight, part.of_state.weight
            b, c = part.of_interest.bias, part.of_state.bias if formulation == "fuxictr" else torch.zeros(len(w))
            gates = (v @ i + b + w @ h + c).sigmoid()
            u, r = gates[:4], gates[-8:-4]
            candidate = (v[-4:] @ i + b[-4:] + r * (w[-4:] @ h + c[-4:])).tanh()
        if gru_type == "AGRU":
            h = (1 - a) * h + a * candidate
        elif formulation == "official_code":
            h = (1 - a) * u * h + (1 - (1 - a) * u) * candidate
        else:
            h = (1 - a * u) * h + a * u * candidate
    return h


@pytest.mark.parametrize("gru_type", ["AGRU", "AUGRU"])
def test_the_parameters_of_diens_cells_are_those_of_their_formulas(gru_type):
    m, gates = 4, 1 if gru_type == "AGRU" else 2
    counts = {
        "mixed": (gates + 1) * (2 * m * m + m),
        "official_code": (gates + 1) * (2 * m * m + m),
        "paper": (gates + 1) * (2 * m * m + m),
        "fuxictr": (gates + 1) * (2 * m * m + 2 * m),
    }
    base = tiny.dense_count(build("DIEN", gru_type="GRU")) - 3 * (2 * m * m + 2 * m) + m * m  # W of the attention
    for formulation, count in counts.items():
        assert tiny.dense_count(build("DIEN", gru_type=gru_type, formulation=formulation)) - base == count


def test_the_gates_of_diens_official_code_start_open_and_fuxictrs_attention_at_the_identity():
    model_class = load_model_class("DIEN")
    for formulation in get_args(Formulation):
        part = tiny.build(model_class, **SMALL, formulation=formulation).evolutions[0]
        if formulation in ("mixed", "official_code"):
            assert part.gates.bias.eq(formulation == "official_code").all()
        assert torch.equal(part.score.linear.weight, torch.eye(4)) == (formulation == "fuxictr")


def test_bst_is_its_formula():
    model = build("BST", num_heads=1)
    batch = batch_with([[0, 3, 5, 7], [0, 0, 0, 0]])
    others, target, behaviours = embeddings(model, batch)
    part, expected = model.transformers[0], []
    block = part.blocks[0]
    for row in range(2):
        kept = [place for place in range(4) if batch["history"][row, place]] + [4]
        places = torch.cat([behaviours[row], target[row : row + 1]])[kept]
        x = torch.cat([places, part.position_emb[kept]], dim=1)
        q, k, v = (x @ block.attention.in_proj_weight.T + block.attention.in_proj_bias).chunk(3, dim=1)
        attended = block.attention.out_proj((q @ k.T / x.shape[1] ** 0.5).softmax(dim=1) @ v)
        s = block.norm_1(x + attended)
        out = block.norm_2(s + block.ffn(s)).mean(dim=0)
        expected.append(model.dnn(torch.cat([others[row], out]).unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


@pytest.mark.parametrize(
    "settings",
    [{}, {"max_pool_linear": True}, {"empty_history": "padding", "max_pool_linear": True}, {"mlp_hidden_units": [5]}],
)
def test_transact_is_its_formula(settings):
    model = build("TransAct", first_k_cols=2, **settings)
    batch = batch_with([[0, 3, 5, 7], [0, 0, 0, 0], [4, 0, 0, 0]])
    others, target, behaviours = embeddings(model, batch)
    expected = []
    for row in range(3):
        real = [s for s, item in zip(behaviours[row], batch["history"][row], strict=True) if item]
        found = torch.zeros(3, 8)  # the latest, the one before, the maximum
        if not real and settings.get("empty_history") == "padding":
            real = [torch.zeros(4)]
        if real:
            places = torch.stack([torch.cat([s, target[row]]) for s in reversed(real)])
            read = model.transformers[0](places.unsqueeze(0))[0]
            for place in range(min(2, len(real))):
                found[place] = read[place]
            found[2] = read.max(dim=0).values
        if settings.get("max_pool_linear"):
            found[2] = model.pooled_maps[0].weight @ found[2] + model.pooled_maps[0].bias
        x_0 = torch.cat([others[row], found.flatten()]).unsqueeze(0)
        parts = torch.cat([model.crossnet(x_0), model.dnn(x_0)], dim=1)
        if settings.get("mlp_hidden_units"):
            parts = (parts @ model.mlp.mlp[0].weight.T + model.mlp.mlp[0].bias).relu()
        expected.append(model.fc(parts).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


def test_the_histories_can_be_named_and_what_does_not_fit_is_refused():
    named = build("DIN", din_target_field=["item"], din_sequence_field=["history"])
    found = build("DIN")
    batch = batch_with([[0, 3, 5, 7]])
    assert torch.equal(named(batch)["y_pred"], found(batch)["y_pred"])
    for settings, message in (
        ({"din_target_field": ["item"]}, "named together"),
        ({"din_target_field": ["itm"], "din_sequence_field": ["history"]}, "but 'itm' is named"),
        ({"din_target_field": ["item", "user"], "din_sequence_field": ["history"]}, "a sequence for every target"),
    ):
        with pytest.raises(ValueError, match=message):
            build("DIN", **settings)
    with pytest.raises(ValueError, match="a behaviour history is needed"):
        tiny.build(load_model_class("DIN"), tiny.plain_feature_map(3, 4), **SMALL)


def spec(*columns: dict) -> DatasetSpec:
    return DatasetSpec(
        dataset_id="plain",
        title="",
        train_data="a",
        valid_data="b",
        test_data="c",
        feature_cols=list(columns),
        label_col={"name": "click", "dtype": "float"},
    )


ITEM = {"name": "item", "type": "categorical", "dtype": "str"}
PAST = {"name": "past", "type": "sequence", "dtype": "str", "splitter": "^", "max_len": 3, "share_embedding": "item"}


def test_needs_are_told_from_the_datasets_config():
    assert unmet(Needs(), spec(ITEM)) is None
    assert unmet(Needs(history=True), spec(ITEM, PAST)) is None
    din = load_model_class("DIN")
    assert unmet_need(din, "DIN", spec(ITEM)) == "DIN cannot run on plain: it needs a behaviour history"
    assert unmet_need(load_model_class("PNN"), "IPNN", spec(ITEM)).endswith("it needs 2 fields, and the dataset has 1")


@pytest.mark.parametrize("name", NATIVE_MODELS)
def test_what_a_model_says_it_needs_is_what_its_constructor_needs(name):
    """On a single field, and on six of which none is a history."""
    model_class = load_model_class(name)
    needs = getattr(model_class, "needs", Needs())
    parameters = inspect.signature(model_class).parameters
    one_token = {name: value for name, value in (("num_tokens", 1), ("global_token", False)) if name in parameters}
    for fields, settings in ((1, one_token), (6, {})):
        feature_map = tiny.plain_feature_map(fields, 10)
        if needs.history or needs.sources or fields < needs.fields:
            with pytest.raises(ValueError, match="history is needed|two fields|fields"):
                tiny.build(model_class, feature_map, **settings)
        else:
            tiny.build(model_class, feature_map, **settings)
