"""The RankElastor authors' class ``UniMixer`` (arXiv 2605.23191; vasile-paskardlgm/RankElastor) in the names used here.

Their class computes both models of the paper: blocks that mix by transposing, with GELU networks, are the RankMixer
that the paper compares with, every other combination is RankElastor. Defaults are those of their code.
"""

from collections.abc import Mapping
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.translation.accounts import Account

MODEL = "UniMixer"
_SIZES = {"Token_num": "num_tokens", "Token_dim": "token_dim", "depth": "num_blocks"}
_HEADS = {"mlp": "mlp", "flatten": "linear", "noparam_mean": "mean"}
_TOKENIZERS = {"matrix": "shared", "vector": "joint"}
_NETWORKS = {"swiglu": "glu", "gelu": "gelu", "relu": "relu"}  # their swiglu has GELU in the place of SiLU
_BLOCK_TRANSPOSE = 2
_MIXINGS: dict[int, dict[str, Any]] = {
    1: {"mixing": "none"},
    _BLOCK_TRANSPOSE: {"mixing": "block_transpose", "mixing_norm": "after"},
    999: {"mixing": "full"},
    8881: {"mixing": "grouped", "mixing_groups": 26, "mixing_norm": "before"},
    8882: {"mixing": "grouped", "mixing_groups": 2, "mixing_norm": "after"},
}
_NEVER_READ = ("batch_norm", "net_dropout")  # parameters of their constructor without a use in it
_ALL = {*_SIZES, *_NEVER_READ, "pred_head", "use_tokenizer", "proj_param", "mixing_type", "interaction_ffn_type",
        "interaction_mlp_params", "use_opq", "opq_momentum"}  # fmt: skip


def is_theirs(model: str, settings: Mapping[str, Any]) -> bool:
    """Whether the settings are of their class, and not of the model of the paper UniMixer, which has the same name."""
    return model == MODEL and "Token_num" in settings


def translate(settings: Mapping[str, Any]) -> tuple[str, dict[str, Any], list[Account]]:
    """The model, its settings in the names used here, and what became of theirs; other settings are left out.

    Raises:
        UserError: a part that neither model has here.
    """
    mixing = _mixing(settings)
    tokenizer = _tokenizer(settings)
    network = dict(_part(settings, "interaction_mlp_params", {"activation", "expansion_rate"}))
    if settings.get("interaction_ffn_type", "mlp") != "mlp" or settings.get("use_opq", False):
        raise UserError(
            "only interaction_ffn_type: mlp with use_opq: false is known here; the authors published no other."
        )
    ffn = _named(_NETWORKS, network["activation"], "interaction_mlp_params.activation")
    translated = {
        "reading": "repository",
        **{name: settings[theirs] for theirs, name in _SIZES.items() if theirs in settings},
        **tokenizer,
        "ffn_hidden_units": network["hidden_units"],
        "ffn_norm": network["use_layer_norm"],
        "ffn_dropout": network["dropout"],
        "head": _named(_HEADS, settings.get("pred_head", "noparam_mean"), "pred_head"),
    }
    is_rankmixer = mixing["mixing"] == "block_transpose" and ffn == "gelu"
    if not is_rankmixer:
        translated |= {**mixing, "ffn": ffn} | ({"ffn_expansion": network["expansion_rate"]} if ffn == "glu" else {})
    model = "RankMixer" if is_rankmixer else "RankElastor"
    return model, translated, [_account(name, settings[name], model) for name in settings if name in _ALL]


def _account(name: str, value: Any, model: str) -> Account:
    if name in _NEVER_READ:
        return Account(name, value, "no effect", "the authors' class takes it and never reads it")
    if name in ("use_opq", "opq_momentum", "interaction_ffn_type"):
        return Account(name, value, "no effect", "it is off, or its only choice")
    return Account(name, value, "translated", f"into the names of {model}")


def _mixing(settings: Mapping[str, Any]) -> dict[str, Any]:
    number = settings.get("mixing_type")
    several = number if isinstance(number, list) else [number]
    if len(set(map(str, several))) != 1:
        raise UserError(f"mixing_type must be the same in every block here, but is {number}.")
    return _named(_MIXINGS, several[0], "mixing_type")


def _tokenizer(settings: Mapping[str, Any]) -> dict[str, Any]:
    if not settings.get("use_tokenizer", True):
        return {"tokenizer": "reshape"}
    part = _part(settings, "proj_param", {"activation", "trans_type"})
    if part["activation"] != "relu":
        raise UserError(f"proj_param.activation must be relu here, but is {part['activation']!r}.")
    return {
        "tokenizer": _named(_TOKENIZERS, part["trans_type"], "proj_param.trans_type"),
        "tokenizer_hidden_units": part["hidden_units"],
        "tokenizer_norm": part["use_layer_norm"],
        "tokenizer_dropout": part["dropout"],
    }


def _part(settings: Mapping[str, Any], name: str, own: set[str]) -> Mapping[str, Any]:
    """The settings of a network of theirs, which must all be said."""
    names = {"hidden_units", "dropout", "use_layer_norm", *own}
    part = settings.get(name)
    if not isinstance(part, Mapping) or set(part) != names:
        seen = sorted(part) if isinstance(part, Mapping) else part
        raise UserError(f"{name} must say {', '.join(sorted(names))}, but is {seen}.")
    return part


def _named(choices: Mapping[Any, Any], value: Any, name: str) -> Any:
    if isinstance(value, bool) or value not in choices:
        raise UserError(f"{name} must be one of {', '.join(map(str, choices))}, but is {value!r}.")
    return choices[value]
