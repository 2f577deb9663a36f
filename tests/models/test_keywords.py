"""What a constructor takes out of its ``**kwargs`` is found without running it."""

from typing import Any

from fuxi_plugins.experiments.settings import legal_settings, model_settings, resolve_settings
from fuxi_plugins.models.keywords import REQUIRED, keywords_read

WIDTH = 3


class Base:
    def __init__(self, **kwargs: Any):
        self.low = kwargs.get("low", 1)
        self.both = kwargs.get("both", "of the base")


class Reading(Base):
    def __init__(self, feature_map: Any, depth: int = 2, **options: Any):
        super().__init__(**options)
        kwargs = {"never": 1}
        self.parts = (
            options["must"], options.get("maybe"), options.pop("taken"), options.pop("left", [1, 2]),
            options.get("computed", WIDTH), options.get("both", {"a": -1}), kwargs.get("never"), kwargs["never"],
        )  # fmt: skip


def test_every_way_of_reading_is_found_with_its_default():
    assert keywords_read(Reading) == {
        "low": 1,
        "both": {"a": -1},  # a class's own word goes before its base's
        "must": REQUIRED,
        "maybe": None,
        "taken": REQUIRED,
        "left": [1, 2],
        "computed": REQUIRED,
    }


def test_they_are_settings_beside_those_of_the_signature():
    assert {"depth", "must", "left"} <= legal_settings(Reading)
    given = {"must": 1, "taken": 2, "computed": 3, "left": None}
    model_params, _ = resolve_settings(Reading, given, "here")
    assert model_params == {"depth": 2, "low": 1, "both": {"a": -1}, "maybe": None, **given}


class Compiling(Reading):
    def __init__(self, feature_map: Any, **kwargs: Any):
        super().__init__(feature_map, **kwargs)
        self.passed = kwargs["optimizer"], kwargs["loss"], kwargs["verbose"], kwargs["model_root"]


def test_what_the_harness_passes_itself_is_no_setting_of_the_model():
    assert {"optimizer", "loss", "verbose", "model_root"} <= set(keywords_read(Compiling))
    assert not {"verbose", "model_root"} & legal_settings(Compiling)
    assert not {"optimizer", "loss"} & set(model_settings(Compiling).model_fields)
