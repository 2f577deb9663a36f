"""What a model requires of the data; the class attribute ``needs`` of a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """Requirements beyond one feature; a class without ``needs`` has none.

    history: a behaviour history, a sequence that shares its embedding with a categorical field, the target. The model
        reads it one behaviour after the other, whether or not the dataset's config pools it.
    fields: the least number of features.
    labels: how many labels are learned at once; 2 stands for two or more.
    sources: what some feature's ``source`` must be by the dataset's config, as ``user`` and ``item`` for two towers.
    """

    history: bool = False
    fields: int = 1
    labels: int = 1
    sources: tuple[str, ...] = ()


def needs_of(model_class: type) -> Needs:
    """What a class says it needs; one of FuxiCTR's models of several tasks that says nothing needs several labels."""
    several = any(base.__name__ == "MultiTaskModel" for base in model_class.__mro__)
    return getattr(model_class, "needs", Needs(labels=2 if several else 1))
