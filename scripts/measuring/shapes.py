"""Datasets as random rows in their shape, by the names that experiments give them."""

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import Experiment, resolve
from measuring.peers import AVAZU, CRITEO, Shape
from measuring.sections import FRAPPE

SHAPES = {
    "frappe": (FRAPPE.vocabulary, 0, FRAPPE.names),
    "criteo": (CRITEO, 13, ()),
    "avazu": (AVAZU, 0, ()),
}  # by how a dataset's id begins: vocabularies, numeric fields, names of fields


def load_experiment(name: str) -> Experiment:
    """An experiment of the benchmark's own configs.

    Raises:
        UserError: there is none of that name.
    """
    return resolve(load_experiment_config(Workspace.locate().all_configs, name))


def shape_of(experiment: Experiment) -> Shape:
    """Rows as its dataset has them.

    Raises:
        UserError: of the dataset no shape is known.
    """
    family = experiment.dataset_id.partition("_")[0]
    if family not in SHAPES:
        raise UserError(
            f"the rows of an experiment must be in the shape of {', '.join(SHAPES)}, but {experiment.id} trains on "
            f"{experiment.dataset_id}."
        )
    vocabulary, numeric, names = SHAPES[family]
    return Shape(vocabulary, numeric, experiment.embedding_dim or 10, names)
