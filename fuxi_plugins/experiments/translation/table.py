"""The table of FuxiCTR's and BARS's names that have another meaning here, or none: of settings and of models.

FuxiCTR has renamed settings over its releases and ignores what it does not know, so that published folders hold names
which say nothing any more. A name that stands neither here nor in the model's signature is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Old name -> today's, where the model has no setting of the old name and one of the new.
RENAMED = {
    "cin_layer_units": "cin_hidden_units",
    "crossing_layers": "num_cross_layers",
    "dnn_activations": "hidden_activations",
    "dnn_hidden_units": "hidden_units",
    "hidden_activations": "dnn_activations",
    "hidden_units": "dnn_hidden_units",
    "patience": "early_stop_patience",
    "use_field_gate": "use_feature_gating",
    "use_regulation_module": "use_regulation",
}
# The same of a dataset, and of its columns.
RENAMED_OF_DATASETS = {"sep": "separator"}
RENAMED_OF_COLUMNS = {"na_value": "fill_na", "encoder": "feature_encoder"}
POOLINGS = {"MaskedSumPooling": "layers.MaskedSumPooling()", "MaskedAveragePooling": "layers.MaskedAveragePooling()"}

# Settings of an experiment that say something about its dataset, by their name in a dataset's config.
OF_THE_DATASET = {
    "feature_specs": "feature_specs",
    "group_id": "group_id",
    "group_index": "group_id",  # the older name
    "min_categr_count": "min_categr_count",
}


@dataclass(frozen=True)
class NoEffect:
    """A setting that changes nothing: why, for which values that is true (any, if None), and what to do with others."""

    reason: str
    values: tuple[Any, ...] | None = None
    remedy: str = ""


_LOADER = "it is about FuxiCTR's loader and writer of files"
_NOT_LEARNED = "it does not change what is learned"
_AUXILIARY = "it is about an auxiliary loss that is off"
_ONE_EVALUATION = "one evaluation an epoch is what happens without it"

NO_EFFECT = {
    "accumulation_steps": NoEffect("a batch is one step", (1, None)),
    "aux_activation": NoEffect(_AUXILIARY),
    "aux_hidden_units": NoEffect(_AUXILIARY),
    "aux_loss_alpha": NoEffect("DIEN has no auxiliary loss here", (0, None)),
    "aux_loss_beta": NoEffect("DMR has no auxiliary loss here", (0, None)),
    "aux_loss_lambda": NoEffect("DMIN has no auxiliary loss here", (0, None)),
    "context_field": NoEffect("DMR knows of a behaviour its position alone, as in BARS", (None, [])),
    "data_block_size": NoEffect(_LOADER),
    "debug": NoEffect("it is for FuxiCTR's developers", (False, None)),
    "debug_mode": NoEffect("it is for FuxiCTR's developers", (False, None)),
    "dien_neg_seq_field": NoEffect(_AUXILIARY, (None, [])),
    "embedding_dropout": NoEffect("FuxiCTR has none any more", (0, None)),
    "eval_interval": NoEffect(_ONE_EVALUATION, (1, None)),  # in epochs, whereas eval_steps counts steps
    "every_x_epochs": NoEffect(_ONE_EVALUATION, (1, None)),
    "feature_config": NoEffect(
        "the dataset says what its features are", (None,), "say it of these columns in its feature_cols"
    ),
    "gpu": NoEffect("the command line says it"),
    "model_id": NoEffect("a run is named after its experiment"),
    "model_root": NoEffect("checkpoints lie in the cache"),
    "neg_seq_field": NoEffect(_AUXILIARY, (None, [])),
    "num_workers": NoEffect(_NOT_LEARNED),
    "ordered_features": NoEffect("features stand in the order of the dataset", (None,)),
    "partition_block_size": NoEffect(_LOADER),
    "pickle_feature_encoder": NoEffect(_LOADER),
    "save_best_only": NoEffect(
        "the best checkpoint is kept",
        (True, None),
        "write true to have the weights of the best epoch; those of the last one cannot be had",
    ),
    "use_features": NoEffect(
        "every active column is used", (None,), "write active: false for the others in the dataset's feature_cols"
    ),
    "use_hdf5": NoEffect(_LOADER),
    "verbose": NoEffect("the log has everything"),
    "version": NoEffect("the framework is PyTorch", ("pytorch", "torch", None)),
    "workers": NoEffect(_NOT_LEARNED),
}
NO_EFFECT_ON: Mapping[str, Mapping[str, NoEffect]] = {
    "LR": {"embedding_dim": NoEffect("LR has one weight for each value")},
    "TransAct": {
        "time_window_ms": NoEffect("it is about a mask that is off"),
        "use_time_window_mask": NoEffect("TransAct has no mask by time here", (False, None)),
    },
}
NO_EFFECT_OF_DATASETS = {
    "data_block_size": NoEffect(_LOADER),
    "rebuild_dataset": NoEffect("prepared data is kept as long as its config and files are the same"),
}


@dataclass(frozen=True)
class Alias:
    """What a published model is called here, a class or one of its variants, and how that is the same."""

    name: str
    why: str


MODELS = {
    "CrossNetv2": Alias("CrossNetV2", "it is the same under another spelling"),
    "DeepCross": Alias("DeepCrossing", "it is the same under another spelling"),
    "FINAL": Alias("FinalNet", "FuxiCTR has renamed it"),
    "GDCNP": Alias("GDCN-P", "it is GDCN with its MLP beside the gated crosses"),
    "GDCNS": Alias("GDCN-S", "it is GDCN with its MLP after the gated crosses"),
    "ONNv2": Alias("ONN", "it is ONN with the tables of a field in one"),
    "WuKong": Alias("Wukong", "it is the same under another spelling"),
}

# Where a class here departs from FuxiCTR's, the option that follows FuxiCTR.
AS_FUXICTR: Mapping[str, Mapping[str, Any]] = {
    "DESTINE": {"head_split": "fuxictr"},
    "DIEN": {"formulation": "fuxictr"},
    "DMIN": {"refiner_mask": "fuxictr"},
    "EDCN": {"cross_residual": False},
    "EulerNet": {"initialization": "fuxictr"},
    "InterHAt": {"head_split": "fuxictr"},
    "TransAct": {"empty_history": "padding", "max_pool_linear": True},
}

# What FuxiCTR takes for a setting that a config leaves out, where the classes here take something else; of settings of
# the training, whatever the model, and of a model's, by the class here.
FUXICTR_TRAINING: Mapping[str, Any] = {"batch_size": 32, "epochs": 1}
_ITEM, _CLICKS = ("item_id", "cate_id"), ("click_history", "cate_history")
FUXICTR_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "APG_DCNv2": {
        "overparam_p": 1024,
        "parallel_dnn_hidden_units": [],
        "rank_k": 32,
        "stacked_dnn_hidden_units": [],
    },
    "APG_DeepFM": {"overparam_p": 1024, "rank_k": 32},
    "BST": {"bst_sequence_field": [_CLICKS], "bst_target_field": [_ITEM], "dnn_hidden_units": [256, 128, 64]},
    "DCN": {"dnn_hidden_units": []},
    "DCNv2": {"parallel_dnn_hidden_units": [], "stacked_dnn_hidden_units": []},
    "DIEN": {
        "batch_norm": True,
        "dien_sequence_field": [_CLICKS],
        "dien_target_field": [_ITEM],
        "dnn_hidden_units": [200, 80],
        "embedding_dim": 16,
    },
    "DIN": {"din_sequence_field": [_CLICKS], "din_target_field": [_ITEM], "dnn_hidden_units": [512, 128, 64]},
    "DMIN": {"num_heads": 4, "sequence_field": _CLICKS, "target_field": _ITEM},
    "DMR": {"context_field": "btag", "sequence_field": _CLICKS, "target_field": _ITEM},
    "EDCN": {"batch_norm": False},
    "FGCNN": {"dnn_hidden_units": [4096, 2048, 1024, 512]},
    "FiBiNET": {"hidden_units": []},
    "GDCN": {"dnn_hidden_units": []},
    "SAM": {"interaction_type": "SAM2E", "use_residual": False},
    "TransAct": {
        "dcn_hidden_units": [256, 128, 64],
        "dim_feedforward": 512,
        "embedding_dim": 64,
        "sequence_item_field": [_CLICKS],
        "target_item_field": [_ITEM],
    },
    "Wukong": {"embedding_dim": 64},
}

# Models with first-order weights; for those that have them only with a setting, its name. FuxiCTR leaves such weights
# of a column with share_embedding at N(0, 1), the classes here start them as all others.
FIRST_ORDER: Mapping[str, str | None] = {
    **dict.fromkeys((
        "AFM", "APG_DeepFM", "DeepFM", "FFM", "FFMv2", "FLEN", "FM", "FiBiNET", "FmFM", "HFM", "HOFM", "LR", "NFM",
        "Poly2", "WideDeep", "xDeepFM",
    )),
    "AutoInt": "use_wide",
    "DESTINE": "use_wide",
}  # fmt: skip
