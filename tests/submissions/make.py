"""Finished runs that are made up but for the data, the predictions and their metrics."""

import numpy as np

from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.labels import find_test_labels
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.records.files import write_record
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.records.predictions import write_predictions
from tests.analysis.make import record as made_up


def write_runs(workspace, model, experiment, signal=0.3, **fields):
    """Writes the runs of seeds 1 and 2 on the dataset ``tiny``.

    Args:
        signal: how much the predictions say of the labels.
        fields: of the records.
    """
    spec = load_dataset_spec(workspace.configs, "tiny")
    data = prepare_dataset(spec, workspace)
    test = find_test_labels(spec, data.card.fingerprint, workspace)
    params = {"model": {"learning_rate": 0.01}, "training": {"epochs": 2}}
    for seed in (1, 2):
        noise = np.random.default_rng(seed).normal(size=300)
        scores = np.clip(0.5 + signal * (test.labels - 0.5) + 0.1 * noise, 0, 1).astype(np.float32)
        metrics = evaluate_metrics(test.labels, scores, ["AUC", "logloss", "gAUC"], test.groups)
        record = made_up(
            model, seed, dataset="tiny", experiment=experiment, data=data.card, params=params,
            metrics={"valid": metrics, "test": metrics}, **fields,
        )  # fmt: skip
        folder = workspace.run_folder("tiny", experiment, seed)
        write_predictions(folder / "predictions.h5", scores)
        write_record(folder, record)
        (folder / "run.log").write_text("all went well\n")
