"""RankUp written out slowly, row by row, and what its order of the fields and its tables are."""

import pytest
import torch
from torch import Tensor

from fuxi_plugins.models.rankup import RankUp
from tests.models import tiny
from tests.models.spelled_out import SpelledOut, exchanged_heads

FIELDS, WIDTH, T, D, ROWS = 5, 4, 4, 8, 3
SHAPE = {"embedding_dim": WIDTH, "num_tokens": T, "token_dim": D, "num_blocks": 2, "ffn_expansion": 1.5}


def rows(seed: int = 0) -> dict[str, Tensor]:
    ids = torch.randint(1, tiny.VOCABULARY, (ROWS, FIELDS), generator=torch.Generator().manual_seed(seed))
    return {f"categorical_{field}": ids[:, field] for field in range(FIELDS)}


def build(**settings) -> RankUp:
    model = tiny.build(RankUp, tiny.plain_feature_map(FIELDS, WIDTH), **SHAPE, **settings).double()
    tiny.randomize(model)
    return model.eval()


class SlowRankUp(SpelledOut):
    def swiglu(self, name: str, t: int, x: Tensor) -> Tensor:
        gate = self.token_linear(f"{name}.gate", t, x)
        inside = gate / (1 + torch.exp(-gate)) * self.token_linear(f"{name}.up", t, x)
        return self.token_linear(f"{name}.down", t, inside)

    def block(self, name: str, tokens: list[Tensor]) -> list[Tensor]:
        normed = exchanged_heads([self.layer_norm(f"{name}.input_norm", token) for token in tokens])
        mixed = [token + moved for token, moved in zip(tokens, normed, strict=True)]
        return [
            x + self.swiglu(f"{name}.ffn", t, self.layer_norm(f"{name}.mixing_norm", x)) for t, x in enumerate(mixed)
        ]

    def tokens(self, row: Tensor, with_global: bool) -> list[Tensor]:
        place, slices = ("tokenizer.tokenizer", T - 1) if with_global else ("tokenizer", T)
        length = -(-len(row) // slices)
        padded = torch.cat([self.rms(f"{place}.norm", row), row.new_zeros(length * slices - len(row))])
        made = [self.token_linear(f"{place}.projection", t, padded[t * length :][:length]) for t in range(slices)]
        of_all = [self.linear("tokenizer.projection", self.rms("tokenizer.norm", row))] if with_global else []
        return [*of_all, *made]


@pytest.mark.parametrize("settings", [{}, {"num_tables": 1, "global_token": False, "field_order_seed": None}])
def test_it_is_its_formula(settings):
    model, batch = build(**settings), rows()
    parameters = dict(model.named_parameters())
    slow = SlowRankUp(parameters, T, D, num_blocks=2)
    order = (
        torch.randperm(FIELDS, generator=torch.Generator().manual_seed(0)).tolist() if not settings else range(FIELDS)
    )
    flat = []
    for row in range(ROWS):
        vectors = []
        for field in order:
            name, value = f"categorical_{field}", batch[f"categorical_{field}"][row]
            tables = [
                parameter for key, parameter in parameters.items() if key.endswith(f"embedding_layers.{name}.weight")
            ]
            assert len(tables) == settings.get("num_tables", 2)
            vectors += [table[value] for table in tables]
        flat.append(torch.cat(vectors))
    tokenizer = lambda row: slow.tokens(row, settings.get("global_token", True))  # noqa: E731
    expected = slow(torch.stack(flat), slow.block, tokenizer, slow.mean_pool_head)
    torch.testing.assert_close(model(batch)["y_pred"], expected, rtol=0, atol=1e-9)


def test_a_field_in_another_place_of_the_dataset_and_the_order_changes_nothing():
    model, batch = build(), rows()
    before = model(batch)["y_pred"]
    swapped = {**batch, "categorical_1": batch["categorical_3"], "categorical_3": batch["categorical_1"]}
    embedding = model.embedding_layer
    with torch.no_grad():
        for table in embedding.tables:
            one, other = (table.embedding_layer.embedding_layers[f"categorical_{i}"].weight for i in (1, 3))
            one[:], other[:] = other.clone(), one.clone()
        where = [embedding.order.tolist().index(i) for i in (1, 3)]
        embedding.order[where] = embedding.order[where].flip(0)
    assert not torch.allclose(build()(swapped)["y_pred"], before)
    torch.testing.assert_close(model(swapped)["y_pred"], before)


def test_the_order_is_of_its_seed_and_comes_back_from_a_checkpoint():
    first, other = build(field_order_seed=0), build(field_order_seed=1)
    assert torch.equal(build(field_order_seed=0).embedding_layer.order, first.embedding_layer.order)
    assert not torch.equal(first.embedding_layer.order, other.embedding_layer.order)
    assert sorted(other.embedding_layer.order.tolist()) == list(range(FIELDS))
    other.load_state_dict(first.state_dict())
    assert torch.equal(other(rows())["y_pred"], first(rows())["y_pred"])


def test_more_tables_are_no_more_parameters():
    counts = {tables: tiny.embedding_count(build(num_tables=tables)) for tables in (1, 2, 4)}
    assert set(counts.values()) == {FIELDS * tiny.VOCABULARY * WIDTH}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_tables": 3}, "num_tables"),
        ({"num_tokens": 3}, "num_tokens"),
        ({"num_tokens": 1}, "needs another beside it"),
        ({"num_blocks": 0}, "num_blocks"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(RankUp, tiny.plain_feature_map(FIELDS, WIDTH), **{**SHAPE, **settings})
