"""A plan of runs as text and as JSON: every run, hours by kind of GPU, disk, memory, commands, what to send."""

from typing import Any

from tabulate import tabulate

from fuxi_plugins.analysis.budget import BACKWARD, DEVICES, HELD, MOVED, Budget, DatasetBudget

SUBMISSION = (
    "for each row one file of 'fuxibench submit pack', with all seeds of the board: records, test predictions, logs, "
    "the model's source and the versions of all packages, each with its sha256",
    "no training data, no labels, no features",
    "'fuxibench submit verify' accepts each file",
    "results/tuning/*.yaml and *.md: the search, with as many trials for each row, judged by validation alone",
    "what was done otherwise than planned, such as a row that did not fit into memory",
)


def render_budget(budget: Budget) -> str:
    """The whole plan as Markdown."""
    parts = [f"# {budget.title}", _assumptions(budget), _totals(budget)]
    for one in budget.datasets:
        parts += [f"## {one.dataset}: {one.title}", _facts(one, budget), _runs(one, budget)]
        parts.append("```bash\n" + "\n".join(one.commands) + "\n```")
    parts.append("## What to send (docs/submit.md)\n\n" + "\n".join(f"- {line}" for line in SUBMISSION))
    return "\n\n".join(parts) + "\n"


def budget_to_json(budget: Budget) -> dict[str, Any]:
    """The same in bytes, hours and counts."""
    return {
        "title": budget.title,
        "assumed": {
            "epochs": budget.epochs,
            "backward_pass_in_forward_passes": BACKWARD,
            "share_of_peak": budget.reached.peak,
            "share_of_bandwidth": budget.reached.bandwidth,
            "bytes_moved_by_parameter_and_step": MOVED,
            "bytes_held_by_parameter": HELD,
        },
        "devices": [
            {"name": d.name, "peak": d.peak, "bandwidth": d.bandwidth, "memory": d.memory, "source": d.source}
            for d in DEVICES
        ],
        "gpus": budget.gpus,
        "trials": budget.trials,
        "search_seed": budget.search_seed,
        "datasets": [_dataset_to_json(one, budget) for one in budget.datasets],
        "submission": list(SUBMISSION),
    }


def _dataset_to_json(one: DatasetBudget, budget: Budget) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "vocabulary": one.vocabulary,
        "vocabulary_source": one.vocabulary_source,
        "runs": [
            {
                "experiment": runs.experiment,
                "trials": runs.trials,
                "seeds": runs.seeds,
                "forward_flops_per_row": runs.work.forward,
                "dense_parameters": runs.work.dense,
                "table_parameters": runs.work.tables,
                "batch_size": runs.work.batch_size,
                "gpu_hours": {device.name: runs.hours(device, budget.reached) for device in DEVICES},
            }
            for runs in one.runs
        ],
        "gpu_hours": {device.name: one.hours(device, budget.reached) for device in DEVICES},
        "memory_bytes": one.memory,
        "prepared_bytes": one.prepared,
        "prediction_bytes": one.predictions,
        "checkpoint_bytes": one.checkpoints(budget.gpus),
        "commands": one.commands,
    }


def _assumptions(budget: Budget) -> str:
    reached = budget.reached
    rows = [
        [device.name, f"{device.peak / 1e12:g}", f"{device.bandwidth / 1e9:,.0f}", f"{device.memory / 1e9:.0f}",
         device.source] for device in DEVICES
    ]  # fmt: skip
    table = tabulate(rows, ["GPU", "float32 TFLOP/s", "GB/s", "GB", "source"], "pipe", disable_numparse=True)
    return (
        f"Assumed: {budget.epochs:g} epochs a run, with a pass over validation after each. A backward pass takes "
        f"{BACKWARD} forward passes. {reached.peak:.0%} of a GPU's peak in float32 and {reached.bandwidth:.0%} of its "
        f"bandwidth are reached. In every step each parameter moves {MOVED} bytes, because FuxiCTR's gradients and "
        f"Adam are dense; it holds {HELD} bytes. A run takes one GPU. Operations are counted by running each model on "
        "torch's meta device, where a history counts as one vector. 'fuxibench cost EXPERIMENT --gpu 0' measures the "
        f"real speed where the data are prepared.\n\n{table}"
    )


def _totals(budget: Budget) -> str:
    rows = []
    for one in budget.datasets:
        disk = one.prepared + one.predictions + one.checkpoints(budget.gpus)
        hours = [f"{one.hours(device, budget.reached):,.0f}" for device in DEVICES]
        rows.append([one.dataset, f"{one.count:,}", *hours, f"{one.memory / 1e9:.1f}", f"{disk / 1e9:,.0f}"])
    sums = [sum(one.hours(device, budget.reached) for one in budget.datasets) for device in DEVICES]
    rows.append(["all", f"{sum(one.count for one in budget.datasets):,}", *(f"{hours:,.0f}" for hours in sums), "", ""])
    days = ", ".join(
        f"{hours / budget.gpus / 24:,.0f} on {device.name}" for device, hours in zip(DEVICES, sums, strict=True)
    )
    header = ["dataset", "runs", *(f"hours of {device.name}" for device in DEVICES), "GB of a GPU", "GB of disk"]
    table = tabulate(rows, header, "pipe", disable_numparse=True)
    return f"{table}\n\nDays of {budget.gpus} GPUs that are always busy: {days}."


def _facts(one: DatasetBudget, budget: Budget) -> str:
    work = one.runs[0].work
    return (
        f"Rows: train {work.train:,}, valid {work.valid:,}, test {work.test:,}. Ids: {one.vocabulary:,} "
        f"({one.vocabulary_source}). Disk: {one.prepared / 1e9:,.1f} GB of prepared data, "
        f"{one.predictions / 1e9:,.1f} GB of predictions, {one.checkpoints(budget.gpus) / 1e9:,.1f} GB of checkpoints "
        f"while {budget.gpus} runs are under way. Memory of a GPU: {one.memory / 1e9:.1f} GB, and what a batch takes."
    )


def _runs(one: DatasetBudget, budget: Budget) -> str:
    rows = [
        [
            runs.experiment,
            str(runs.trials),
            f"{len(runs.seeds)} ({runs.seeds[0]}–{runs.seeds[-1]})",
            f"{runs.work.forward / 1e6:.2f}",
            f"{runs.work.dense:,}",
            *(f"{runs.hours(device, budget.reached):,.0f}" for device in DEVICES),
        ]
        for runs in one.runs
    ]
    header = ["experiment", "trials", "seeds", "MFLOP a row", "dense parameters", *(f"h, {d.name}" for d in DEVICES)]
    return tabulate(rows, header, "pipe", disable_numparse=True)
