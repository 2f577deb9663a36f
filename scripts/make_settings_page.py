"""Writes docs/settings.md from the settings of the training."""

from pathlib import Path

import click

from fuxi_plugins.core.files import write_text
from fuxi_plugins.experiments.settings_table import Setting, settings_table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """\
# The settings

Made by `python scripts/make_settings_page.py` from `fuxi_plugins/experiments/training_settings.py`; do not edit. An
experiment of `benchmark_configs/model_config` has settings of three kinds:

- those of its **model**, which [the models' page](models.md) lists by model;
- those of the **training**, below;
- `model`, `dataset_id`, `display_name`, `published_as` and `hparam_source`, which say what is trained on what, how a
  board calls it, and where its values come from.

A name that is none of them is refused. `Base` in a file holds what its experiments share. `fuxibench show EXPERIMENT`
prints each value and who says so, and `fuxibench list settings` prints the tables below.

```bash
fuxibench run DNN_ml100k --set batch_size=8192                     # beside the experiment as it stands
fuxibench run --model DNN --dataset ml100k --set batch_size=8192 --set learning_rate=2e-3
```
"""
SECTIONS = {
    "FuxiCTR's": "With FuxiCTR's names, defaults and meaning.",
    "Ours": "They say which label is learned and how a result is reached. Those that are not set stand in no record.",
    "Ours that change results": (
        "A run with one of them computes something else than FuxiCTR would. So it is part of the experiment's digest, "
        "of the record's deviations, and of the row's name on a board, as in `RankMixer [amp=bf16]`. "
        "[Speed](speed.md) says which of them pay."
    ),
}


def section_of(setting: Setting) -> str:
    """The heading under which a setting stands."""
    return "FuxiCTR's" if setting.is_fuxictrs else "Ours that change results" if setting.deviates else "Ours"


def page() -> str:
    """The text of the page."""
    settings = settings_table()
    parts = [HEAD]
    for title, about in SECTIONS.items():
        rows = [
            f"| `{setting.name}` | {setting.takes} | {'–' if setting.default == 'null' else f'`{setting.default}`'} | "
            f"{setting.meaning} |"
            for setting in settings
            if section_of(setting) == title
        ]
        parts += [f"## {title}\n\n{about}\n", "| setting | takes | default | meaning |\n| --- | --- | --- | --- |"]
        parts.append("\n".join(rows) + "\n")
    of_trees = ", ".join(f"`{setting.name}`" for setting in settings if setting.is_of_trees)
    parts.append(
        f"Of all these, [tree models](beside.md) have {of_trees} alone, because their libraries know no steps.\n"
    )
    return "\n".join(parts)


@click.command(help=__doc__)
def main() -> None:
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
