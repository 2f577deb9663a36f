"""Finds the runs that two names mean, the board that both stand on, and the evidence about them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fuxi_plugins.analysis.compare import Comparison, compare
from fuxi_plugins.analysis.evidence import read_evidence
from fuxi_plugins.analysis.find_evidence import board_of, evidence_file, evidence_files, find_evidence
from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.differences import require_one_digest
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.records.record import FinishedRun, finished_runs


def comparisons(a: str, b: str, dataset: str | None, metric: str | None, workspace: Workspace) -> list[Comparison]:
    """Compares two experiments, or two models by the names of their rows, on each dataset that both have run on.

    Args:
        metric: None means the first of the table of metrics that all the runs on a dataset have.

    Raises:
        UserError: a name that no finished record has, no dataset in common, or two names of the same runs.
    """
    if a == b:
        raise UserError(f"two different models are compared, but {a!r} is named twice; name another.")
    records = finished_runs(find_records(workspace.results, dataset))
    ours = {name: _runs(name, records) for name in (a, b)}
    shared = [name for name in ours[a] if name in ours[b]]
    if not shared:
        where = f"{a} on {', '.join(ours[a])}; {b} on {', '.join(ours[b])}"
        raise UserError(f"two models are compared on the same dataset, but the finished runs are of {where}.")
    for name in shared:
        if (experiment := ours[a][name][0].experiment) == ours[b][name][0].experiment:
            both = f"{a!r} and {b!r} both mean {experiment} on {name}"
            raise UserError(f"two different models are compared, but {both}; name another.")
    return [
        _compare(ours[a][name], ours[b][name], [r for r in records if r.dataset == name], metric, workspace)
        for name in shared
    ]


def _runs(name: str, records: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Finished runs by dataset of an experiment, or of a row's name; trials of a search only by their own names.

    Of several experiments of one row's name, as those of a board and of the paper's suites are, it means the one that
    is called ``<name>_<dataset>``.
    """
    by_experiment = [record for record in records if record.experiment == name]
    by_row = [record for record in records if record.display_name == name and record.role != "trial"]
    found: dict[str, list[FinishedRun]] = {}
    for record in by_experiment or by_row:
        found.setdefault(record.dataset, []).append(record)
    if not found:
        known = {record.experiment for record in records} | {record.display_name for record in records}
        near = did_you_mean(name, sorted(known)) or "."
        raise UserError(f"no run of {name!r} is finished here{near} 'fuxibench run EXPERIMENT' trains one.")
    for dataset, runs in found.items():
        experiments = sorted({record.experiment for record in runs})
        if (usual := f"{name}_{dataset}") in experiments:
            found[dataset] = [record for record in runs if record.experiment == usual]
        elif len(experiments) > 1:
            raise UserError(f"{name} on {dataset} may be {' or '.join(experiments)}; name the experiment.")
        require_one_digest(found[dataset])
    return found


def _compare(
    a: list[FinishedRun], b: list[FinishedRun], records: Sequence[FinishedRun], metric: str | None, workspace: Workspace
) -> Comparison:
    """Compares two rows on the largest board that holds both with all their seeds, else on the largest with some.

    Alone where there is none.
    """
    metric = _shared_metric(a, b, metric)
    pair = {runs[0].experiment: runs for runs in (a, b)}
    found = []
    for board, rows in _boards_of_both(pair, records, metric, workspace):
        evidence = find_evidence([evidence_file(board, workspace)], rows, workspace).strict()
        ours, theirs = (rows[name] for name in pair)
        found.append(compare(ours, theirs, metric, evidence, rows, board))
    if not found:
        return compare(a, b, metric, find_evidence(evidence_files(workspace), pair, workspace).strict())
    first, *others = found
    caveats = []
    if (used := sum(first.seeds)) < len(a) + len(b):
        caveats.append(
            f"{first.board} has {used} of the {len(a) + len(b)} finished runs of the two; the others are not counted."
        )
    if differing := [other for other in others if other.words != first.words]:
        listed = ", ".join(f"{other.words} on {other.board} ({other.pairs:,} pairs)" for other in differing)
        caveats.append(
            f"Other boards decide otherwise: {listed}. A board has its own seeds, pools the noise between seeds over "
            "its own rows and adjusts p for its own pairs."
        )
    return replace(first, caveats=(*first.caveats, *caveats))


def _shared_metric(a: Sequence[FinishedRun], b: Sequence[FinishedRun], asked: str | None) -> str:
    """The metric that is asked for, or the main one of those that all runs measured.

    Raises:
        UserError: a run that did not measure it, or that is of other data.
    """
    measured = [name for name in a[0].metrics["test"] if all(name in r.metrics["test"] for r in (*a, *b))]
    metric = find_metric(asked).name if asked else main_metric(measured)
    for record in (*a, *b):
        if metric not in record.metrics["test"]:
            raise UserError(f"{record.experiment} was not measured by {metric}.")
        if record.data.fingerprint != a[0].data.fingerprint:
            two = " and ".join(f"{run.experiment} seed {run.seed}" for run in (a[0], record))
            raise UserError(f"two runs are compared on the same data, but {two} {_in_what_data_differ(a[0], record)}.")
    return metric


def _in_what_data_differ(one: FinishedRun, other: FinishedRun) -> str:
    if one.data.learned_labels != other.data.learned_labels:
        learned = " and ".join(", ".join(run.data.learned_labels) for run in (one, other))
        return f"learn different labels of {one.dataset}: {learned}"
    return f"come from different data of {one.dataset}; 'fuxibench run' with --update repeats the older"


def _boards_of_both(
    pair: Mapping[str, Sequence[FinishedRun]], records: Sequence[FinishedRun], metric: str, workspace: Workspace
) -> list[tuple[str, dict[str, list[FinishedRun]]]]:
    """The boards of three rows or more that hold both, with their rows: those with all seeds first, then the largest.

    Args:
        pair: finished runs by experiment.
        records: of the same dataset.
    """
    fingerprint = next(iter(pair.values()))[0].data.fingerprint
    boards = []
    for path in evidence_files(workspace):
        evidence = read_evidence(path)
        if evidence is None or evidence.fingerprint != fingerprint or not set(pair) <= set(evidence.runs):
            continue
        rows = {
            name: [r for r in records if r.experiment == name and r.seed in by_seed and metric in r.metrics["test"]]
            for name, by_seed in evidence.runs.items()
        }
        rows = {name: runs for name, runs in rows.items() if runs}
        if len(rows) > 2 and set(pair) <= set(rows) and evidence.covers(fingerprint, rows):
            boards.append((board_of(path), rows))
    return sorted(boards, key=lambda board: (any(len(board[1][n]) < len(pair[n]) for n in pair), -len(board[1])))
