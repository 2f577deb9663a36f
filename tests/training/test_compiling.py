"""Compiled models compute what they compute uncompiled; each region is compiled once, for any number of rows."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.training import compiling
from tests.models import tiny

SHARED = {"tokenizer": "shared", "num_tokens": 5, "token_dim": 10}
MODELS = [("DNN", {}), ("DCNv2", {}), ("RankMixer", {}), ("RankElastor", SHARED), ("RankElastor", {"num_tokens": 9})]


def build(name, settings):
    """A model, and the same one to be compiled."""
    plain_class = load_model_class(name)
    classes = (plain_class, type("Built", (compiling.Compiled, plain_class), {}))
    made = [tiny.build(each, **{**plain_class.small_settings, **settings}) for each in classes]
    for model in made:
        tiny.randomize(model)
    return made


def gradients(model, rows):
    loss = torch.nn.functional.binary_cross_entropy(model(rows)["y_pred"], rows["click"].view(-1, 1))
    return torch.autograd.grad(loss, [parameter for parameter in model.parameters() if parameter.requires_grad])


@pytest.fixture
def counted(monkeypatch):
    """Counts the graphs that are compiled; they run as they are."""
    torch._dynamo.reset()
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    yield counter
    torch._dynamo.reset()


@pytest.mark.parametrize(("name", "settings"), MODELS, ids=str)
def test_another_number_of_rows_compiles_nothing_new(name, settings, counted):
    plain, model = build(name, settings)
    graphs = []
    for rows in (120, 110, 33):  # the shared tokenizer takes 512 tokens at a time
        batch = tiny.columns(rows)
        torch.testing.assert_close(gradients(model, batch), gradients(plain, batch))
        graphs.append(counted.frame_count)
    assert graphs[0] == graphs[-1] > 0


def graphs(counted, name, **settings):
    """How many graphs a forward pass compiles."""
    torch._dynamo.reset()
    before = counted.frame_count
    build(name, settings)[1](tiny.columns(9))
    return counted.frame_count - before


def test_a_network_of_many_tokens_is_compiled_once_and_so_are_blocks_alike(counted):
    of_tokens = partial(graphs, counted, "RankMixer", token_dim=10)
    assert of_tokens(num_tokens=5) == of_tokens(num_tokens=10) == of_tokens(num_tokens=10, num_blocks=3) > 0


def test_a_wide_layer_of_the_shared_tokenizer_is_left_out(counted):
    narrow, wide = (graphs(counted, "RankElastor", **SHARED, tokenizer_hidden_units=[hidden]) for hidden in (8, 200))
    assert wide == narrow - 1


def test_embeddings_are_left_out(monkeypatch):
    """The compiled graphs hold no lookup."""
    torch._dynamo.reset()
    targets = set()

    def look(graph, inputs):
        targets.update(str(node.target) for node in graph.graph.nodes)
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=look))
    build("DNN", {})[1](tiny.columns(9))
    assert any("linear" in target for target in targets)
    assert not any("embedding" in target for target in targets)


def test_parameters_keep_their_names(counted):
    plain, model = build("RankElastor", SHARED)
    model(tiny.columns(9))
    assert list(model.state_dict()) == list(plain.state_dict())


def test_a_missing_compiler_is_said(monkeypatch):
    from torch._inductor import config, cpp_builder

    cpp_builder.cpp_compiler_search.cache_clear()
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(UserError, match="'mine': compile: true needs a C\\+\\+ compiler"):
        compiling.require_compiler("mine")
    monkeypatch.undo()
    cpp_builder.cpp_compiler_search.cache_clear()


def test_the_environment_decides_where_code_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv(compiling.CACHE_VARIABLE, "theirs")
    compiling.keep_code_in(tmp_path)
    assert os.environ[compiling.CACHE_VARIABLE] == "theirs"
    monkeypatch.setenv(compiling.CACHE_VARIABLE, compiling.default_cache_dir())  # as torch does at its import
    compiling.keep_code_in(tmp_path)
    assert os.environ[compiling.CACHE_VARIABLE] == str(tmp_path)


STEP = """
import torch
from torch._dynamo.utils import counters
from tests.training.test_compiling import SHARED, build, gradients, tiny

torch.set_num_threads(1)
plain, model = build("RankElastor", SHARED)
batch = tiny.columns(33)
torch.testing.assert_close(gradients(model, batch), gradients(plain, batch))
print(counters["inductor"]["fxgraph_cache_miss"], counters["inductor"]["fxgraph_cache_hit"])
"""


@pytest.mark.slow
def test_a_second_process_finds_the_code_of_the_first(tmp_path):
    environment = {**os.environ, compiling.CACHE_VARIABLE: str(tmp_path)}
    found = [
        subprocess.run([sys.executable, "-c", STEP], env=environment, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    (misses, _), (later_misses, hits) = (map(int, line.split()) for line in found)
    assert misses > 0
    assert (later_misses, hits) == (0, misses)
