"""Equal weights, equal predictions: models against the model zoo of a FuxiCTR checkout.

The zoo is in no package. Where ``FUXICTR_CHECKOUT`` names a checkout of reczoo/FuxiCTR, these tests run.
"""

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny

CHECKOUT = os.environ.get("FUXICTR_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")

DNN = {"dnn_hidden_units": [8, 4], "batch_norm": True}
MASKS = {"dnn_hidden_units": [8, 4], "reduction_ratio": 2}
FINAL_MLP = {"mlp1_hidden_units": [8, 6], "mlp2_hidden_units": [4], "fs_hidden_units": [4]}
FINAL_NET = {"block1_hidden_units": [8, 6], "block2_hidden_units": [4, 2]}
FGCNN = {"channels": [2, 3], "kernel_heights": [3, 5], "pooling_sizes": 2, "recombined_channels": [2, 1]}
WUKONG = {"lcb_features": 2, "fmb_features": 3, "fmb_mlp_units": [4], "mlp_hidden_units": [8], "embedding_dim": 4}
HEADS = {"num_heads": 2, "attention_dim": 4}
ZOO_HEADS = {**HEADS, "head_split": "fuxictr"}

# Model, the zoo's file and class, settings of both, and what differs by name or default.
CASES = [
    ("DCN", "DCN/DCN_torch/src/DCN.py", "DCN", DNN),
    ("DCN", "DCN/DCN_torch/src/DCN.py", "DCN", {"dnn_hidden_units": [], "num_cross_layers": 2}),
    ("GDCN", "GDCN/src/GDCN.py", "GDCN", DNN),
    ("GDCN", "GDCN/src/GDCN.py", "GDCNP", {**DNN, "model_structure": "parallel"}),
    *(
        ("EDCN", "EDCN/src/EDCN.py", "EDCN", {"bridge_type": bridge, "batch_norm": True, "cross_residual": False})
        for bridge in ("hadamard_product", "pointwise_addition", "concatenation")
    ),
    ("EDCN", "EDCN/src/EDCN.py", "EDCN", {"temperature": 0.5, "batch_norm": False, "cross_residual": False}),
    ("MaskNet", "MaskNet/src/MaskNet.py", "MaskNet", {**MASKS, "model_type": "SerialMaskNet"}),
    ("MaskNet", "MaskNet/src/MaskNet.py", "MaskNet", {**MASKS, "net_layernorm": False, "emb_layernorm": False}),
    (
        "MaskNet",
        "MaskNet/src/MaskNet.py",
        "MaskNet",
        {**MASKS, "model_type": "ParallelMaskNet", "parallel_num_blocks": 3, "parallel_block_dim": 6},
    ),
    ("FinalMLP", "FinalMLP/src/FinalMLP.py", "FinalMLP", {**FINAL_MLP, "num_heads": 2}),
    ("FinalMLP", "FinalMLP/src/FinalMLP.py", "FinalMLP", {**FINAL_MLP, "use_fs": False}),
    ("FinalMLP", "FinalMLP/src/FinalMLP.py", "FinalMLP", {**FINAL_MLP, "fs1_context": ["user"]}),
    ("FinalNet", "FinalNet/src/FinalNet.py", "FinalNet", {**FINAL_NET, "residual_type": "concat"}),
    (
        "FinalNet",
        "FinalNet/src/FinalNet.py",
        "FinalNet",
        {**FINAL_NET, "residual_type": "sum", "block_type": "1B", "use_feature_gating": True},
    ),
    ("AFN", "AFN/src/AFN.py", "AFN", {"afn_hidden_units": [8], "dnn_hidden_units": [4]}),
    ("AFN", "AFN/src/AFN.py", "AFN", {"afn_hidden_units": [8], "ensemble_dnn": False, "batch_norm": False}),
    *(
        ("FiBiNET", "FiBiNET/src/FiBiNET.py", "FiBiNET", {"bilinear_type": kind, "hidden_units": [8]})
        for kind in ("field_all", "field_each", "field_interaction")
    ),
    ("FiGNN", "FiGNN/src/FiGNN.py", "FiGNN", {"gnn_layers": 2}),
    ("FiGNN", "FiGNN/src/FiGNN.py", "FiGNN", {"reuse_graph_layer": True, "use_gru": False, "use_residual": False}),
    ("AOANet", "AOANet/src/AOANet.py", "AOANet", {"dnn_hidden_units": [8], "num_subspaces": 3}),
    *(
        ("SAM", "SAM/src/SAM.py", "SAM", {"interaction_type": kind, "aggregation": "concat", "use_residual": True})
        for kind in ("SAM2A", "SAM2E", "SAM3A", "SAM3E")
    ),
    *(
        ("SAM", "SAM/src/SAM.py", "SAM", {"interaction_type": "SAM3A", "aggregation": how, "use_residual": False})
        for how in ("weighted_pooling", "mean_pooling", "sum_pooling")
    ),
    ("DESTINE", "DESTINE/src/DESTINE.py", "DESTINE", {**ZOO_HEADS, "use_scale": True, "dnn_hidden_units": [8]}),
    ("DESTINE", "DESTINE/src/DESTINE.py", "DESTINE", {"num_heads": 1, "relu_before_att": True}),
    ("DESTINE", "DESTINE/src/DESTINE.py", "DESTINE", {"num_heads": 1, "use_scale": True}),
    ("DESTINE", "DESTINE/src/DESTINE.py", "DESTINE", {**ZOO_HEADS, "residual_mode": "last_layer", "use_wide": False}),
    ("InterHAt", "InterHAt/src/InterHAt.py", "InterHAt", {**ZOO_HEADS, "order": 3}),
    ("InterHAt", "InterHAt/src/InterHAt.py", "InterHAt", {"layer_norm": False, "use_residual": False}),
    ("EulerNet", "EulerNet/src/EulerNet.py", "EulerNet", {"shape": [3, 3, 2], "layer_norm": True}),
    ("EulerNet", "EulerNet/src/EulerNet.py", "EulerNet", {"shape": [5]}),
    ("FGCNN", "FGCNN/src/FGCNN.py", "FGCNN", {**FGCNN, "dnn_hidden_units": [8], "share_embedding": True}),
    ("FGCNN", "FGCNN/src/FGCNN.py", "FGCNN", {**FGCNN, "dnn_hidden_units": [8], "conv_batch_norm": False}),
    ("Wukong", "WuKong/src/WuKong.py", "WuKong", WUKONG),
    ("Wukong", "WuKong/src/WuKong.py", "WuKong", {**WUKONG, "fmp_rank_k": None, "layer_norm": False}),
]
OURS_ALONE = ("cross_residual", "head_split", "model_structure")

# Where a name had to differ: the zoo's, then ours.
RENAMED = {
    "FinalMLP": {
        "fs_module.fs1_ctx_bias": "gate1.ctx_bias",
        "fs_module.fs2_ctx_bias": "gate2.ctx_bias",
        "fs_module.fs1_ctx_emb": "gate1.ctx_emb",
        "fs_module.fs1_gate": "gate1.mlp",
        "fs_module.fs2_gate": "gate2.mlp",
    },
    "AOANet": {"gin.layers": "gin"},
}


def zoo_class(file: str, name: str) -> type:
    """A class of the zoo, its file under a private name, so that the checkout shadows no installed package."""
    spec = importlib.util.spec_from_file_location(f"_zoo_{name}", Path(CHECKOUT) / "model_zoo" / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def zoo_state(model: nn.Module, ours: str) -> dict[str, torch.Tensor]:
    """The zoo's weights under our names."""
    state = {}
    for key, value in model.state_dict().items():
        for old, new in RENAMED.get(ours, {}).items():
            key = key.replace(old, new)
        state[key] = value
    return state


def without_effect(key: str, settings: dict) -> bool:
    """Whether the zoo's entry is one that nothing depends on, and which the docstrings name."""
    if key.endswith("W_unary.bias") or "triu_mask" in key:
        return True
    if key.endswith(("W_q.bias", "W_k.bias")):
        return not settings.get("relu_before_att") and settings.get("head_split") != "fuxictr"
    return key.startswith("Euler") and ".norm_" in key


@pytest.mark.parametrize(("name", "file", "zoo_name", "settings"), CASES)
def test_equal_weights_make_equal_predictions(name, file, zoo_name, settings):
    theirs = {setting: value for setting, value in settings.items() if setting not in OURS_ALONE}
    zoo = tiny.build(zoo_class(file, zoo_name), **theirs)
    model = tiny.build(load_model_class(name), **settings)
    tiny.randomize(model, scale=0.1)
    own = model.state_dict()

    given = zoo_state(zoo, name)
    extra = {key for key in given.keys() - own.keys() if without_effect(key, settings)}
    assert given.keys() - extra == own.keys()
    back = dict(zip(given, zoo.state_dict(), strict=True))
    noise = {key: torch.randn_like(given[key]) for key in extra if given[key].is_floating_point()}
    zoo.load_state_dict({back[key]: own.get(key, noise.get(key, value)) for key, value in given.items()})

    zoo_count = sum(p.numel() for p in zoo.parameters() if p.requires_grad)
    dead = sum(given[key].numel() for key in extra if "triu" not in key)
    assert sum(p.numel() for p in model.parameters()) == zoo_count - dead

    batch = tiny.columns(16)
    model.eval()
    zoo.eval()
    with torch.no_grad():
        ours, reference = model(batch)["y_pred"], zoo(batch)["y_pred"]
    assert ours.std() > 1e-5  # else any two models are equal
    print(f"{name}: largest difference {(ours - reference).abs().max():.1e}")
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-6)


def test_the_zoos_aoanet_cannot_tell_its_subspaces_apart():
    """Why ours starts otherwise: after some steps, the subspaces of the zoo's first layer are copies still."""
    zoo = tiny.build(zoo_class("AOANet/src/AOANet.py", "AOANet"), learning_rate=0.01)
    ours = tiny.build(load_model_class("AOANet"), learning_rate=0.01)
    batch = tiny.columns(16)
    for model, first_layer, are_copies in ((zoo, zoo.gin.layers[0], True), (ours, ours.gin[0], False)):
        with torch.no_grad():
            for table in model.embedding_layer.parameters():  # off 1e-4, where products vanish
                table.normal_(std=0.2)
        before = first_layer.W.clone()
        for _ in range(5):
            model.optimizer.zero_grad()
            model.compute_loss(model(batch), model.get_labels(batch)).backward()
            model.optimizer.step()
        assert not torch.equal(first_layer.W, before)
        assert torch.allclose(first_layer.W[0], first_layer.W[1], atol=1e-4) == are_copies
