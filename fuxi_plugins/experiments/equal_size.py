"""Settings that make a model as large as another: the width at which the two have the same dense parameters.

Parameters are counted by building the models on torch's meta device. That takes torch and some seconds for a suite, so
it waits until somebody reads the settings (:class:`LateSettings`): suites are listed, and boards made, without.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import canonical_json

TOLERANCE = 0.02  # of the dense parameters of two models of equal size


class LateSettings(Mapping[str, Any]):
    """Settings whose names are known and whose values are made when the first one is read."""

    def __init__(self, names: Sequence[str], make: Callable[[], Mapping[str, Any]]):
        self._names, self._make = names, make

    @cached_property
    def _values(self) -> Mapping[str, Any]:
        return self._make()

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def as_large_as(
    reference: Mapping[str, Any], settings: Mapping[str, Any], embedding_dims: tuple[int, ...], where: str
) -> dict[str, Any]:
    """The settings with the width that brings the model's dense parameters nearest to the reference's.

    Args:
        reference: settings, its model's name among them.
        settings: likewise, of a token model or of an MLP.
        embedding_dims: of the dataset's fields.
        where: names the model and the dataset in an error.

    Raises:
        UserError: no width comes within 2% of the reference.
    """

    def size(tried: Mapping[str, Any]) -> int:
        return _dense_parameters(canonical_json(tried), embedding_dims)

    target = size(reference)
    width = nearest_width(target, lambda width: size(_widened(settings, width)))
    found = _widened(settings, width)
    if "ffn_hidden_units" in found:  # a step of all hidden layers is coarse; one of the last alone is fine
        *others, last = found["ffn_hidden_units"]

        def with_last(units: int) -> dict[str, Any]:
            """Layers of one width have no map between them; it is left out, so that sizes grow with the width."""
            return {**found, "ffn_hidden_units": [*others, units + (units == last)]}

        units = nearest_width(target, lambda units: size(with_last(units)), 2 * last)
        found = min(found, with_last(units), key=lambda tried: abs(size(tried) - target))
    if abs(size(found) - target) > TOLERANCE * target:
        raise UserError(
            f"{where} must come within {TOLERANCE:.0%} of the {target:,} dense parameters of {reference['model']}, "
            f"but the nearest width, {width}, gives {size(found):,}."
        )
    return found


def nearest_width(target: int, size_at: Callable[[int], int], start: int = 32) -> int:
    """The width of at least 1 whose size comes nearest to the target, for a size that grows with the width.

    Computing a size is slow, and sizes are nearly linear between two widths, so it interpolates.

    >>> nearest_width(100, lambda width: 10 * width + 3)
    10
    """
    low, high = 1, max(start, 2)
    while size_at(high) < target:
        low, high = high, 2 * high
    while high - low > 1:
        share = (target - size_at(low)) / (size_at(high) - size_at(low))
        middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
        low, high = (middle, high) if size_at(middle) < target else (low, middle)
    return min((low, high), key=lambda width: abs(size_at(width) - target))


def _widened(settings: Mapping[str, Any], width: int) -> dict[str, Any]:
    """The settings with all hidden layers of the per-token network, or of an MLP, of that width."""
    if settings["model"] == "DNN":
        return {**settings, "hidden_units": [width] * len(settings["hidden_units"])}
    if settings["formulation"] == "paper":  # hidden widths are int(r D); the half keeps rounding away from the edge
        return {**settings, "ffn_expansion": (width + 0.5) / settings["token_dim"]}
    return {**settings, "ffn_hidden_units": [width] * len(settings["ffn_hidden_units"])}


@cache
def _dense_parameters(settings: str, embedding_dims: tuple[int, ...]) -> int:
    from fuxi_plugins.models.meta import dense_parameters

    given = json.loads(settings)
    return dense_parameters(given.pop("model"), given, embedding_dims)
