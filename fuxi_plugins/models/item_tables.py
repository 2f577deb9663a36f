"""Gives FuxiCTR's LongCTR models what they read: beside the rows a table of items, the history's and the target.

Their own loader looks the items up by index in a file. Here a row has its history already, one sequence for each
attribute of an item, so the table is made of the batch.
"""

import copy
import functools
from collections.abc import Mapping
from typing import Any

import torch
from fuxictr.features import FeatureMap
from torch import Tensor

from .histories import find_histories

Rows = Mapping[str, Tensor]


def reading_rows(model_class: Any) -> type:
    """The LongCTR model as a class that takes batches of rows; its settings are the model's."""

    class ReadingRows(model_class):
        def __init__(self, feature_map: FeatureMap, *args: Any, **kwargs: Any):
            item_sequences = find_item_sequences(feature_map)
            super().__init__(with_items(feature_map, item_sequences), *args, **kwargs)
            self.item_sequences = item_sequences

        def get_inputs(self, inputs: Rows, feature_source: Any = None) -> tuple:
            return super().get_inputs(with_item_table(inputs, self.item_sequences), feature_source)

        def get_labels(self, inputs: Rows) -> Tensor:
            return super().get_labels((inputs,))

        def get_group_id(self, inputs: Rows) -> Tensor:
            return super().get_group_id((inputs,))

    functools.update_wrapper(ReadingRows.__init__, model_class.__init__)
    ReadingRows.__name__, ReadingRows.__doc__ = model_class.__name__, model_class.__doc__
    return ReadingRows


def find_item_sequences(feature_map: FeatureMap) -> dict[str, str]:
    """An item's attributes and the sequence of each, attribute -> sequence.

    They are the categorical fields that a sequence shares its embedding with. Sequences as long as the first of them
    are taken to speak of the same behaviours, one by one; of two for one field, the first.

    Raises:
        ValueError: the dataset has no history.
    """
    pairs = [(*history.targets, *history.sequences) for history in find_histories(feature_map, None, None)]
    length = feature_map.features[pairs[0][1]]["max_len"]
    aligned = [(field, name) for field, name in pairs if feature_map.features[name]["max_len"] == length]
    return dict(reversed(aligned))


def with_items(feature_map: FeatureMap, item_sequences: Mapping[str, str]) -> FeatureMap:
    """A copy of the map: the attributes, and they alone, are of source ``item``, and their sequences are no fields."""
    changed = copy.copy(feature_map)
    changed.features = {name: dict(spec) for name, spec in feature_map.features.items()}
    for name, spec in changed.features.items():
        if name in item_sequences:
            spec["source"] = "item"
        elif spec.get("source") == "item":
            spec["source"] = ""
    for name in item_sequences.values():
        changed.features[name] |= {"type": "meta"}  # still loaded with the rows, but not embedded by itself
    changed.num_fields = changed.get_num_fields()
    return changed


def with_item_table(rows: Rows, item_sequences: Mapping[str, str]) -> tuple[Rows, dict[str, Tensor], Tensor]:
    """Rows -> (their other columns, the items' attributes (B (L + 1),), which behaviours are real (B, L)).

    A row's behaviours come in their order behind the padding, then the target.
    """
    real = rows[next(iter(item_sequences.values()))] != 0  # (B, L); id 0 is padding
    order = torch.sort(real.to(torch.uint8), dim=1, stable=True).indices
    items = {
        field: torch.cat([rows[name].gather(1, order), rows[field].view(-1, 1)], dim=1).flatten()
        for field, name in item_sequences.items()
    }
    others = {name: column for name, column in rows.items() if name not in item_sequences}
    return others, items, real.gather(1, order).float()
