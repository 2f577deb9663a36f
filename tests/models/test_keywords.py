"""What a constructor takes out of its ``**kwargs`` is found without running it."""

import enum
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.settings import constructor_arguments, legal_settings, model_settings, resolve_settings
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.keywords import REQUIRED, keywords_read, parameters_of

if TYPE_CHECKING:
    from somewhere import Unknown

WIDTH = 3


class Base:
    def __init__(self, **kwargs: Any):
        self.low = kwargs.get("low", 1)
        self.both = kwargs.get("both", "of the base")


class Formulation(Base):
    def __init__(self, feature_map: Any, depth: int = 2, **options: Any):
        super().__init__(**options)
        kwargs = {"never": 1}
        self.parts = (
            options["must"], options.get("maybe"), options.pop("taken"), options.pop("left", [1, 2]),
            options.get("computed", WIDTH), options.get("both", {"a": -1}), kwargs.get("never"), kwargs["never"],
        )  # fmt: skip


def test_every_way_of_reading_is_found_with_its_default():
    assert keywords_read(Formulation) == {
        "low": 1,
        "both": {"a": -1},  # a class's own word goes before its base's
        "must": REQUIRED,
        "maybe": None,
        "taken": REQUIRED,
        "left": [1, 2],
        "computed": REQUIRED,
    }


def test_they_are_settings_beside_those_of_the_signature():
    assert {"depth", "must", "left"} <= legal_settings(Formulation)
    given = {"must": 1, "taken": 2, "computed": 3, "left": None}
    model_params, _ = resolve_settings(Formulation, given, "here")
    assert model_params == {"depth": 2, "low": 1, "both": {"a": -1}, "maybe": None, **given}


class Compiling(Formulation):
    def __init__(self, feature_map: Any, **kwargs: Any):
        super().__init__(feature_map, **kwargs)
        self.passed = kwargs["optimizer"], kwargs["loss"], kwargs["verbose"], kwargs["model_root"]


def test_what_the_harness_passes_itself_is_no_setting_of_the_model():
    assert {"optimizer", "loss", "verbose", "model_root"} <= set(keywords_read(Compiling))
    assert not {"verbose", "model_root"} & legal_settings(Compiling)
    assert not {"optimizer", "loss"} & set(model_settings(Compiling).model_fields)


class Deeper(DCNv2):
    def __init__(self, feature_map: Any, *more: Any, depth: int = 2, **rest: Any):
        super().__init__(feature_map, num_cross_layers=depth, **rest)


class Deepest(Deeper):
    def __init__(self, feature_map: Any, **kwargs: Any):
        super(Deepest, self).__init__(feature_map, depth=9, **kwargs)  # noqa: UP008  as FuxiCTR writes it


class Closed(DCNv2):
    def __init__(self, feature_map: Any, width: int = 2, **kwargs: Any):
        super().__init__(feature_map, embedding_dim=width)


def test_a_model_that_hands_its_rest_to_its_base_has_the_settings_of_the_base():
    native = set(parameters_of(DCNv2))
    assert {"feature_map", "embedding_dim", "learning_rate", "num_cross_layers"} <= native
    assert set(parameters_of(Deeper)) == native - {"num_cross_layers"} | {"depth"}
    assert set(parameters_of(Deepest)) == native - {"num_cross_layers"}
    assert set(parameters_of(Closed)) == {"feature_map", "width"}
    assert "depth" not in legal_settings(Deepest)
    assert resolve_settings(Deeper, {"learning_rate": 0.5}, "here")[0]["learning_rate"] == 0.5


@dataclass
class Sizes:
    width: int = 4
    units: list[int] = field(default_factory=lambda: [8])


class Mode(enum.Enum):
    PLAIN = "plain"
    GATED = "gated"


class Varied:
    def __init__(
        self, feature_map: Any, sizes: Sizes | None = None, mode: Mode = Mode.PLAIN, units=(4, 2), rate=0,
        act: Callable = abs, kind=dict, copy=1, _hidden=3, model_config=4, strange: "Unknown" = None, **kwargs: Any,
    ): ...  # fmt: skip


def test_settings_are_what_json_holds_and_reach_the_constructor_as_it_wants_them():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        defaults, _ = resolve_settings(Varied, {}, "here")
        given = {"sizes": {"width": 3}, "mode": "gated", "units": [5], "rate": 0.5, "strange": 7}
        found, _ = resolve_settings(Varied, given, "here")
    assert defaults == {"sizes": None, "mode": "plain", "units": [4, 2], "rate": 0, "copy": 1, "strange": None}
    assert found == {**defaults, **given, "sizes": {"width": 3, "units": [8]}}
    arguments = constructor_arguments(Varied, found, "here")
    assert arguments == {**found, "sizes": Sizes(3), "mode": Mode.GATED, "units": (5,)}


WRONG = {
    "of a dataclass": ({"sizes": {"widht": 3}}, "there is no setting 'sizes.widht'"),
    "kind in a dataclass": ({"sizes": {"width": "3"}}, "sizes must be a whole number, but is '3' (text)"),
    "no mapping": ({"sizes": 3}, "sizes must be a mapping, but is 3"),
    "no member": ({"mode": "plane"}, "mode must be one of 'plain' or 'gated', but is 'plane'"),
    "a function": ({"act": "relu"}, "no setting 'act'. The settings of a model are the parameters of its constructor"),
    "no value of YAML": ({"rate": abs}, "rate must be a value that YAML can hold, but is <built-in function abs>"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_setting_is_one_message(mistake):
    given, message = WRONG[mistake]
    with pytest.raises(UserError) as error:
        resolve_settings(Varied, given, "here")
    assert message in str(error.value)


class WithText(Base):
    def __init__(self, feature_map: Any, depth: int = 2, **kwargs: Any):
        """A text whose lines begin before the function does:
        one,
        two.
        """
        kwargs["low"] = depth  # said here, so nobody has to
        super().__init__(**kwargs)


def test_a_text_at_the_left_margin_and_a_key_that_is_written():
    assert keywords_read(WithText) == {"low": 1, "both": "of the base"}
    assert list(parameters_of(WithText)) == ["feature_map", "depth"]


class Sloppy:
    def __init__(self, feature_map, act: callable = None, x: any = 3, hidden: [int] = None, **kwargs: Any):  # noqa: RUF013
        pass


def test_an_annotation_that_is_no_type_allows_any_value():
    for said in ({"act": "relu", "x": "many", "hidden": [1, 2]}, {"x": 5}):
        settings = model_settings(Sloppy).model_validate(said)
        assert {name: getattr(settings, name) for name in said} == said
