"""The paper's claims in two tables: one cell a claim and dataset, and one line with the numbers behind each."""

from collections.abc import Sequence

from fuxi_plugins.analysis.statistics.noise import POWER
from fuxi_plugins.reporting.paper.claims import Claim
from fuxi_plugins.reporting.paper.tables import Table

EXPLAINED = (
    "A claim holds, or does not hold, where the differences that it speaks of are significant. Otherwise it is "
    f"undecided, and the verdict says what would decide it with a power of {POWER:.0%}: seeds, or test rows where "
    "their sampling alone hides the difference. In the first table, 'undecided (2 seeds can show 0.015)' "
    f"means that two seeds show a difference of 0.015 or more with a power of {POWER:.0%}. The second table "
    "leaves out what only one seed says, and costs that were not timed in turns.",
    "Better AUC: against every baseline of the suite paper_main. Full mixing: against the block transpose and against "
    "no mixing, each with GLU. GLU: against GELU and ReLU, each with full mixing. The noise is that of the suite's "
    "board: the sampling of test rows, and the seeds. The paper names the comparisons of a claim, so Holm's "
    "procedure is over these alone. A claim can be decided where the board, which compares all pairs, leaves "
    "it open. The difference shown is that from the best of them; its interval is that of this one comparison.",
    "Less collapse: the entropy rank of a row's tokens, divided by that of independent normal numbers, at the stage "
    "from the first mixing on where it is lowest. Near 100% means no collapse. By training: the same share less that "
    "of the untrained model of the same seed. What the untrained models differ by is no effect of training. Better "
    "with size: the exponent b in test logloss = c N^b, N being the number of dense parameters; below 0, larger models "
    "are better. It is a weighted sum of the sizes' means and has their noise, that of seeds and that of test rows. "
    "The claims on collapse count the noise between seeds alone.",
    "Cost: operations per row and rows trained per second, which the paper puts 10 to 15% above RankMixer's. It is "
    "judged only where 'fuxibench cost' timed both models in several turns on one machine, by the ratio within a turn, "
    "and not by the time that runs took.",
)


def matrix(claims: Sequence[Claim]) -> Table:
    """Datasets by claims."""
    names = list(dict.fromkeys(claim.name for claim in claims))
    places = list(dict.fromkeys(_where(claim) for claim in claims))
    cells = {(_where(claim), claim.name): _short(claim) for claim in claims}
    return Table(["data", *names], [[place, *(cells.get((place, name), "–") for name in names)] for place in places])


def details(claims: Sequence[Claim]) -> Table:
    """One line a claim and dataset, where more is known than one seed tells."""
    header = ["claim", "data", "RankElastor", "compared with", "difference [95%]", f"shown with power {POWER:.0%}"]
    rows = [
        [claim.name, f"{_where(claim)}, {claim.study.seeds}", claim.ours, claim.others, claim.difference,
         claim.verdict.power or "–", str(claim.verdict)]
        for claim in claims if claim.verdict.has_noise
    ]  # fmt: skip
    return Table([*header, "verdict"], rows)


def _where(claim: Claim) -> str:
    return f"{claim.study.dataset}, {claim.study.protocol}"


def _short(claim: Claim) -> str:
    verdict, seeds = claim.verdict, claim.study.seeds
    if verdict.word != "undecided":
        return verdict.word
    return f"undecided ({seeds} can show {verdict.power})" if verdict.power else f"undecided ({seeds})"
