"""What a reader of a board must know, in sentences."""

from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.analysis.statistics.inference import LEVEL
from fuxi_plugins.analysis.statistics.moderation import inform_each_other, stands_apart
from fuxi_plugins.analysis.uncertainty import seed_noise

PER_CENT = f"{LEVEL:.0%}"


def notes(board: Leaderboard) -> list[str]:
    """The notes below every board."""
    return [*_about_the_data(board), *_about_certainty(board), *_about_the_rows(board)]


def tie_sentence(board: Leaderboard) -> str:
    """Which ranks mean something."""
    ranked = sum(row.rank is not None for row in board.rows)
    if ranked < 2:
        return "With one ranked row there is nothing to compare."
    if not board.ties:
        return f"All ranks are separable (Holm's procedure over all pairs, level {PER_CENT})."
    runs = ", ".join(f"ranks {first}–{last}" for first, last in board.ties)
    return f"Not separable: {runs} (Holm's procedure over all pairs, level {PER_CENT})."


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


def _about_certainty(board: Leaderboard) -> list[str]:
    lines = [tie_sentence(board)]
    if board.smallest_detectable is not None:
        lines.append(
            f"Smallest detectable difference: {board.smallest_detectable:.4f} {board.rank_by} for the median pair "
            f"(one planned comparison, level {PER_CENT}, power 80%)."
        )
    evidence = board.evidence
    if evidence is None:
        lines.append("Intervals know the noise between seeds only: the test labels were not at hand.")
    elif evidence.groups:
        lines.append(
            f"Intervals and ties count the sampling of {evidence.groups:,} groups of test rows, which stay together, "
            "and the noise between seeds."
        )
    else:
        lines.append("Intervals and ties count the sampling of test rows and the noise between seeds.")
    single = [row.preset for row in board.rows if len(row.seeds) == 1]
    if single:
        told = inform_each_other(*seed_noise(_ranked(board), board.rank_by)).any()
        known = "is taken to be as usual on this board" if told else "no interval knows"
        lines.append(f"One seed only, whose noise {known}: {', '.join(single)}.")
    return [*lines, *_about_outcomes(board)]


def _about_outcomes(board: Leaderboard) -> list[str]:
    """Rows whose seeds ended in different places, as where early stopping caught some of them on a plateau."""
    rows = _ranked(board)
    far = [
        f"{row.preset} ({row.test[board.rank_by].worst:.4f} to {row.test[board.rank_by].best:.4f})"
        for row, is_apart in zip(rows, stands_apart(*seed_noise(rows, board.rank_by)), strict=True)
        if is_apart
    ]
    return [f"Seeds with different outcomes, which a mean does not describe: {', '.join(far)}."] if far else []


def _ranked(board: Leaderboard) -> list[Row]:
    return [row for row in board.rows if row.rank]


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
    kinds = {row.published.kind for row in board.rows if row.published}
    if kinds:
        named = board.data.published_as
        lines.append(f"Published: {named} of BARS (github.com/reczoo/BARS); {', '.join(sorted(kinds))}.")
    reasons = {row.verdict.reason for row in board.rows if row.verdict and row.verdict.word == "not comparable"}
    if reasons:
        lines.append(f"Not comparable: {'; '.join(sorted(reasons))}.")
    return lines
