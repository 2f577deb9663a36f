"""What every registered model and every variant owes: a new one earns these tests by its entry in the registry."""

import inspect
import math

import pydantic
import pytest
import torch
from torch import nn

from fuxi_plugins.models.citation import paper_of
from fuxi_plugins.models.registry import is_tree_model, load_model_class, model_names, model_summary
from fuxi_plugins.models.variants import VARIANTS
from tests.models import tiny

MODELS = [name for name in model_names() if not is_tree_model(name)]


@pytest.fixture(params=[*MODELS, *VARIANTS])
def build_default(request):
    """Builds a model or a variant with its defaults."""
    variant = VARIANTS.get(request.param)
    name, fixed = (variant.model, variant.fixed) if variant else (request.param, {})
    model_class = load_model_class(name)

    def build_model(**more):
        return tiny.build(model_class, **{**more, **fixed})

    build_model.small_settings = getattr(model_class, "small_settings", {})
    return build_model


@pytest.fixture
def build(build_default):
    def build_model(**more):
        return build_default(**build_default.small_settings, **more)

    return build_model


def predictions(model, batch) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(batch)["y_pred"]


def test_the_defaults_fit_any_fields(build_default):
    assert predictions(build_default(), tiny.columns(4)).shape == (4, 1)


def test_it_starts_as_fuxictr_starts_its_layers(build):
    """FuxiCTR's ``reset_parameters`` leaves no bias; torch's own start does."""
    for module in build().modules():
        if type(module) is nn.Linear and module.bias is not None:
            assert module.bias.eq(0).all()


def test_one_probability_a_row(build):
    model = build()
    tiny.randomize(model)
    predicted = predictions(model, tiny.columns(16))
    assert predicted.shape == (16, 1)
    assert predicted.dtype == torch.float32
    assert ((predicted > 0) & (predicted < 1)).all()
    assert predicted.unique().numel() == 16


def test_rows_do_not_affect_each_other(build):
    model, batch = build(), tiny.columns(16)
    tiny.randomize(model)
    together = predictions(model, batch)
    some = [11, 3, 7]
    torch.testing.assert_close(predictions(model, tiny.take(batch, some)), together[some], rtol=0, atol=1e-6)


def test_a_single_row_works(build):
    model, batch = build(), tiny.columns(16)
    tiny.randomize(model)
    alone = predictions(model, tiny.take(batch, slice(5, 6)))
    torch.testing.assert_close(alone, predictions(model, batch)[5:6], rtol=0, atol=1e-6)


def test_every_field_matters(build):
    model, batch = build(), tiny.columns(64)
    tiny.randomize(model)
    before = predictions(model, batch)
    for field in ("user", "item", "device", "price", "history"):
        changed = {**batch, field: batch[field].roll(1, dims=0)}
        assert not torch.allclose(predictions(model, changed), before), field
    assert torch.equal(predictions(model, {**batch, "group": batch["group"] + 1}), before)


def test_every_parameter_learns_but_padding(build):
    model, batch = build(), tiny.columns(64)
    tiny.randomize(model)
    model.compute_loss(model(batch), model.get_labels(batch)).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            assert module.weight.grad[module.padding_idx].eq(0).all()


def test_one_batch_can_be_memorised(build):
    model, batch = build(learning_rate=1e-2), tiny.columns(16)
    labels = model.get_labels(batch)
    rate = labels.mean().item()
    constant_loss = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    model.train()
    for _ in range(150):
        model.optimizer.zero_grad()
        loss = model.compute_loss(model(batch), labels)
        loss.backward()
        model.optimizer.step()
    assert loss.item() < 0.4 * constant_loss


def test_it_learns_through_fuxictrs_fit(build, tmp_path):
    (tmp_path / "tiny").mkdir()  # FuxiCTR does not make the folder of its checkpoint
    model = build(root=tmp_path, learning_rate=1e-2)
    valid = tiny.batches(1000, 500, seed=1)
    before = model.evaluate(valid)["AUC"]
    model.fit(tiny.batches(2000, 200), epochs=3, validation_data=valid)
    after = model.evaluate(valid)["AUC"]
    assert after > max(before, 0.7)


def test_it_comes_back_from_its_checkpoint(build, tmp_path):
    saved, loaded, batch = build(), build(), tiny.columns(8)
    tiny.randomize(saved)
    assert not torch.equal(predictions(loaded, batch), predictions(saved, batch))
    saved.save_weights(tmp_path / "weights")
    loaded.load_weights(tmp_path / "weights")
    assert torch.equal(predictions(loaded, batch), predictions(saved, batch))


@pytest.mark.parametrize("name", MODELS)
def test_it_says_what_it_is(name):
    model_class = load_model_class(name)
    assert str(paper_of(model_class).year) in str(paper_of(model_class))
    docstring = inspect.getdoc(model_class)
    assert docstring.splitlines()[0].endswith(".")
    assert docstring.splitlines()[0] == model_summary(name)
    for part in ("Data:", "Deviations:", "Args:"):
        assert part in docstring


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_says_what_it_is(name):
    variant = VARIANTS[name]
    assert variant.summary.startswith(f"{name} is ")
    assert variant.summary.endswith(".")
    assert set(variant.fixed) <= set(inspect.signature(load_model_class(variant.model)).parameters)


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_has_a_type_that_pydantic_can_check(name):
    parameters = list(inspect.signature(load_model_class(name)).parameters.values())
    settings = {p.name: p for p in parameters if p.kind is not p.VAR_KEYWORD}
    assert list(settings)[:3] == ["feature_map", "model_id", "gpu"]
    assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
    del settings["feature_map"]
    fields = {}
    for setting, parameter in settings.items():
        assert parameter.annotation is not parameter.empty, setting
        assert parameter.default is not parameter.empty, setting
        fields[setting] = (parameter.annotation, parameter.default)
    strict = pydantic.ConfigDict(extra="forbid", validate_default=True)
    schema = pydantic.create_model("Settings", __config__=strict, **fields)
    assert schema().learning_rate == 1e-3
    with pytest.raises(pydantic.ValidationError):
        schema(no_such_setting=1)
