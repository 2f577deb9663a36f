"""What a reader of a board must know, in sentences."""

from fuxi_plugins.analysis.compare import clustering_warning
from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.statistics.noise import LEVEL
from fuxi_plugins.records.metrics import find_metric

FEW_POSITIVES = 100  # rows of the rarer class, below which intervals are wide and cover less surely
PER_CENT = f"{LEVEL:.0%}"


def notes(board: Leaderboard) -> list[str]:
    """The notes below every board."""
    return [*_about_the_data(board), *_about_uncertainty(board), *_about_the_rows(board)]


def tie_sentence(board: Leaderboard) -> str:
    """Which rows are not significantly different from the best."""
    ranked = board.ranked()
    if len(ranked) < 2 or board.inference is None:
        return "With one ranked row there is nothing to compare."
    best, *others = ranked
    inference = board.inference
    not_compared = inference.not_compared()
    compared = [row for row in others if row.key not in not_compared]
    if best.key in not_compared or not compared:
        return f"The best by its mean is {best.preset}, which is compared with no other row: there are too few seeds."
    alike = board.like_the_best()
    how = f"Holm's procedure over all {inference.compared:,} pairs, level {PER_CENT}"
    if not alike:
        said = f"All other rows are significantly worse than {best.preset}, the best ({how})."
    elif len(alike) == len(compared):
        said = f"No row is significantly worse than {best.preset}, the best by its mean ({how})."
    else:
        listed = ", ".join(row.preset for row in alike)
        said = f"Not significantly different from {best.preset}, the best by its mean: {listed} ({how})."
    left_out = [row.preset for row in others if row.key in not_compared]
    return said + (f" Not compared, for want of seeds: {', '.join(left_out)}." if left_out else "")


def _about_the_data(board: Leaderboard) -> list[str]:
    data = board.data
    rows = ", ".join(
        f"{split} {count:,} ({data.positive_rate[split]:.2%} positive)" for split, count in data.rows.items()
    )
    lines = [
        f"Rows: {rows}. Data fingerprint `{data.fingerprint[:16]}`.",
        f"Ranked by mean test {board.rank_by} over seeds; epochs and configurations were chosen on validation.",
    ]
    if data.synthetic:
        lines.append("The data are synthetic; the Bayes row is what their true probabilities score on the test rows.")
    if data.valid_is_test:
        lines.append("Validation is the test set in this split, so early stopping has seen the test labels.")
    if data.note:
        lines.append(" ".join(data.note.split()))
    return lines


def _about_uncertainty(board: Leaderboard) -> list[str]:
    lines = [tie_sentence(board)]
    inference, evidence = board.inference, board.evidence
    if inference is None:
        return lines
    if inference.compared:
        lines.append("Two rows share a letter if and only if they are not significantly different from each other.")
    metric, detectable = find_metric(board.rank_by), inference.smallest_detectable()
    if detectable is not None:
        lines.append(
            f"Smallest detectable difference: {metric.show_end(detectable)} {metric.compared_name} for the median pair "
            f"(one planned comparison, level {PER_CENT}, power 80%)."
        )
    if evidence is None:
        lines.append("Intervals know the noise between seeds only: the test labels were not at hand.")
    elif evidence.clusters:
        lines.append(
            f"Intervals and comparisons count the sampling of {evidence.clusters:,} clusters of test rows by "
            f"{evidence.clustered_by}, and the noise between seeds."
        )
    else:
        lines.append("Intervals and comparisons count the sampling of test rows and the noise between seeds.")
        if evidence.growth:
            lines.append(clustering_warning(evidence))
    if evidence and evidence.units < FEW_POSITIVES:
        lines.append(
            f"The test set has only {evidence.units} rows of the rarer class, or clusters of rows: intervals are wide, "
            "and large differences may go unnoticed."
        )
    return [*lines, *_about_seeds(board)]


def _about_seeds(board: Leaderboard) -> list[str]:
    """Rows of one seed, and rows whose seeds ended in different places, as when early stopping catches a plateau."""
    inference = board.inference
    if inference is None:
        return []
    lines = []
    rows = {row.key: row for row in board.ranked()}
    single = [(name, bool(pooled)) for name, n, pooled in zip(
        inference.names, inference.seeds, inference.pooled, strict=True) if n == 1]  # fmt: skip
    usual = [rows[name].preset for name, pooled in single if pooled]
    unknown = [rows[name].preset for name, pooled in single if not pooled]
    if usual:
        lines.append(f"One seed only, whose noise is taken to be as usual on this board: {', '.join(usual)}.")
    if unknown:
        lines.append(
            f"One seed only, whose noise is not known, so the row is compared with no other and its interval is of "
            f"test rows alone: {', '.join(unknown)}."
        )
    metric = find_metric(board.rank_by)
    outcomes = zip(inference.names, inference.different_outcomes, strict=True)
    apart = [rows[name] for name, is_apart in outcomes if is_apart]
    seen = [(row.preset, row.test[board.rank_by]) for row in apart]
    far = [f"{preset} ({metric.show_end(found.worst)} to {metric.show_end(found.best)})" for preset, found in seen]
    if far:
        lines.append(f"Seeds with different outcomes, which a mean does not describe: {', '.join(far)}.")
    return lines


def _about_the_rows(board: Leaderboard) -> list[str]:
    lines = []
    origins = {row.settings_from for row in board.rows}
    if len(origins) == 1:
        lines.append(f"Settings of all rows: {origins.pop()}.")
    for row in board.rows:
        if row.problems:
            lines.append(f"{row.preset} ({row.experiment}): {'; '.join(row.problems)}.")
        if row.alarms:
            lines.append(f"⚠ {row.preset} ({row.experiment}): {'; '.join(row.alarms)}.")
    mixed = [row.preset for row in board.rows if len(row.machines) > 1]
    if mixed:
        lines.append(f"Seeds on several kinds of machine, whose last digits differ: {', '.join(mixed)}.")
    kinds = {row.published.kind for row in board.rows if row.published}
    if kinds:
        named = board.data.published_as
        lines.append(f"Published: {named} of BARS (github.com/reczoo/BARS); {', '.join(sorted(kinds))}.")
    reasons = {row.verdict.reason for row in board.rows if row.verdict and row.verdict.word == "not comparable"}
    if reasons:
        lines.append(f"Not comparable: {'; '.join(sorted(reasons))}.")
    return lines
