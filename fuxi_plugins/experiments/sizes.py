"""Dense parameters of the token models and of an MLP, counted from their settings without building them.

So a suite can give two models the same size and still be listed, planned and reported without torch. The tests hold
every formula to the built model, to the unit. T, D, L, n, k as everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

Settings = Mapping[str, Any]


def dense_parameters(model: str, settings: Settings, input_dim: int) -> int:
    """Everything but the embedding tables; ``input_dim`` is nk, the width of a row's embeddings.

    Raises:
        ValueError: a model or a part that no formula here covers.
    """
    if model == "DNN":
        return chain(input_dim, settings["hidden_units"], 1)
    if model not in ("RankElastor", "RankMixer"):
        raise ValueError(f"there is no formula for the size of {model}")
    formulation = settings.get("formulation", DEFAULT_FORMULATION[model])
    full = {**DEFAULTS[model, formulation], "formulation": formulation, **settings}
    tokens, width = full["num_tokens"], full["token_dim"]
    return (
        tokenizer(full, input_dim, tokens, width)
        + full["num_blocks"] * block(full, tokens, width)
        + head(full["head"], tokens, width)
    )


DEFAULT_FORMULATION = {"RankElastor": "official_code", "RankMixer": "paper"}
_SHARED = {"tokenizer_hidden_units": (500,), "ffn_expansion": 3.0, "head": "mlp"}
DEFAULTS = {
    ("RankElastor", "official_code"): {**_SHARED, "mixing": "full", "ffn": "glu", "ffn_hidden_units": (64, 64),
                                    "ffn_norm": True, "tokenizer": "joint", "tokenizer_norm": True},
    ("RankElastor", "paper"): {**_SHARED, "mixing": "full", "ffn": "glu", "tokenizer": "joint", "tokenizer_norm": True},
    ("RankMixer", "official_code"): {**_SHARED, "mixing": "block_transpose", "ffn": "gelu",
                                     "ffn_hidden_units": (200, 200), "ffn_norm": False,
                                     "tokenizer": "shared", "tokenizer_norm": False},
    ("RankMixer", "paper"): {**_SHARED, "mixing": "block_transpose", "ffn": "gelu", "tokenizer": "per_token",
                             "tokenizer_norm": False, "head": "mean_pool", "output_norm": True},
}  # fmt: skip


def linear(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + outputs * bias


def chain(inputs: int, hidden: Sequence[int], outputs: int, norm: bool = False) -> int:
    """An MLP: a map with bias for each hidden width, with the gains of a norm if there is one, then one to outputs."""
    widths = [inputs, *hidden, outputs]
    return sum(linear(a, b) for a, b in pairwise(widths)) + norm * sum(hidden)


def tokenizer(settings: Settings, input_dim: int, tokens: int, width: int) -> int:
    """The norm of all embeddings, then the projection."""
    kind, hidden, norm = settings["tokenizer"], settings["tokenizer_hidden_units"], settings["tokenizer_norm"]
    projection = {
        "shared": lambda: chain(input_dim // tokens, hidden, width, norm),
        "joint": lambda: chain(input_dim, hidden, tokens * width, norm),
        "per_token": lambda: tokens * linear(-(-input_dim // tokens), width),
        "reshape": lambda: 0,
    }
    return input_dim + projection[kind]()


def block(settings: Settings, tokens: int, width: int) -> int:
    """Mixing, its norm, the per-token network with its residual, and the norm after it where there is one."""
    if settings["formulation"] == "official_code":
        return (
            mixing(settings, tokens, width, bias=True)
            + mixing_norm(settings, tokens, width)
            + width  # RMSNorm_D
            + tokens * official_ffn(settings, width)
        )
    hidden = int(settings["ffn_expansion"] * width)
    if settings["ffn"] == "glu":
        network = 2 * width * hidden + hidden * width + width * width  # W1, W2, W3, W_r
    else:
        network = chain(width, [hidden], width)
    norms = 2 if settings.get("output_norm") else 1  # LayerNorm_D, a gain and a bias each
    return mixing(settings, tokens, width, bias=False) + norms * 2 * width + tokens * network


def mixing(settings: Settings, tokens: int, width: int, bias: bool) -> int:
    """The map alone."""
    kind, values = settings["mixing"], tokens * width
    if kind == "full":
        return linear(values, values, bias)
    if kind == "grouped":
        return linear(values // settings["mixing_groups"], values // settings["mixing_groups"], bias=False)
    if kind == "low_rank":
        return linear(values, settings["mixing_rank"], bias=False) + linear(settings["mixing_rank"], values, bias)
    if kind in ("none", "block_transpose", "orthogonal"):
        return 0
    raise ValueError(f"there is no formula for the size of mixing={kind!r}")


def mixing_norm(settings: Settings, tokens: int, width: int) -> int:
    """RMSNorm_TD before the map, or LayerNorm_D after its residual."""
    if settings["mixing"] == "none":
        return 0
    place = settings.get("mixing_norm") or ("after" if settings["mixing"] == "block_transpose" else "before")
    return tokens * width if place == "before" else 2 * width


def official_ffn(settings: Settings, width: int) -> int:
    """The network of one token in the RankElastor authors' code."""
    hidden_units, norm = settings["ffn_hidden_units"], settings["ffn_norm"]
    if settings["ffn"] != "glu":
        return chain(width, hidden_units, width, norm)
    total, inputs = 0, width
    for hidden in hidden_units:
        total += norm * inputs + skip_glu(inputs, settings["ffn_expansion"])
        total += linear(inputs, hidden) if hidden != inputs else 0
        inputs = hidden
    return total + linear(inputs, width)


def skip_glu(width: int, expansion: float) -> int:
    """gate, value, lift, down and skip; without lift and down at r = 1."""
    hidden = int(expansion * width)
    if expansion == 1:
        return 3 * linear(width, width)
    return 3 * linear(width, hidden) + linear(hidden, width) + linear(width, width)


def head(kind: str, tokens: int, width: int) -> int:
    values = tokens * width
    if kind == "mlp":
        return chain(values, [2 * values], 1)
    return {"linear": values + 1, "mean_pool": width + 1, "mean": 0}[kind]


def nearest_width(target: int, size_at: Callable[[int], int]) -> int:
    """The width of at least 1 whose size comes nearest to the target, for a size that grows with the width.

    >>> nearest_width(100, lambda width: 10 * width + 3)
    10
    """
    above = 1
    while size_at(above) < target:
        above *= 2
    below = 1
    while below < above:  # the least width whose size reaches the target
        middle = (below + above) // 2
        below, above = (below, middle) if size_at(middle) >= target else (middle + 1, above)
    return min((w for w in (below - 1, below) if w >= 1), key=lambda width: abs(size_at(width) - target))
