"""The plain files against the models that a benchmark runs: the same parameters give the same probabilities."""

import ast
import sys
from pathlib import Path

import pytest
import torch

from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from fuxi_plugins.models.reference import rankelastor, rankmixer
from tests.models import tiny

FIELDS, WIDTH, ROWS = 6, 5, 9
SMALL = {"num_tokens": 4, "token_dim": 8}
CASES = {  # settings of the configurable model, and what the plain file calls otherwise
    "RankElastor": (RankElastor, rankelastor.RankElastor, {}, {}),
    "RankElastor, other widths": (
        RankElastor,
        rankelastor.RankElastor,
        {**SMALL, "tokenizer_hidden_units": [7], "ffn_hidden_units": [6, 8, 8], "ffn_expansion": 1.5, "num_blocks": 3},
        {**SMALL, "tokenizer_width": 7, "ffn_widths": [6, 8, 8], "expansion": 1.5, "num_blocks": 3},
    ),
    "RankMixer": (RankMixer, rankmixer.RankMixer, {}, {}),
    "RankMixer, other widths": (
        RankMixer,
        rankmixer.RankMixer,
        {**SMALL, "ffn_expansion": 2.5, "num_blocks": 3},
        {**SMALL, "expansion": 2.5, "num_blocks": 3},
    ),
}


@pytest.fixture(params=CASES)
def pair(request):
    """The configurable model and the plain one, both in float64."""
    configurable, plain, settings, named = CASES[request.param]
    feature_map = tiny.plain_feature_map(FIELDS, WIDTH)
    model = tiny.build(configurable, feature_map, embedding_dim=WIDTH, **settings)
    return model.double(), plain([tiny.VOCABULARY] * FIELDS, embedding_dim=WIDTH, **named).double()


def copy_parameters(model, plain) -> None:
    """One after the other, for they are created in one order; a bias (T, 1, O) is (T, O) in the plain file."""
    with torch.no_grad():
        for theirs, ours in zip(model.parameters(), plain.parameters(), strict=True):
            ours.copy_(theirs.view_as(ours))


def test_the_plain_file_computes_what_the_model_does(pair):
    model, plain = pair
    tiny.randomize(model)
    copy_parameters(model, plain)
    ids = torch.randint(0, tiny.VOCABULARY, (ROWS, FIELDS), generator=torch.Generator().manual_seed(0))
    probabilities = plain(ids)
    expected = model({f"categorical_{field}": ids[:, field] for field in range(FIELDS)})["y_pred"]
    assert probabilities.unique().numel() == ROWS
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=1e-10)


def test_it_starts_as_the_model_does(pair):
    """Each parameter is constant in both, or has the same deviation up to chance."""
    for theirs, ours in zip(*(model.parameters() for model in pair), strict=True):
        assert ours.numel() == theirs.numel()
        values, expected = ours.detach().flatten(), theirs.detach().flatten()
        if expected.eq(expected[0]).all():
            assert torch.equal(values, expected)
        else:
            assert (values.std() / expected.std()).item() == pytest.approx(1, abs=6 / len(values) ** 0.5)


@pytest.mark.parametrize("module", [rankelastor, rankmixer])
def test_it_needs_torch_alone(module):
    tree = ast.parse(Path(module.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"torch"}
