"""One document about the paper's claims: HTML and Markdown from the same sections."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from tabulate import tabulate

from fuxi_plugins.analysis.rank_auc import FEWEST_MODELS, rank_against_auc
from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.analysis.training_steps import FEW, few_steps
from fuxi_plugins.core.cleaning import html, markdown
from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper import glance, rank_figures, result_figures, tables
from fuxi_plugins.reporting.paper.claims import claims
from fuxi_plugins.reporting.paper.study import Study
from fuxi_plugins.reporting.paper.style import Drawing
from fuxi_plugins.reporting.paper.tables import Table

TITLE = "RankElastor's paper, rerun"
FIGURES = "figures"
SHOWS = (
    "Every number of ours comes from a record in results/runs, which names settings, data, code and machine.",
    "Variants of the protocol `matched` share shape, tokenizer, norms, head and training. Their number of dense "
    "parameters is within 2% of RankElastor's. They differ only in the mixing and in the per-token network.",
    "Effective ranks are shown beside two references: the untrained model of the same seed, and independent normal "
    "numbers. What the untrained model already has is no effect of training.",
)
DOES_NOT_SHOW = (
    "The paper's own data sets are used only where a section names them. Runs on small or generated data, with few "
    "epochs and one to three seeds, test the software and not the paper. Their effects can neither confirm nor refute "
    "results on 45 million rows.",
    "No variant was tuned. A model that needs another learning rate or another regularisation is at a disadvantage.",
    "With two seeds, intervals are wide. A variant of one seed is compared with others only if these have several "
    "seeds, which tell how large the noise is; otherwise the claim is undecided.",
    "Rank and AUC are measured in the same runs, and the models differ in more than rank. So a correlation of the two "
    "does not show that one causes the other.",
    "Training times were taken one run after the other on a machine that did other work as well. They give an order of "
    "magnitude, and no verdict on cost rests on them.",
    "The paper's theorems are not checked, because their statements were not available. The section on algebraic "
    "bounds checks what follows from the block as it is built.",
)
OF_ALL_PAIRS = (
    "Whether a difference is significant is asked here of all pairs of the suite, as on its board. The claims at a "
    "glance are adjusted for the comparisons that they name alone, so they may decide what is undecided here."
)
NO_SAMPLING = "The test labels were not at hand, so intervals count the noise between seeds alone."
RANK_AND_AUC = (
    "Spearman's correlation between test AUC and the entropy rank of a row's tokens after the last block, divided by "
    "that of independent normal numbers, over runs of token models. Runs of one model are alike, so the interval comes "
    f"from a bootstrap that draws models. With fewer than {FEWEST_MODELS} models there is none. Models differ in more "
    "than rank, so a correlation shows no cause."
)


@dataclass
class Section:
    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    reading: Sequence[str] = ()  # how to read the tables, below them


def build_sections(studies: Sequence[Study], results: Path) -> list[Section]:
    """The claims, a section for every study with finished runs, the bounds, and what all of it shows and does not."""
    sections = []
    if found := claims(studies):
        tables_of_claims = [glance.matrix(found), glance.details(found)]
        sections.append(Section("The claims at a glance", tables=tables_of_claims, reading=glance.EXPLAINED))
    sections += [_section(study, results) for study in studies if study.finished]
    sections += _auc_against_rank(studies)
    bounds = results / "paper" / "bounds.csv"
    if bounds.exists():
        sections.append(_bounds(bounds))
    sections.append(Section("What this shows", list(SHOWS)))
    sections.append(Section("What this does not show", list(DOES_NOT_SHOW)))
    return sections


def write_report(sections: Sequence[Section], folder: Path) -> list[Path]:
    """``index.html``, ``paper.md`` and the figures as PNG and SVG."""
    written = [path for section in sections for d in section.drawings for path in d.save(folder / FIGURES)]
    for name, text in (("paper.md", _markdown(sections)), ("index.html", _html(sections))):
        write_text(folder / name, text)
        written.append(folder / name)
    return written


def _section(study: Study, results: Path) -> Section:
    note = f"{study.finished} of {study.expected} runs are finished, with {study.seeds} per variant."
    section = Section(study.title, [note])
    warned = [
        f"{display_name} seed {record.seed}: {text}"
        for display_name, records in study.records.items()
        for record in records
        for text in warnings_of(record)
    ]
    if warned:
        section.paragraphs.append(f"Warnings: {'; '.join(warned)}.")
    if few := _few_steps(study):
        section.paragraphs.append(
            f"Warning: trained for fewer than {FEW} steps, too few to compare models by: {', '.join(few)}."
        )
    if study.evidence is None:
        section.paragraphs.append(NO_SAMPLING)
    if study.suite.startswith("paper_scaling"):
        section.tables.append(tables.sizes(study))
        section.drawings.append(result_figures.scaling(study))
    elif study.suite == "paper_efficiency":
        section.tables.append(tables.costs(study))
        section.drawings.append(result_figures.costs(study))
    elif study.suite == "paper_rank":
        _add_rank(section, study)
    else:
        name, values = tables.published_auc(results, study.suite, study.dataset)
        if study.dataset != name.casefold():
            section.paragraphs.append(
                f"The paper has no results on {study.dataset}, so its column is from {name}. Only the directions of "
                "effects can be compared, not the values."
            )
        section.tables.append(tables.scores(study, name, values))
        section.reading = (OF_ALL_PAIRS,)
        if study.suite == "paper_ablation" and len(study.records) > 1 and tables.REFERENCE in study.records:
            section.drawings.append(result_figures.ablation(study))
    return section


def _few_steps(study: Study) -> list[str]:
    """The variants that trained for too few steps, each with the fewest of its seeds."""
    steps = {name: list(filter(None, map(few_steps, records))) for name, records in study.records.items()}
    return [f"{name} ({min(found)})" for name, found in steps.items() if found]


def _add_rank(section: Section, study: Study) -> None:
    probed = study.probed()
    if not probed:
        section.paragraphs.append("Effective ranks were measured in none of the runs.")
        return
    if {"RankElastor", "RankMixer"} <= set(probed):
        section.paragraphs.append(
            "Entropy rank of the matrix of tokens of a row, as mean over rows and seeds. The last column is the share "
            "of the difference between the two models that their untrained versions with the same seeds already have. "
            "Above 100%, training made the difference smaller."
        )
        section.tables.append(tables.separation(study))
        section.drawings += [rank_figures.trajectories(study), rank_figures.densities(study)]
        section.drawings.append(rank_figures.dynamics(study))
    section.drawings.append(rank_figures.tables(study))
    records = [record for records in probed.values() for record in records]
    shares = [record.ranks.seconds / record.seconds.total for record in records]
    section.paragraphs.append(f"Measuring ranks took at most {max(shares):.1%} of a run's time.")


def _auc_against_rank(studies: Sequence[Study]) -> Iterator[Section]:
    """Whether rank predicts AUC, in a table and then drawn by dataset, of the runs of all suites, each run once."""
    groups: dict[tuple[str, str], dict[tuple[str, int], FinishedRun]] = {}
    for study in studies:
        runs = groups.setdefault((study.dataset, study.protocol), {})
        for records in study.probed().values():
            runs |= {(r.same_run_as or r.experiment, r.seed): r for r in records if "tokens" in r.ranks.stages}
    found = rank_against_auc({", ".join(where): list(runs.values()) for where, runs in groups.items()})
    if found:
        yield Section("Does rank predict AUC?", [RANK_AND_AUC], [tables.correlations(found)])
    for (dataset, protocol), runs in groups.items():
        if len(runs) > 2:
            drawing = rank_figures.auc_against_rank(list(runs.values()), dataset, protocol)
            yield Section(f"AUC against effective rank ({dataset}, {protocol})", drawings=[drawing])


def _bounds(path: Path) -> Section:
    effects = path.with_name("bounds_effects.csv")
    return Section(
        "Algebraic bounds on the rank in a block",
        [
            "Random matrices X of rank 1, 3 and 8 and of shapes (26, 26), (13, 52) and (11, 22) are sent through "
            "random maps (`python scripts/check_bounds.py`). As a map of vec X, I + P has rank D (T + 1) / 2 at each "
            "of these shapes, which is about half of T D. A bound that assumes one map for all tokens does not hold "
            "for per-token weights. A bound for linear maps does not hold after an activation. There the rank of a "
            "row's matrix can grow, in RankMixer's block as well as in RankElastor's.",
        ],
        [tables.bounds(path)],
        [result_figures.spectra_through_parts(effects)] if effects.exists() else [],
    )


def _markdown(sections: Sequence[Section]) -> str:
    parts = [f"# {TITLE}\n"]
    for section in sections:
        parts.append(f"## {section.title}\n")
        if section.title.startswith("What this"):
            parts.append("\n".join(f"- {paragraph}" for paragraph in section.paragraphs) + "\n")
        else:
            parts += [f"{paragraph}\n" for paragraph in section.paragraphs]
        for table in section.tables:
            rows = [[markdown(str(cell)) for cell in row] for row in table.rows]
            parts.append(tabulate(rows, headers=table.header, tablefmt="pipe", disable_numparse=True) + "\n")
        if section.reading:
            parts.append("\n".join(f"- {sentence}" for sentence in section.reading) + "\n")
        for drawing in section.drawings:
            parts.append(f"![{drawing.name}]({FIGURES}/{drawing.name}.png)\n\n*{drawing.caption}*\n")
    return "\n".join(parts)


def _html(sections: Sequence[Section]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=html,
    )
    return environment.get_template("paper.html").render(title=TITLE, sections=sections, figures=FIGURES)
