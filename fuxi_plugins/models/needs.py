"""What a model requires of the data; the class attribute ``needs`` of a model."""

from dataclasses import dataclass

from fuxi_plugins.datasets.spec import DatasetSpec


@dataclass(frozen=True)
class Needs:
    """Requirements beyond one feature; a class without ``needs`` has none.

    history: a behaviour history, a sequence that shares its embedding with a categorical field, the target. The model
        reads it one behaviour after the other, whether or not the dataset's config pools it.
    fields: the least number of features.
    labels: how many labels are learned at once; the datasets here have one.
    item_tables: batches that carry a table of items beside the rows, as FuxiCTR's LongCTR models read them.
    """

    history: bool = False
    fields: int = 1
    labels: int = 1
    item_tables: bool = False

    def unmet(self, spec: DatasetSpec) -> str | None:
        """What the dataset lacks, as ``it needs a behaviour history``; None where it has everything."""
        if self.labels > 1:
            return f"it learns {self.labels} or more labels, and the dataset has one"
        if self.item_tables:
            return "it needs batches with a table of items, which only FuxiCTR's own LongCTR loader makes"
        columns = [column for column in spec.active_columns if column.type != "meta"]
        names = [name for column in columns for name in column.names]
        if len(names) < self.fields:
            return f"it needs {self.fields} fields, and the dataset has {len(names)}"
        histories = (column for column in columns if column.type == "sequence" and column.share_embedding)
        if self.history and not any(True for _ in histories):
            return "it needs a behaviour history"
        return None


def unmet_need(model_class: type, model: str, spec: DatasetSpec) -> str | None:
    """A sentence on why the model cannot run on the dataset, or None when it can."""
    reason = getattr(model_class, "needs", Needs()).unmet(spec)
    return f"{model} cannot run on {spec.dataset_id}: {reason}" if reason else None
