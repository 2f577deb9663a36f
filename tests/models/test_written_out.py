"""Formulas that stand here, not in FuxiCTR, against FuxiCTR's layers of the same names and parameters."""

import pytest
import torch
from fuxictr.pytorch import layers
from torch import nn

from fuxi_plugins.models.dcnv2 import CrossNetMix, CrossNetV2
from fuxi_plugins.models.fm import FactorizationMachine
from tests.models import tiny

WIDTH = 6


def same_parameters(theirs: nn.Module, ours: nn.Module) -> None:
    """Moves theirs off the initial values and copies them; the names must be the same, as checkpoints have them."""
    tiny.randomize(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("mixture", [False, True])
def test_the_cross_networks_are_fuxictrs(num_layers, mixture):
    sizes = (WIDTH, num_layers, *((3, 4) if mixture else ()))
    theirs, ours = (layers.CrossNetMix, CrossNetMix) if mixture else (layers.CrossNetV2, CrossNetV2)
    torch.manual_seed(0)
    their_net = theirs(*sizes).double()
    torch.manual_seed(0)
    our_net = ours(*sizes).double()
    for ours_started, theirs_started in zip(our_net.parameters(), their_net.parameters(), strict=True):
        assert torch.equal(ours_started, theirs_started)
    same_parameters(their_net, our_net)
    x_0 = torch.randn(5, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(our_net(x_0), their_net(x_0), rtol=1e-12, atol=1e-12)
    assert our_net(x_0[:1]).shape == (1, WIDTH)


def test_the_factorization_machine_is_fuxictrs():
    feature_map, batch = tiny.feature_map(WIDTH), tiny.columns(7)
    theirs, ours = layers.FactorizationMachine(feature_map), FactorizationMachine(feature_map)
    same_parameters(theirs, ours)
    features = {name: batch[name] for name, spec in feature_map.features.items() if spec["type"] != "meta"}
    embeddings = torch.randn(7, feature_map.num_fields, WIDTH)
    torch.testing.assert_close(ours(features, embeddings), theirs(features, embeddings), rtol=1e-5, atol=1e-5)
