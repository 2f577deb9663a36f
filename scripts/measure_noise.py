"""What docs/statistics.md says of a board's noise: are seeds independent between models, and rows within groups?

\b
    python scripts/measure_noise.py ml100k_board

The dataset must have been prepared on this machine.
"""

import click
import numpy as np

from fuxi_plugins.analysis.find_evidence import predictions_path
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.labels import find_test_labels
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.metrics import within_clusters
from fuxi_plugins.records.metrics.ranking import auc_influence
from fuxi_plugins.records.predictions import read_predictions


@click.command(help=__doc__)
@click.argument("name", metavar="SUITE")
def main(name: str) -> None:
    workspace = Workspace.locate()
    suite = find_suite(name, workspace)
    (dataset,) = suite.datasets
    names = {config.id: config.display_name for config in suite.experiments}
    records = [r for r in find_records(workspace.results, dataset) if r.finished and r.experiment in names]
    by_model: dict[str, dict[int, float]] = {}
    for record in records:
        by_model.setdefault(record.display_name, {})[record.seed] = record.metrics["test"]["AUC"]
    complete = [list(runs.values()) for runs in by_model.values() if sorted(runs) == sorted(suite.seeds)]
    correlations = np.corrcoef(complete)[np.triu_indices(len(complete), 1)]
    print(f"{len(complete)} models, {len(suite.seeds)} seeds: mean correlation by seed {correlations.mean():.3f}")
    test = find_test_labels(load_dataset_spec(workspace.all_configs, dataset), records[0].data.fingerprint, workspace)
    for experiment, display_name in names.items():
        runs = [record for record in records if record.experiment == experiment]
        if not runs:
            continue
        scores = np.array([read_predictions(predictions_path(run, workspace), len(test.labels)) for run in runs])
        psi = auc_influence(test.labels, scores)[1].mean(0)
        by_group = "" if test.groups is None else f", by group {np.linalg.norm(within_clusters(psi, test.groups)):.4f}"
        print(f"{display_name}: sampling error of AUC by row {np.linalg.norm(psi):.4f}{by_group}")


if __name__ == "__main__":
    main()
