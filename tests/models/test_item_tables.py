"""LongCTR models get, beside the rows, the table of items that their own loader would make."""

import pytest
import torch
from fuxictr.pytorch.models import BaseModel
from torch import nn

from fuxi_plugins.models.item_tables import find_item_sequences, reading_rows, with_item_table, with_items
from tests.models import tiny

SEQUENCE = {"source": "", "type": "sequence", "padding_idx": 0, "vocab_size": 12, "max_len": 3}


def a_map(**more):
    features = {
        "user": {**tiny.CATEGORICAL, "source": "user"},
        "item": tiny.CATEGORICAL,
        "shop": tiny.CATEGORICAL,
        "stock": {**tiny.NUMERIC, "source": "item"},
        "items": {**SEQUENCE, "share_embedding": "item"},
        "items_passed_over": {**SEQUENCE, "share_embedding": "item"},
        "shops": {**SEQUENCE, "share_embedding": "shop"},
        **more,
    }
    return tiny.make_feature_map("long", features, 4)


def test_attributes_are_the_fields_with_a_history_of_one_length():
    longer = {**SEQUENCE, "max_len": 9, "share_embedding": "user"}
    assert find_item_sequences(a_map(pages=longer)) == {"item": "items", "shop": "shops"}


def test_in_the_map_they_alone_are_items_and_their_sequences_no_fields():
    before = a_map()
    changed = with_items(before, {"item": "items", "shop": "shops"})
    assert [name for name, spec in changed.features.items() if spec.get("source") == "item"] == ["item", "shop"]
    assert [name for name, spec in changed.features.items() if spec["type"] == "meta"] == ["items", "shops"]
    assert (before.num_fields, changed.num_fields) == (7, 5)
    assert changed.features["user"]["source"] == "user"
    assert before.features["stock"]["source"] == "item"


def test_the_table_holds_each_rows_behaviours_behind_the_padding_then_the_target():
    rows = {
        "user": torch.tensor([1, 2, 3]),
        "item": torch.tensor([7, 8, 9]),
        "shop": torch.tensor([4, 5, 6]),
        "items": torch.tensor([[3, 1, 0], [0, 0, 2], [0, 0, 0]]),
        "shops": torch.tensor([[5, 6, 0], [0, 0, 0], [0, 0, 0]]),  # an attribute may be unknown where the item is not
        "click": torch.tensor([1.0, 0.0, 1.0]),
    }
    others, items, real = with_item_table(rows, {"item": "items", "shop": "shops"})
    assert items["item"].tolist() == [0, 3, 1, 7, 0, 0, 2, 8, 0, 0, 0, 9]
    assert items["shop"].tolist() == [0, 5, 6, 4, 0, 0, 0, 5, 0, 0, 0, 6]
    assert real.tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert set(others) == {"user", "items", "shops", "click"}


class Long(BaseModel):
    """Reads its batch as the LongCTR models do: the rows, a table of items, a mask."""

    def __init__(self, feature_map, model_id="Long", gpu=-1, learning_rate=1e-3, embedding_dim=4, depth=1, **kwargs):
        super().__init__(feature_map, model_id=model_id, gpu=gpu, **kwargs)
        self.items = [name for name, spec in feature_map.features.items() if spec.get("source") == "item"]
        self.table = nn.Embedding(tiny.VOCABULARY, 1, padding_idx=0)
        self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
        self.model_to_device()

    def get_inputs(self, inputs, feature_source=None):
        rows, items, mask = inputs
        return {name: rows[name] for name in rows if name not in self.feature_map.labels}, items, mask

    def get_labels(self, inputs):
        return inputs[0]["click"].view(-1, 1)

    def get_group_id(self, inputs):
        return inputs[0][self.feature_map.group_id]

    def forward(self, inputs):
        _, items, mask = self.get_inputs(inputs)
        embedded = self.table(items["item"]).view(len(mask), -1)
        return {"y_pred": (embedded[:, :-1] * mask).sum(dim=1, keepdim=True).add(embedded[:, -1:]).sigmoid()}


def test_a_model_that_reads_item_tables_takes_batches_of_rows_and_trains(tmp_path):
    (tmp_path / "tiny").mkdir()
    model = tiny.build(reading_rows(Long), tiny.feature_map(4, tmp_path), tmp_path, depth=2, learning_rate=1e-2)
    assert type(model).__name__ == "Long"
    assert model.items == ["item"]
    batch = tiny.columns(8)
    before = model(batch)["y_pred"]
    moved = {**batch, "history": batch["history"].flip(1)}  # a sum takes no notice of the order
    torch.testing.assert_close(model(moved)["y_pred"], before)
    assert not torch.allclose(model({**batch, "history": batch["history"].roll(1, 0)})["y_pred"], before)
    assert torch.equal(model.get_labels(batch).view(-1), batch["click"])
    assert torch.equal(model.get_group_id(batch), batch["group"])
    model.fit(tiny.batches(200, 50), epochs=1, validation_data=tiny.batches(100, 50))


def test_without_a_history_there_is_no_table():
    with pytest.raises(ValueError, match="a behaviour history is needed"):
        tiny.build(reading_rows(Long), tiny.plain_feature_map(3, 4))
