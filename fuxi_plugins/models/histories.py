"""Behaviour histories: which fields they are, read one behaviour after the other, with their padding known."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from torch import Tensor, nn

from fuxi_plugins.layers import RMSNorm
from fuxi_plugins.layers.tokenizers import mlp

# One field for each target, or a list of fields whose embeddings are laid side by side.
Fields = Sequence[str | Sequence[str]]


@dataclass(frozen=True)
class History:
    """Target fields and, in the same order, the sequences of their kind."""

    targets: tuple[str, ...]
    sequences: tuple[str, ...]


def find_histories(feature_map: FeatureMap, targets: Fields | None, sequences: Fields | None) -> list[History]:
    """The histories that are named; when none is, every sequence that shares its embedding with a categorical field.

    Raises:
        ValueError: nothing of the kind is there, or the names do not fit the dataset.
    """
    features = feature_map.features
    if targets is None and sequences is None:
        found = [
            History((spec["share_embedding"],), (name,))
            for name, spec in features.items()
            if spec["type"] == "sequence" and spec.get("share_embedding") in features
        ]
        if not found:
            raise ValueError("a behaviour history is needed, a sequence with share_embedding, but there is none")
        return found
    if targets is None or sequences is None:
        raise ValueError("target and sequence fields are named together, or neither")
    if len(targets) != len(sequences):
        raise ValueError(f"there must be a sequence for every target, but {targets!r} and {sequences!r} are named")
    found = [History(_names(target), _names(sequence)) for target, sequence in zip(targets, sequences, strict=True)]
    for name in (name for history in found for name in history.targets + history.sequences):
        if name not in features:
            raise ValueError(f"the fields are {', '.join(features)}, but {name!r} is named")
    return found


class TokenProjection(nn.Module):
    """Embeddings as tokens, each through RMSNorm and one MLP for all of them, (..., m) -> (..., D).

    The norm is there because FuxiCTR starts embeddings at a standard deviation of 1e-4.
    """

    def __init__(self, width: int, token_dim: int, hidden_units: Sequence[int] = ()):
        super().__init__()
        self.norm = RMSNorm(width)
        self.mlp = mlp(width, hidden_units, token_dim, norm=False, dropout=0.0)

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.mlp(self.norm(embeddings))


class HistoryEmbedding(nn.Module):
    """Embeds every field; the histories keep one vector a behaviour, the other sequences are pooled as configured.

    Args:
        feature_map: FuxiCTR's.
        embedding_dim: k.
        histories: whose sequences are not pooled.
    """

    def __init__(self, feature_map: FeatureMap, embedding_dim: int, histories: Sequence[History]):
        super().__init__()
        self.embedding_dict = FeatureEmbeddingDict(unpooled(feature_map, histories), embedding_dim)
        self.sequences = [name for history in histories for name in history.sequences]

    def forward(self, features: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Features -> (embedding by field, (B, L, k) of a history's sequence, else (B, k)); all of the latter, flat."""
        embedded = self.embedding_dict(features)
        others = [vector for name, vector in embedded.items() if name not in self.sequences]
        return embedded, torch.cat(others, dim=-1)


def unpooled(feature_map: FeatureMap, histories: Sequence[History]) -> FeatureMap:
    """A copy of the map in which the sequences of the histories are not pooled; other encoders stay."""
    changed = copy.copy(feature_map)
    changed.features = {name: dict(spec) for name, spec in feature_map.features.items()}
    for name in (name for history in histories for name in history.sequences):
        encoders = changed.features[name].pop("feature_encoder", None) or []
        kept = [text for text in ([encoders] if isinstance(encoders, str) else encoders) if "Pooling" not in text]
        if kept:
            changed.features[name]["feature_encoder"] = kept
    return changed


def gather(history: History, embedded: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """The target (B, m), the behaviours (B, L, m), and which of them are real (B, L); id 0 is padding."""
    target = torch.cat([embedded[name] for name in history.targets], dim=-1)
    behaviours = torch.cat([embedded[name] for name in history.sequences], dim=-1)
    return target, behaviours, features[history.sequences[0]].long() != 0


def latest_last(behaviours: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the real behaviours to the front, their order kept, so that padding comes after them."""
    return _sorted_by(~real, behaviours, real)


def padding_first(behaviours: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Moves the padding to the front, the order of the real behaviours kept, and makes it zero.

    (B, L, m) and (B, L) -> the same. The last place then holds the latest behaviour, and what an embedding table has
    for padding is gone.
    """
    behaviours, real = _sorted_by(real, behaviours, real)
    return behaviours * real.unsqueeze(-1), real


def ages(real: Tensor) -> Tensor:
    """How many behaviours are later than each place, (B, L) -> (B, L): 0 for the latest, on either side of padding.

    >>> ages(torch.tensor([[True, False, True, True]]))
    tensor([[2, 2, 1, 0]])
    """
    from_here = real.long().flip(1).cumsum(dim=1).flip(1)
    return from_here - real.long()


def _sorted_by(key: Tensor, behaviours: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    order = torch.sort(key.to(torch.uint8), dim=1, stable=True).indices  # (B, L)
    return behaviours.gather(1, order.unsqueeze(-1).expand_as(behaviours)), real.gather(1, order)


def attention_weights(scores: Tensor, real: Tensor) -> Tensor:
    """A softmax over the real behaviours, (B, L) each; 0 for padding, and everywhere in a row without behaviours."""
    return scores.masked_fill(~real, -1e9).softmax(dim=1) * real


class Positions(nn.Module):
    """A learned vector for every place of a history, (L, p), the same in every row."""

    def __init__(self, length: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))

    def init_weights(self) -> None:
        """FuxiCTR calls it; the start is that of its embeddings."""
        nn.init.normal_(self.weight, std=1e-4)

    def forward(self) -> Tensor:
        return self.weight


def field_widths(feature_map: FeatureMap, histories: Sequence[History], embedding_dim: int) -> dict[str, int]:
    """The width of the embedding of each field that is no history, in their order."""
    sequences = {name for history in histories for name in history.sequences}
    return {
        name: spec.get("emb_output_dim", spec.get("embedding_dim", embedding_dim))
        for name, spec in feature_map.features.items()
        if spec["type"] != "meta" and name not in sequences
    }


def width_of_others(feature_map: FeatureMap, histories: Sequence[History], embedding_dim: int) -> int:
    """The width of the flat vector of all fields that are no history."""
    return sum(field_widths(feature_map, histories, embedding_dim).values())


def history_length(feature_map: FeatureMap, history: History) -> int:
    """L, how many behaviours a history holds, padding among them."""
    return feature_map.features[history.sequences[0]]["max_len"]


def history_width(feature_map: FeatureMap, history: History, embedding_dim: int) -> int:
    """m, the width of a behaviour of that history.

    Raises:
        ValueError: target and behaviour have another width.
    """

    def width(names: Sequence[str]) -> int:
        return sum(feature_map.features[name].get("embedding_dim", embedding_dim) for name in names)

    if width(history.targets) != width(history.sequences):
        raise ValueError(f"target and behaviours must be of one width, but {history.targets} and {history.sequences}")
    return width(history.targets)


def _names(fields: str | Sequence[str]) -> tuple[str, ...]:
    return (fields,) if isinstance(fields, str) else tuple(fields)
