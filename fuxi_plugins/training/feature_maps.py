"""The columns as FuxiCTR's models are told of them, and the settings that name columns."""

from collections import OrderedDict
from typing import Any

from fuxictr.features import FeatureMap

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.module_names import module_name
from fuxi_plugins.datasets.prepare import FEATURE_MAP_FILE, PreparedData


def load_feature_map(data: PreparedData, embedding_dim: int | None) -> FeatureMap:
    """FuxiCTR's description of the prepared columns, under the names that they have inside models, and of the labels.

    Raises:
        UserError: a column with pretrained vectors, which FuxiCTR looks up by its name, has a name that torch refuses.
    """
    feature_map = FeatureMap(data.spec.dataset_id, str(data.folder))
    group = data.spec.group_id
    params = {"group_id": module_name(group) if group else None, "embedding_dim": embedding_dim}
    feature_map.load(str(data.folder / FEATURE_MAP_FILE), params)
    for name, spec in feature_map.features.items():  # as the config has them now; FuxiCTR leaves them out on meta ones
        spec["source"] = data.spec.source_of.get(name, "")
        if "share_embedding" in spec:
            spec["share_embedding"] = module_name(spec["share_embedding"])
        if "pretrained_emb" in spec and module_name(name) != name:
            raise UserError(
                f"{data.spec.dataset_id}: a column with pretrained vectors must have a name that torch gives modules, "
                f"but {name!r} is none. Rename the column."
            )
    feature_map.features = OrderedDict((module_name(name), spec) for name, spec in feature_map.features.items())
    feature_map.labels = [column.name for column in data.spec.learned_labels]
    feature_map.column_index = {}
    feature_map.set_column_index()
    return feature_map


def as_named_inside_models(model_params: dict[str, Any]) -> dict[str, Any]:
    """The settings with the columns that they name, as ``din_target_field`` does, under their names inside models."""
    return {key: _renamed(value) if key.endswith("_field") else value for key, value in model_params.items()}


def _renamed(named: Any) -> Any:
    return module_name(named) if isinstance(named, str) else named and [_renamed(part) for part in named]


def keep_unpooled(feature_map: FeatureMap, model_params: dict[str, Any]) -> None:
    """A sequence that a zoo model's setting names is one that the model reads itself, behaviour by behaviour."""
    named = [name for key, value in model_params.items() if key.endswith("_field") for name in _names_in(value)]
    for name in named:
        spec = feature_map.features.get(name, {})
        if spec.get("type") == "sequence":
            spec.pop("feature_encoder", None)


def _names_in(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [name for part in value or [] for name in _names_in(part)]


def as_tuples(model_params: dict[str, Any]) -> dict[str, Any]:
    """Fields that belong together are a tuple in FuxiCTR, which JSON has not."""
    return {
        key: [tuple(part) if isinstance(part, list) else part for part in value]
        if key.endswith("_field") and isinstance(value, list)
        else value
        for key, value in model_params.items()
    }
