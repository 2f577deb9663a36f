"""What a window of the shuffle does to the AUC: ``shuffle_window`` against the shuffle of all rows.

    python scripts/measure_shuffle_window.py                              on Criteo's twin
    python scripts/measure_shuffle_window.py --experiment DNN_ml100k      on real data, where they are at hand

Trains one experiment with windows of several sizes, over several seeds, writes the test AUC of each run to
results/speed/shuffle_window.json, beside those of other experiments, and their table to docs/scale.md.
"""

import argparse
import json
import tempfile
from pathlib import Path

from measuring.plan import window_table, write_page

from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.provenance import utc_now
from fuxi_plugins.training.runner import carry_out

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "results" / "speed" / "shuffle_window.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="DNN_criteo_x1_twin")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.1, 0.01], help="of the rows, in a window")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    if len(arguments.seeds) < 2:
        parser.error("--seeds must name two or more, to show how far they differ.")
    workspace = Workspace.locate(ROOT / "benchmark_configs", None)
    config = load_experiment_config(workspace.configs, arguments.experiment)
    data = prepare_dataset(load_dataset_spec(workspace.configs, resolve(config).dataset_id), workspace)
    rows = data.card.rows["train"]
    found = {}
    for share in arguments.shares:
        window = None if share == 1 else max(2, round(rows * share))
        experiment = resolve(config.varied({"shuffle_window": window}))
        found[str(share)] = []
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as folder:
                job = Job(experiment, data, seed, -1, 1, Path(folder) / "run", Path(folder) / "checkpoint")
                record = carry_out(job, lambda news: None, started=utc_now(), clock_start=0.0)
            found[str(share)].append(record.metrics["test"]["AUC"])
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    known[arguments.experiment] = {"rows": rows, "seeds": arguments.seeds, "auc": found}
    write_text(FILE, json.dumps(known, indent=1, sort_keys=True) + "\n")
    write_page(FILE.parent, ROOT / "docs" / "scale.md")
    print(window_table(known))


if __name__ == "__main__":
    main()
