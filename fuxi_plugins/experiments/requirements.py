"""What a dataset's config decides of experiments on it: the models it can feed, metrics and the width of embeddings."""

from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.models.needs import Needs, needs_of
from fuxi_plugins.records.metrics import usual_group_metrics, usual_metrics


def unmet_need(model_class: type, model: str, spec: DatasetSpec) -> str | None:
    """A sentence on why the model cannot run on the dataset, or None when it can."""
    reason = unmet(needs_of(model_class), spec)
    return f"{model} cannot run on {spec.dataset_id}: {reason}" if reason else None


def metrics_on(spec: DatasetSpec) -> list[str]:
    """The metrics of an experiment that does not choose them."""
    return [*usual_metrics(), *(usual_group_metrics() if spec.group_id else [])]


def embedding_dim_on(spec: DatasetSpec) -> dict[str, int]:
    """The setting ``embedding_dim`` where columns have one width by the config: most models need all of that width."""
    widths = set(fixed_widths(spec).values())
    return {"embedding_dim": widths.pop()} if len(widths) == 1 else {}


def fixed_widths(spec: DatasetSpec) -> dict[str, int]:
    """The columns whose embeddings have a width by the dataset's config, whatever an experiment says."""
    return {
        name: column.width
        for column in spec.active_columns
        if column.type != "meta" and column.width
        for name in column.names
    }


def other_widths(spec: DatasetSpec, embedding_dim: int | None) -> str | None:
    """A clause on columns that are not as wide as an experiment's embeddings, with which few models can do."""
    others = {name: width for name, width in fixed_widths(spec).items() if embedding_dim not in (None, width)}
    listed = ", ".join(f"{name} {width}" for name, width in others.items())
    said = f"the experiment's embedding_dim is {embedding_dim}, but {spec.dataset_id} makes {listed} wide"
    return said if others else None


def unmet(needs: Needs, spec: DatasetSpec) -> str | None:
    """What the dataset lacks, as ``it needs a behaviour history``; None where it has everything."""
    learned = [column.name for column in spec.learned_labels]
    if needs.labels > len(learned):
        return f"it learns several labels at once; name them in the experiment, as labels: [{learned[0]}, ...]"
    if needs.labels == 1 and len(learned) > 1:
        return f"it learns one label, and the experiment names {' and '.join(learned)}"
    if len(spec.source_of) < needs.fields:
        return f"it needs {needs.fields} fields, and the dataset has {len(spec.source_of)}"
    missing = sorted(set(needs.sources) - set(spec.source_of.values()))
    if missing:
        return f"it needs features of source {' and '.join(missing)}, which the dataset's config gives to none"
    shared = [column for column in spec.active_columns if column.share_embedding]
    if needs.history and not any(column.type == "sequence" for column in shared):
        return "it needs a behaviour history"
    return None
