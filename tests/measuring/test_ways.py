"""Every way takes a step."""

import subprocess
import sys

import pytest
import torch
from measuring import revisions, ways

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "way",
    ["exact", "plain-products", "bf16", "bf16-products", "quick-dropout", "deterministic", "fuxictr", "token-loops"],
)
def test_a_way_takes_a_step(way):
    model = ways.WAYS[way]("RankElastor")
    assert torch.isfinite(torch.as_tensor(float(model.train_step(ways.CRITEO.batch(4, CPU)))))


@pytest.mark.parametrize("model", ways.MODELS)
def test_a_model_takes_a_step_at_its_shape(model):
    made = ways.build(model)
    assert torch.isfinite(torch.as_tensor(float(made.train_step(ways.MODELS[model].shape.batch(4, CPU)))))


def test_plain_products_are_torchs():
    turned, plain = (ways.WAYS[way]("DNN") for way in ("exact", "plain-products"))
    assert any("forward" in vars(layer) for layer in turned.modules())
    assert not any("forward" in vars(layer) for layer in plain.modules() if type(layer) is torch.nn.Linear)


def test_a_deterministic_step_is_one_and_leaves_the_process_as_it_was():
    exact, deterministic = (ways.make(way, "DNN") for way in ("exact", "deterministic"))
    seen, is_on = [], torch.are_deterministic_algorithms_enabled
    deterministic.embedding_layer.register_forward_pre_hook(lambda *_: seen.append(is_on()))
    batch = ways.CRITEO.batch(4, CPU)
    losses = []
    for model in (exact, deterministic):
        torch.manual_seed(0)
        losses.append(float(model.train_step(batch)))
    assert losses[0] == losses[1]
    assert seen == [True]
    assert not is_on()


def test_an_earlier_commit_s_model_is_of_that_commit_s_code(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    files = {
        "scripts/measuring/__init__.py": "",
        "scripts/measuring/peers.py": "from fuxi_plugins import WHICH\nSMALL = []\nShape = lambda *_, **__: None\n"
        "def build(cls, shape, fast, **settings): return WHICH, cls, settings\n",
        "fuxi_plugins/__init__.py": "WHICH = 'the earlier one'\n",
        "fuxi_plugins/models/__init__.py": "",
        "fuxi_plugins/models/registry.py": "def load_model_class(name): return name\n",
    }
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(revisions, "ROOT", repository)
    present, paths = sys.modules["fuxi_plugins"], list(sys.path)
    assert revisions.build_at("HEAD", "DNN", ways.CRITEO, {"a": 1}) == ("the earlier one", "DNN", {"a": 1})
    assert sys.modules["fuxi_plugins"] is present
    assert sys.path == paths
    with pytest.raises(ValueError, match="'no-such' must name a commit"):
        revisions.build_at("no-such", "DNN", ways.CRITEO, {})
