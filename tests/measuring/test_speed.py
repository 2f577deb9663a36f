"""The peers compute what ours compute, and the table says what was measured."""

import json
import os
import time

import numpy as np
import pytest
import torch
from measuring import peers, sections
from measuring.loops import PerTokenLoop, with_loops
from measuring.report import END, as_markdown, merge, start, update_page
from measuring.timing import Case, Comparison, compare

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.layers import glu_ffn, mlp_ffn
from fuxi_plugins.models import registry
from fuxi_plugins.models.rankelastor import RankElastor

SHAPE = peers.Shape([9, 30], numeric=1, embedding_dim=4)


@pytest.mark.parametrize("network", [glu_ffn(3, 4, [6, 6], 2.0), mlp_ffn(3, 4, [5], "relu", norm=True)])
def test_a_loop_of_modules_computes_what_the_per_token_network_does(network):
    torch.manual_seed(0)
    x = torch.randn(7, 3, 4)
    torch.testing.assert_close(PerTokenLoop(network, 3)(x), network(x))


def test_a_model_with_loops_predicts_the_same():
    settings = {"embedding_dim": 4, "num_tokens": 3, "token_dim": 4, "num_blocks": 1}
    ours = peers.build(RankElastor, SHAPE, fast=True, **settings).eval()
    loops = with_loops(peers.build(RankElastor, SHAPE, fast=False, **settings)).eval()
    batch = SHAPE.batch(20, torch.device("cpu"))
    torch.testing.assert_close(loops(batch)["y_pred"], ours(batch)["y_pred"])


def test_npz_and_our_store_hold_the_same_rows(tmp_path):
    paths = peers.write_data(tmp_path, SHAPE, rows=50)
    ours = ColumnLoader(SHAPE.feature_map(), paths["store"], batch_size=20)
    theirs = peers.npz_loader(SHAPE, paths["npz"], 20)
    rows = [np.sort(np.concatenate([batch["C1"].numpy().ravel() for batch in loader])) for loader in (ours, theirs)]
    np.testing.assert_array_equal(*rows)


def test_the_bare_loop_learns():
    model = peers.BareLoop(
        peers.build(RankElastor, SHAPE, fast=False, embedding_dim=4, num_tokens=3, token_dim=4, num_blocks=1)
    )
    before = [parameter.detach().clone() for parameter in model.parameters]
    model.train_step(SHAPE.batch(20, torch.device("cpu")))
    assert any(not torch.equal(*pair) for pair in zip(before, model.parameters, strict=True))


def test_a_checkout_that_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match="must be a checkout"):
        peers.authors_model(tmp_path, "any", SHAPE)


def test_fields_keep_the_names_that_settings_use():
    named = peers.Shape([9, 30], numeric=1, embedding_dim=4, names=["user", "Name"])
    assert list(named.feature_map().features) == ["N0", "user", "Name"]
    batch = named.batch(5, torch.device("cpu"))
    assert {name: (column.dtype, column.ndim) for name, column in batch.items()} == {
        "N0": (torch.float32, 2), "user": (torch.int64, 1), "Name": (torch.int64, 1), "label": (torch.float32, 1),
    }  # fmt: skip


def test_a_checkouts_models_are_measured_beside_ours(tmp_path, monkeypatch):
    written = tmp_path / "model_zoo" / "FM" / "src" / "FM.py"
    written.parent.mkdir(parents=True)
    written.write_text(SLOW_FM)
    options = sections.Options(torch.device("cpu"), batch_size=50, zoo=tmp_path)
    monkeypatch.setattr(registry, "_sources", registry.INSTALLED_ONLY)
    cases = list(sections.zoo(options))
    assert [case.job for case in cases] == ["FM at Frappe's shape, batch 50"]
    seconds = {}
    for name, way in cases[0].ways.items():
        way()
        begun = time.perf_counter()
        way()
        seconds[name] = time.perf_counter() - begun
    assert seconds["FuxiCTR's zoo"] > 0.3
    assert list(sections.zoo(sections.Options(torch.device("cpu")))) == []


SLOW_FM = """\
import time

from fuxictr.pytorch.models import BaseModel

from fuxi_plugins.models.fm import FM as Ours


class FM(Ours, BaseModel):
    def forward(self, inputs):
        time.sleep(0.3)
        return super().forward(inputs)
"""


def naps(seconds):
    """A section: each way belongs to the process whose environment names it."""

    def nap(name, of):
        assert os.environ["MEASURED"] == name
        time.sleep(of)

    ways = {"ours": lambda: nap("ours", seconds / 5), "peer": lambda: nap("peer", seconds)}
    yield Case("toy", "sleeping", "a nap", ways, rounds=3)
    yield Case("toy", "dozing", "a nap", ways, rounds=1, own_cpu=False)


def broken(_):
    yield Case("toy", "failing", "a try", {"ours": lambda: 1 / 0}, rounds=1)


def test_a_way_that_fails_ends_the_measurement(capfd):
    with pytest.raises(RuntimeError, match="traceback stands above"):
        list(compare(broken, None, os.environ, os.environ))
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_the_slower_way_has_the_ratio_and_the_page_shows_it(tmp_path):
    comparison, not_ours = compare(naps, 0.05, {**os.environ, "MEASURED": "ours"}, {**os.environ, "MEASURED": "peer"})
    assert not_ours.cpu_seconds == {}
    assert comparison.rounds == 3
    assert comparison.cpu_seconds["peer"] < comparison.seconds["peer"]
    assert comparison.ratio("peer") == comparison.seconds["peer"] / comparison.seconds["ours"] > 1.2
    results = [comparison.plain()]
    page = tmp_path / "page.md"
    other = f"{start('other')}\nkept\n{END}\n"
    page.write_text(f"before\n{start('toy')}\nold\n{END}\nafter\n{other}")
    update_page(page, "toy", as_markdown(results))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"after\n{other}")
    assert f"**{results[0]['ratios']['peer']:.1f}x**" in text
    assert "old" not in text


def test_sections_that_were_not_measured_again_stay(tmp_path):
    path = tmp_path / "speed.json"
    merge(path, ["a"], {"a": {"results": [1]}})
    known = merge(path, ["b"], {"b": {"results": [2]}})
    comparison = Comparison("toy", "waiting", "a nap", {"ours": 0.1, "A peer": 0.3}, {"ours": 0.1, "A peer": 0.2}, 1)
    stored = merge(tmp_path / "own.json", ["toy"], {"toy": {"results": [comparison.plain()]}})
    reread = merge(tmp_path / "own.json", [], {})
    assert as_markdown(reread["sections"]["toy"]["results"]) == as_markdown(stored["sections"]["toy"]["results"])
    assert (
        known["sections"] == {"a": {"results": [1]}, "b": {"results": [2]}} == json.loads(path.read_text())["sections"]
    )
