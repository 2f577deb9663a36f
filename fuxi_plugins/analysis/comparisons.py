"""Finds the runs that two names mean and the evidence about them."""

from collections.abc import Sequence

from fuxi_plugins.analysis.compare import Comparison, compare
from fuxi_plugins.analysis.find_evidence import find_evidence
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.record import Record, find_records


def comparisons(a: str, b: str, dataset: str | None, metric: str, workspace: Workspace) -> list[Comparison]:
    """Compares two experiments, or two models by the names of their rows, on each dataset that both have run on.

    Raises:
        UserError: a name that no finished record has, or no dataset in common.
    """
    records = [record for record in find_records(workspace.results, dataset) if record.finished]
    ours = {name: _runs(name, records) for name in (a, b)}
    shared = [name for name in ours[a] if name in ours[b]]
    if not shared:
        where = f"{a} on {', '.join(ours[a])}; {b} on {', '.join(ours[b])}"
        raise UserError(f"two models are compared on the same dataset, but the finished runs are of {where}.")
    return [_compare(ours[a][name], ours[b][name], metric, workspace) for name in shared]


def _runs(name: str, records: Sequence[Record]) -> dict[str, list[Record]]:
    """Finished runs by dataset of an experiment, or of a row's name; a grid's variants only by their own names.

    Of several experiments of one row's name, as those of a board and of the paper's suites are, it means the one that
    is called ``<name>_<dataset>``.
    """
    by_experiment = [record for record in records if record.experiment == name]
    by_row = [record for record in records if record.preset == name and "@" not in record.experiment]
    found: dict[str, list[Record]] = {}
    for record in by_experiment or by_row:
        found.setdefault(record.dataset, []).append(record)
    if not found:
        known = {record.experiment for record in records} | {record.preset for record in records}
        raise unknown_name("finished run of", name, sorted(known), "fuxibench list experiments")
    for dataset, runs in found.items():
        experiments = sorted({record.experiment for record in runs})
        if (usual := f"{name}_{dataset}") in experiments:
            found[dataset] = [record for record in runs if record.experiment == usual]
        elif len(experiments) > 1:
            raise UserError(f"{name} on {dataset} may be {' or '.join(experiments)}; name the experiment.")
    return found


def _compare(a: list[Record], b: list[Record], metric: str, workspace: Workspace) -> Comparison:
    for record in (*a, *b):
        if metric not in record.metrics["test"]:
            raise UserError(f"{record.experiment} was not measured by {metric}.")
        if record.data.fingerprint != a[0].data.fingerprint:
            raise UserError(f"{a[0].experiment} and {record.experiment} come from different data of {record.dataset}.")
    kept = sorted((workspace.results / "leaderboards").glob("*.statistics.json"))
    evidence = find_evidence(kept, {a[0].experiment: a, b[0].experiment: b}, workspace)
    return compare(a, b, metric, evidence)
