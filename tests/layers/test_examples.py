"""The examples in the docstrings of the layers run."""

import doctest
import importlib

import pytest

MODULES = ("checks", "mixing", "norms", "per_token", "tokenizers")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"fuxi_plugins.layers.{name}")
    failed, attempted = doctest.testmod(module)
    assert attempted > 0
    assert failed == 0
