"""What a reader of a board must know, in sentences."""

import re
from collections.abc import Iterable

from fuxi_plugins.analysis.compare import clustering_warning
from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.analysis.power import OF_INTEREST, Power
from fuxi_plugins.analysis.statistics.inference import Inference
from fuxi_plugins.analysis.statistics.noise import LEVEL
from fuxi_plugins.analysis.training_steps import FEW
from fuxi_plugins.records.metrics import FEW_ROWS_OF_A_CLASS, find_metric

PER_CENT = f"{LEVEL:.0%}"
LETTERS = "Two rows share a letter if and only if their difference is not significant."
_NOT_RUN = re.compile(r"seed (\d+): not run")


def notes(board: Leaderboard) -> list[str]:
    """The notes below every board."""
    return [*_about_the_data(board), *_about_uncertainty(board), *_about_the_rows(board)]


def tie_sentence(board: Leaderboard, most: int | None = None) -> str:
    """Which rows are not significantly different from the best.

    Args:
        most: rows that are named; more are only counted. Default: all are named.
    """
    ranked = board.ranked()
    if len(ranked) < 2 or board.inference is None:
        return "Only one row is ranked, so there is nothing to compare."
    best, *others = ranked
    inference = board.inference
    not_compared = inference.not_compared()
    compared = [row for row in others if row.key not in not_compared]
    if best.key in not_compared or not compared:
        return f"{best.display_name} has the best mean, but too few seeds to be compared with any other row."
    alike = board.like_the_best()
    how = f"Holm's procedure over all {inference.compared:,} pairs, " if inference.compared > 1 else ""
    how += f"level {PER_CENT}"
    if not alike:
        said = f"All other rows are significantly worse than {best.display_name}, the best ({how})."
    elif len(alike) == len(compared):
        said = f"No row is significantly worse than {best.display_name}, the best by its mean ({how})."
    elif most is not None and len(alike) > most:
        said = (
            f"{len(alike)} of the {len(others)} other rows are not significantly different from {best.display_name}, "
            f"the best by its mean ({how})."
        )
    else:
        listed = ", ".join(row.display_name for row in alike)
        said = f"Not significantly different from {best.display_name}, the best by its mean: {listed} ({how})."
    left_out = [row.display_name for row in others if row.key in not_compared]
    return said + (f" Not compared, because of too few seeds: {', '.join(left_out)}." if left_out else "")


def _about_the_data(board: Leaderboard) -> list[str]:
    data = board.data
    rows = ", ".join(
        f"{split} {count:,} ({data.positive_rate[split]:.2%} positive)" for split, count in data.rows.items()
    )
    lines = [
        f"Rows: {rows}. Data fingerprint `{data.fingerprint[:16]}`.",
        f"Ranked by mean test {board.rank_by} over seeds; validation chose epochs and configurations.",
    ]
    if data.synthetic:
        lines.append("The data are synthetic. The Bayes row is the test score of the true probabilities.")
    if data.valid_is_test:
        lines.append("The validation set of this split is its test set, so early stopping has seen the test labels.")
    if data.label:
        together = f", together with {', '.join(data.further_labels)}" if data.further_labels else ""
        ranked = " The board is of the first." if data.further_labels else ""
        lines.append(
            f"The dataset has several labels; {data.label} is learned{together}, and none is a feature.{ranked}"
        )
    if data.unlabelled:
        left_out = ", ".join(f"{count:,} of {split}" for split, count in data.unlabelled.items())
        lines.append(f"Rows without a label are left out: {left_out}.")
    if data.weighted_by:
        lines.append(f"Training weights the loss of each row by {data.weighted_by}; metrics count every row alike.")
    lines += [f"⚠ {warning}" for warning in data.warnings]
    if data.note:
        lines.append(" ".join(data.note.split()))
    return lines


def _about_uncertainty(board: Leaderboard) -> list[str]:
    lines = [tie_sentence(board)]
    inference, evidence = board.inference, board.evidence
    if inference is None:
        return lines
    if inference.compared:
        lines.append(LETTERS)
    metric, detectable = find_metric(board.rank_by), inference.smallest_detectable()
    if detectable is not None:
        lines.append(
            f"Smallest detectable difference: {metric.show_end(detectable)} {metric.compared_name} for the median pair "
            f"(one planned comparison, level {PER_CENT}, power 80%)."
        )
        lines += _what_decides(inference, evidence.rows if evidence else None)
    if evidence is None:
        lines.append(
            "Intervals and comparisons count only the noise between seeds: the test labels are not on this machine."
        )
    elif evidence.clusters:
        lines.append(
            f"Intervals and comparisons count the noise between seeds and the sampling of test rows, clustered by "
            f"{evidence.clustered_by} ({evidence.clusters:,} clusters)."
        )
    else:
        lines.append("Intervals and comparisons count the noise between seeds and the sampling of test rows.")
        if evidence.growth:
            lines.append(clustering_warning(evidence))
    if evidence and evidence.units < FEW_ROWS_OF_A_CLASS:
        lines.append(
            f"The test set has only {evidence.units_in_words}: intervals are wide, and large differences may go "
            "unnoticed."
        )
    return [*lines, *_about_seeds(board)]


def _what_decides(inference: Inference, test_rows: int | None) -> list[str]:
    """What the median pair needs, where pairs are left undecided."""
    power = Power.of(inference) if inference.undecided else None
    if power is None:
        return []
    needed = power.needed(OF_INTEREST).phrase(test_rows, "a row")
    if inference.compared == 1:
        return [f"The pair is not decided; {needed}."]
    pairs = f"{inference.undecided:,} of {inference.compared:,} pairs are not decided"
    return [f"{pairs}; for the median pair {needed}."]


def _about_seeds(board: Leaderboard) -> list[str]:
    """Rows of one seed, and rows whose seeds ended in different places, as when early stopping catches a plateau."""
    inference = board.inference
    if inference is None:
        return []
    lines = []
    rows = {row.key: row for row in board.ranked()}
    single = [(name, bool(pooled)) for name, n, pooled in zip(
        inference.names, inference.seeds, inference.pooled, strict=True) if n == 1]  # fmt: skip
    usual = [rows[name].display_name for name, pooled in single if pooled]
    unknown = [rows[name].display_name for name, pooled in single if not pooled]
    if usual:
        lines.append(
            f"One seed only, whose noise is assumed to be as large as usual on this board: {', '.join(usual)}."
        )
    if unknown:
        lines.append(
            f"One seed only, whose noise is not known, so the row is compared with no other and its interval counts "
            f"test rows only: {', '.join(unknown)}."
        )
    metric = find_metric(board.rank_by)
    seen = [(row.display_name, row.test[board.rank_by]) for row in board.far_apart()]
    far = [
        f"{display_name} ({metric.show_end(found.worst)} to {metric.show_end(found.best)})"
        for display_name, found in seen
    ]
    if far:
        lines.append(
            f"The seeds of these models end far apart, so that a mean describes none of them: {', '.join(far)}."
        )
    return lines


def outdated_notes(board: Leaderboard) -> list[str]:
    """What was changed after the board's runs."""
    return [f"⚠ {sentence}" for sentence in board.outdated]


def _about_the_rows(board: Leaderboard) -> list[str]:
    lines = [*board.remarks, *outdated_notes(board), *(f"⚠ {sentence}" for sentence in board.same_predictions)]
    origins = {row.hparam_source for row in board.rows}
    if len(origins) == 1:
        lines.append(f"All models have {origins.pop()} hyper-parameters.")
    short = [f"{row.display_name} ({row.few_steps})" for row in board.rows if row.few_steps]
    if short:
        lines.append(
            f"⚠ Trained for fewer than {FEW} steps, too few to compare models by: {', '.join(short)}. A smaller "
            "batch_size or more early_stop_patience gives more."
        )
    if waiting := [f"{row.display_name} ({seeds})" for row in board.rows if (seeds := _not_run(row))]:
        lines.append(f"Not run yet: {', '.join(waiting)}.")
    for row in board.rows:
        if problems := [text for text in row.problems if not _NOT_RUN.fullmatch(text)]:
            lines.append(f"{row.display_name} ({row.experiment}): {'; '.join(problems)}.")
        if row.warnings:
            lines.append(f"⚠ {row.display_name} ({row.experiment}): {'; '.join(row.warnings)}.")
    mixed = [row.display_name for row in board.rows if len(row.machines) > 1]
    if mixed:
        lines.append(
            f"Seeds of these models ran on several kinds of machine, whose last digits differ: {', '.join(mixed)}."
        )
    if sent := _by_contributor(row for row in board.rows if row.submitted_by):
        lines.append(f"Sent by others, with test metrics that were recomputed from their predictions: {sent}.")
    if sent := _by_contributor(board.unverified):
        lines.append(f"Unverified, and therefore neither ranked nor compared: {sent}.")
    kinds = {row.published.kind for row in board.rows if row.published}
    if kinds:
        named = board.data.published_as
        lines.append(f"Published: {named} of BARS (github.com/reczoo/BARS); {', '.join(sorted(kinds))}.")
    reasons = {row.verdict.reason for row in board.rows if row.verdict and row.verdict.word == "not comparable"}
    if reasons:
        lines.append(f"Published values are not comparable: {'; '.join(sorted(reasons))}.")
    return lines


def _not_run(row: Row) -> str:
    """The row's seeds that have no run, in words."""
    seeds = [found[1] for text in row.problems if (found := _NOT_RUN.fullmatch(text))]
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}" if seeds else ""


def _by_contributor(rows: Iterable[Row]) -> str:
    return ", ".join(f"{row.display_name} (sent by {row.submitted_by})" for row in rows)
