"""Writes docs/models.md from the code: every model's paper, formula, needs, settings, variants, published numbers."""

import inspect
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fuxi_plugins.analysis.published import load_published, published_result  # noqa: E402
from fuxi_plugins.core.files import write_text  # noqa: E402
from fuxi_plugins.experiments.catalogue import load_experiment_configs  # noqa: E402
from fuxi_plugins.experiments.experiment import ExperimentConfig  # noqa: E402
from fuxi_plugins.models.citation import paper_of  # noqa: E402
from fuxi_plugins.models.needs import Needs  # noqa: E402
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, load_model_class  # noqa: E402
from fuxi_plugins.models.variants import VARIANTS, model_of  # noqa: E402
from tests.models.references import WITHOUT, referenced  # noqa: E402

PAGE = ROOT / "docs" / "models.md"
SHARED = {"self", "feature_map", "model_id", "gpu", "kwargs"}
HEAD = """\
# The models

Each section says which paper a model is from, what it computes, what its settings and their defaults are, and where it
deviates from the paper. Published AUCs have their sources in `results/published`.

To read code, begin with [RankElastor](../fuxi_plugins/models/reference/rankelastor.py) and
[RankMixer](../fuxi_plugins/models/reference/rankmixer.py). Each is one plain file in torch alone, without options. A
test checks that they compute the same as the classes below.

`python scripts/make_model_page.py` writes this page from the classes.

"""


def page() -> str:
    """The text of the page."""
    configs = list(load_experiment_configs(ROOT / "benchmark_configs").values())
    names = sorted([*NATIVE_MODELS, *VARIANTS, *TREE_MODELS], key=str.casefold)
    rows = ["| model | year | what it is | needs |", "| --- | --- | --- | --- |"]
    sections = []
    for name in names:
        model_class = load_model_class(model_of(name))
        summary = VARIANTS[name].summary if name in VARIANTS else inspect.getdoc(model_class).partition("\n")[0]
        year = paper_of(model_class).year
        rows.append(f"| [{name}](#{_anchor(name)}) | {year} | {summary} | {_needs(model_class)} |")
        sections.append(_section(name, model_class, summary, configs))
    count = f"{len(NATIVE_MODELS)} classes, {len(VARIANTS)} variants of them, and {len(TREE_MODELS)} tree models.\n\n"
    return "\n".join([HEAD + count + "\n".join(rows), "", _references(), *sections])


def _references() -> str:
    """Which models are held against public code, and why the others are not."""
    held = referenced()
    classes = {name for names in held.values() for name in names if name in NATIVE_MODELS}
    rows = [f"| {repository} | {', '.join(names)} |" for repository, names in held.items()]
    others = [f"| {name} | {reason} |" for name, reason in WITHOUT.items()]
    return "\n".join(
        [
            "## Held against public code",
            "",
            f"With the weights of a public implementation, {len(classes)} of the {len(NATIVE_MODELS)} classes give its "
            "predictions, in the form that an option names where there are several. The tests, "
            "`tests/models/test_reference_*.py` and their like, run where a checkout is at hand.",
            "",
            "| public code | models |",
            "| --- | --- |",
            *rows,
            "",
            "The other classes are held against their formulas, computed slowly row by row.",
            "",
            "| model | why not against public code |",
            "| --- | --- |",
            *others,
            "",
        ]
    )


def _section(name: str, model_class: type, summary: str, configs: list[ExperimentConfig]) -> str:
    lines = [f"## {name}", ""]
    if name in VARIANTS:
        variant = VARIANTS[name]
        fixed = ", ".join(f"`{setting}: {value!r}`" for setting, value in variant.fixed.items()) or "nothing fixed"
        lines += [f"{summary} `display_name: {name}` is [{variant.model}](#{_anchor(variant.model)}) with {fixed}.", ""]
    else:
        body = inspect.getdoc(model_class).partition("\nArgs:\n")
        lines += [_as_markdown(body[0]), "", "Settings: " + _settings(model_class), ""]
        if body[2]:
            lines += ["```text", inspect.cleandoc(body[2].replace("    ", "", 1)).rstrip(), "```", ""]
    display_names = sorted(config.id for config in configs if config.display_name == name)
    lines += [f"Experiments: {', '.join(f'`{display_name}`' for display_name in display_names) or 'none'}.", ""]
    published = _published(name, configs)
    return "\n".join([*lines, *([f"Published: {published}.", ""] if published else [])])


def _as_markdown(docstring: str) -> str:
    """A docstring's paragraphs; what is indented is a formula and already code in Markdown."""
    return docstring.replace("``", "`").strip()


def _settings(model_class: type) -> str:
    parameters = inspect.signature(model_class.__init__).parameters.values()
    return ", ".join(f"`{p.name}={p.default!r}`" for p in parameters if p.name not in SHARED) + "."


def _published(name: str, configs: list[ExperimentConfig]) -> str:
    """AUC by dataset, of the display_name or of the name under which it was published."""
    names = {name, *(config.published_as for config in configs if config.display_name == name and config.published_as)}
    results = ROOT / "results"
    datasets = sorted({row.dataset for row in load_published(results) if row.model in names})
    found = [published_result(results, dataset, other) for dataset in datasets for other in sorted(names)]
    return ", ".join(f"{row.dataset} AUC {row.metrics['AUC']:.4f}" for row in found if row and "AUC" in row.metrics)


def _needs(model_class: type) -> str:
    needs = getattr(model_class, "needs", Needs())
    told = ["a behaviour history"] * needs.history + [f"{needs.fields} fields"] * (needs.fields > 1)
    told += [f"a field of source {source}" for source in needs.sources]
    return ", ".join(told) or "any features"


def _anchor(name: str) -> str:
    """As GitHub makes it of a heading; ``AFN+`` comes after ``AFN`` and would be the same."""
    plain = "".join(character for character in name.lower() if character.isalnum() or character in "-_")
    return f"{plain}-1" if name.endswith("+") else plain


@click.command(help=__doc__)
def main() -> None:
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
