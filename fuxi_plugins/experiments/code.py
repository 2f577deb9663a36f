"""Which code computes a run. It is part of what the run is: an edited model is another experiment.

Code is named by the hash of its source. The models of this package and its training protocol change without changing
any number, when they are renamed or documented say; so ``revisions.json`` lists the hashes of the source that has
passed the golden tests (``tests/golden``), each with a revision, and code whose hash stands there is named by that
revision instead. ``scripts/freeze_code.py`` writes the list, and raises a revision where numbers have changed.
"""

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import fuxi_plugins
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.source import reached_files, source_digest
from fuxi_plugins.models import registry
from fuxi_plugins.records.parts import Code

PACKAGE = Path(fuxi_plugins.__file__).resolve().parent
REVISIONS = Path(__file__).with_name("revisions.json")
# The names of the training protocols in the list, where the others are models.
TRAINING = "training"
TREES = "training of trees"
# What decides the numbers of a training beside the model: initialisation, order of the rows, step, evaluation.
PROTOCOL = (
    "datasets/dataloader.py",
    "records/metrics/probability.py",  # the table of metrics is left out: an entry more changes no other metric
    "records/metrics/ranking.py",
    "records/metrics/scored.py",
    "training/accumulation.py",
    "training/assembly.py",
    "training/compiling.py",
    "training/devices.py",
    "training/distributed/ddp.py",
    "training/distributed/exchange.py",
    "training/distributed/initial_values.py",
    "training/distributed/placement.py",
    "training/distributed/sharded.py",
    "training/distributed/sharded_table.py",
    "training/divergence.py",
    "training/fast_step.py",
    "training/feature_maps.py",
    "training/hosted.py",
    "training/options.py",
    "training/sample_weights.py",
    "training/several_labels.py",
    "training/sparse_embeddings.py",
    "training/trainer.py",
    "training/weight_average.py",
)


# The same of the tree models, which a library trains; its version is in the record.
PROTOCOL_OF_TREES = (
    "records/metrics/probability.py",
    "records/metrics/ranking.py",
    "records/metrics/scored.py",
    "training/tree_runs.py",
)


def code_of(model: str) -> Code:
    """The code of a run of that model.

    Raises:
        UserError: there is no such model, or its files cannot be read.
    """
    protocol = TREES if registry.is_tree_model(model) else TRAINING
    return Code(model=_named(model, model_digest(model)), training=_named(protocol, training_digest(protocol)))


def model_digest(model: str) -> str:
    """The hash of a model's source: its file, and the files beside it that it imports.

    Of a model of this package these are its ``models`` and ``layers``; of one that a package brings, the files of that
    package; of a file or a checkout, those of the same folder.
    """
    found = registry.model_source(model)
    if found is not None:
        return source_digest(reached_files(found.file, found.root), found.root)
    module = registry.model_module(model)
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        raise UserError(f"the source of the model {model!r} is needed to name its code, but {module} has none.")
    file = Path(spec.origin)
    root = file.parents[module.count(".")]
    top = module.partition(".")[0]
    within = (f"{top}/models", f"{top}/layers") if top == PACKAGE.name else (top if "." in module else "",)
    return source_digest(reached_files(file, root, within), root)


def training_digest(protocol: str = TRAINING) -> str:
    """The hash of the source of a training protocol."""
    files = PROTOCOL_OF_TREES if protocol == TREES else PROTOCOL
    return source_digest([PACKAGE / name for name in files], PACKAGE)


@dataclass(frozen=True)
class Revision:
    """Source that has passed the golden tests."""

    revision: int
    source: str  # its hash


@cache
def revisions() -> dict[str, Revision]:
    """The revisions of the native models and tree models, by name, and of the training protocols."""
    listed = json.loads(REVISIONS.read_text(encoding="utf-8"))
    return {name: Revision(**entry) for name, entry in listed.items()}


def _named(name: str, source: str) -> str:
    known = revisions().get(name)
    return f"revision {known.revision}" if known and known.source == source else f"sha256:{source}"
