"""The base class of the models: what every constructor does first and last."""

from collections.abc import Mapping
from typing import Any, ClassVar

from fuxictr.features import FeatureMap
from fuxictr.pytorch.models import BaseModel

from .fuxictr_layers import project_vectors
from .needs import Needs


class CTRModel(BaseModel):
    """FuxiCTR's ``BaseModel``, with a constructor that leaves a model its own parts.

    A subclass names its settings in its signature, which makes them legal in an experiment, and creates its parts
    between two lines:

        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        ...
        self.finish_init(learning_rate, **kwargs)

    Initial values are drawn in the order in which the parts are created.

    needs: what the model requires of the data.
    board_settings: what its row on a board of all models sets beside what all rows have in common, see
        ``experiments/common.py``; for a model whose defaults do not fit these, or are a variant of it.
    added_settings: what the model got after runs of it were recorded. One of them at its default stands in no run's
        settings, so that those runs are still runs of today's experiments.
    small_settings: for five fields of width 10, which tests train in a second; for a model whose defaults do not fit
        five fields, or are too slow for it.

    Args:
        feature_map: FuxiCTR's.
        model_id: the name of the checkpoint.
        gpu: index of the device, -1 for the CPU.
        embedding_regularizer, net_regularizer: of the embedding tables and of all else; a number for L2, or ``l1(x)``,
            ``l2(x)``, ``l1_l2(x,y)``.
        kwargs: what else ``BaseModel`` takes, and the optimizer and the loss of ``finish_init``.
    """

    needs: ClassVar[Needs] = Needs()
    board_settings: ClassVar[Mapping[str, Any]] = {}
    added_settings: ClassVar[tuple[str, ...]] = ()
    small_settings: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str,
        gpu: int,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            feature_map,
            model_id=model_id,
            gpu=gpu,
            embedding_regularizer=embedding_regularizer,
            net_regularizer=net_regularizer,
            **kwargs,
        )

    def finish_init(self, learning_rate: float, *, optimizer: str, loss: str, **_: Any) -> None:
        """The last line of a constructor: gives all parts their optimizer, their initial values and their device."""
        project_vectors(self)
        self.compile(optimizer, loss, learning_rate)
        self.reset_parameters()
        self.model_to_device()
