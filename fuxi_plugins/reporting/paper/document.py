"""One document about the paper's claims: HTML and Markdown from the same sections."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from tabulate import tabulate

from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.core.cleaning import html, markdown
from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper import claims, rank_figures, result_figures, tables
from fuxi_plugins.reporting.paper.study import Study
from fuxi_plugins.reporting.paper.style import Drawing
from fuxi_plugins.reporting.paper.tables import Table

TITLE = "RankElastor's paper, rerun"
FIGURES = "figures"
SHOWS = (
    "Every number of ours comes from a record in results/runs, which names its settings, data, code and machine.",
    "Variants of the protocol `matched` share shape, tokenizer, norms, head and training, and have RankElastor's number of "
    "dense parameters within 2%: what differs between them is the mixing and the per-token network.",
    "Effective ranks have both null lines: the untrained model of the same seed, and independent normal numbers. What "
    "an untrained model already has, training did not bring.",
)
DOES_NOT_SHOW = (
    "The paper's own data sets are not here unless a section names them. A rehearsal on small or generated data with "
    "capped epochs and one to three seeds tests the machinery, not the paper; its effects can neither confirm nor "
    "refute results on 45 million rows.",
    "No variant was tuned. A model that needs another learning rate or regularisation than the common one loses.",
    "With two seeds intervals are wide. A variant of a single seed is compared with others only where these say how "
    "much seeds differ; otherwise the claim stays undecided.",
    "Rank and AUC are measured in the same runs and models differ in more than rank: no cause follows.",
    "Seconds were taken one run after the other on a machine that had other work: good for an order of magnitude, and "
    "for no verdict on cost.",
    "The paper's theorems are not checked, because their statements were not at hand; the section on bounds checks "
    "what can be said from the block as it is built.",
)


@dataclass
class Section:
    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)


def build_sections(studies: Sequence[Study], results: Path) -> list[Section]:
    """The claims, a section for every study with finished runs, the bounds, and what all of it shows and does not."""
    glance = claims.at_a_glance(studies)
    sections = [Section("The four claims at a glance", [claims.EXPLAINED], [glance])] if glance.rows else []
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
    note = f"{study.finished} of {study.expected} runs are finished; {study.seeds} a variant."
    section = Section(study.title, [note])
    warned = [
        f"{display_name} seed {record.seed}: {text}"
        for display_name, records in study.records.items()
        for record in records
        for text in warnings_of(record)
    ]
    if warned:
        section.paragraphs.append(f"Warnings: {'; '.join(warned)}.")
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
                f"The paper has no results on {study.dataset}; its column is of {name}, so the levels cannot be "
                "compared and only the direction of an effect can."
            )
        section.tables.append(tables.scores(study, name, values))
        if study.suite == "paper_ablation" and len(study.records) > 1 and tables.REFERENCE in study.records:
            section.drawings.append(result_figures.ablation(study))
    return section


def _add_rank(section: Section, study: Study) -> None:
    probed = study.probed()
    if not probed:
        section.paragraphs.append("No run was probed.")
        return
    if {"RankElastor", "RankMixer"} <= set(probed):
        section.paragraphs.append(
            "Entropy rank of a row's matrix of tokens, mean over rows and seeds. The last column says how much of the "
            "difference between the two models the untrained ones of the same seeds already have; above 100%, training "
            "made the difference smaller."
        )
        section.tables.append(tables.separation(study))
        section.drawings += [rank_figures.trajectories(study), rank_figures.densities(study)]
        section.drawings.append(rank_figures.dynamics(study))
    section.drawings.append(rank_figures.tables(study))
    records = [record for records in probed.values() for record in records]
    shares = [record.ranks.seconds / record.seconds.total for record in records]
    section.paragraphs.append(f"Probing took {max(shares):.1%} of a run's time at most.")


def _auc_against_rank(studies: Sequence[Study]) -> Iterator[Section]:
    """A section for every dataset and protocol, of the runs of all suites, each run once."""
    groups: dict[tuple[str, str], dict[tuple[str, int], FinishedRun]] = {}
    for study in studies:
        runs = groups.setdefault((study.dataset, study.protocol), {})
        for records in study.probed().values():
            runs |= {(r.same_run_as or r.experiment, r.seed): r for r in records if "tokens" in r.ranks.stages}
    for (dataset, protocol), runs in groups.items():
        if len(runs) > 2:
            drawing = rank_figures.auc_against_rank(list(runs.values()), dataset, protocol)
            yield Section(f"AUC against effective rank ({dataset}, {protocol})", drawings=[drawing])


def _bounds(path: Path) -> Section:
    effects = path.with_name("bounds_effects.csv")
    return Section(
        "What algebra says about the block",
        [
            "Random matrices X of rank 1, 3 and 8 at (26, 26), (13, 52) and (11, 22), through maps drawn at random "
            "(`python scripts/check_bounds.py`). I + P has rank D (T + 1) / 2 as a map of vec X, about half of T D, at "
            "every one of these shapes. A bound that rests on maps shared by all tokens does not hold for per-token "
            "weights, nor one for linear maps behind an activation: there the rank of a row's matrix is free to grow, "
            "in RankMixer's block as in RankElastor's.",
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
