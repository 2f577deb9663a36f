"""What a search found: the best of each model by validation, and how good the best of k trials is on average."""

from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING

from tabulate import tabulate

from fuxi_plugins.analysis.tuning_results import MODELS, ModelSearch
from fuxi_plugins.core.cleaning import markdown
from fuxi_plugins.core.yaml_files import yaml_text

if TYPE_CHECKING:
    from fuxi_plugins.experiments.experiment import ExperimentConfig
    from fuxi_plugins.tuning.search import Tuned

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)


def expected_best(values: Sequence[float], k: int, higher: bool = True) -> float:
    """Mean best of k of these values, drawn without replacement (Tang et al., ACL 2020): unbiased for random search.

    >>> expected_best([0.1, 0.2, 0.3], 2)  # of 12, 13 and 23
    0.26666666666666666
    """
    if not 1 <= k <= len(values):
        raise ValueError(f"the best of {k} needs as many trials, but there are {len(values)}")
    ordered = sorted(values, reverse=not higher)
    ways = [comb(i, k - 1) for i in range(len(ordered))]  # the i-th is the best of k: k - 1 of those before it
    return sum(way * value for way, value in zip(ways, ordered, strict=True)) / comb(len(ordered), k)


def render_markdown(title: str, tuned: Sequence["Tuned"]) -> str:
    """The table: best configuration, its validation value, and the expected best of 1, 2, 4, ... trials."""
    most = max((len(_values(one)) for one in tuned), default=0)
    counts = [k for k in COUNTS if k <= most]
    header = ["model", "trials", "failed", "metric", *(f"best of {k}" for k in counts), "best", "chosen"]
    rows = []
    for one in tuned:
        values, best = _values(one), one.best
        curve = [f"{expected_best(values, k, one.higher):.5f}" if k <= len(values) else "–" for k in counts]
        chosen = ", ".join(f"{name}={value}" for name, value in best.settings.items()) if best else "–"
        counted = [str(len(one.trials)), str(len(one.trials) - len(values))]
        found = [f"{best.valid:.5f}" if best else "–", chosen]
        rows.append([one.config.display_name, *counted, f"valid {one.metric}", *curve, *found])
    rows = [[markdown(cell) for cell in row] for row in rows]
    table = tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True)
    spaces = "\n".join(f"- {markdown(f'{one.config.display_name}: {one.space}.')}" for one in tuned)
    said = "Judged by validation alone. `best of k`: what the best of k of these trials is on average."
    return f"# {markdown(title)}: tuning\n\n{table}\n\n{said}\n\n{spaces}\n"


def render_json(tuned: Sequence["Tuned"]) -> str:
    """Every trial, and the whole curve."""
    tuning_results = [
        ModelSearch(
            experiment=one.config.id,
            display_name=one.config.display_name,
            metric=one.metric,
            space=str(one.space),
            trials=one.trials,
            best=one.best,
            expected_best=[expected_best(_values(one), k, one.higher) for k in range(1, len(_values(one)) + 1)],
        )
        for one in tuned
    ]
    return MODELS.dump_json(tuning_results, indent=1).decode() + "\n"


def tuned_id(config: "ExperimentConfig") -> str:
    """The name of an experiment's winner."""
    return f"{config.id}_tuned"


def render_config(tuned: Sequence["Tuned"]) -> str:
    """The winners as experiments in FuxiCTR's form, to be put into ``model_config``."""
    experiments = {
        tuned_id(one.config): {
            "model": one.config.model,
            "display_name": one.config.display_name,
            "dataset_id": one.config.dataset_id,
            "hparam_source": "tuned",
            **one.config.settings,
            **one.best.settings,
        }
        for one in tuned
        if one.best
    }
    return yaml_text(experiments)


def _values(one: "Tuned") -> list[float]:
    return [trial.valid for trial in one.trials if trial.valid is not None]
