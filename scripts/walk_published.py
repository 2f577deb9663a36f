"""Goes through published folders of configs and says what becomes of each experiment here.

\b
    python scripts/walk_published.py --fuxictr ~/FuxiCTR --bars ~/BARS --authors ~/RankElastor --train

An experiment is ``trained`` where its data is at hand, it ``resolves`` where every setting of it and of its dataset is
known and the data is not, it ``names no data`` where FuxiCTR has a template, and else it is ``refused``. Every setting
must be accounted for. Of BARS's folders, the ids count that a log of a run lies beside. A model of several tasks is the
checkout's own class. The table goes to ``results/published/walk.csv``.
"""

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.requirements import unmet_need
from fuxi_plugins.experiments.translation.accounts import of
from fuxi_plugins.experiments.translation.folder import published_ids, read_published, translate_folder
from fuxi_plugins.models.registry import INSTALLED_ONLY, Sources, load_model_class, use_sources
from fuxi_plugins.training.assembly import build_model
from fuxi_plugins.training.trainer import train_model

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "TBD"  # the dataset of FuxiCTR's templates


@dataclass(frozen=True)
class Line:
    """What became of one experiment; the numbers are of settings."""

    publisher: str
    folder: str
    experiment: str
    model: str = ""
    outcome: str = ""
    kept: int = 0
    translated: int = 0
    added: int = 0
    of_the_dataset: int = 0
    without_effect: int = 0
    reason: str = ""


def config_folders(root: Path) -> Iterator[Path]:
    yield from sorted({path.parent for path in root.rglob("model_config.yaml")})


def ids(root: Path, folder: Path) -> list[str]:
    """Those that a log is of, which lies beside the folder or one above; all where there is no such log."""
    found = published_ids(folder)
    places = [above for above in list(folder.parents)[:2] if above.is_relative_to(root)]
    logged = {path.stem for place in places for path in place.glob("*.log")}
    return [name for name in found if name in logged] or found


def walk(publisher: str, root: Path, train: bool) -> Iterator[Line]:
    for folder in config_folders(root):
        for name in ids(root, folder):
            yield follow(publisher, root, folder, name, train)


def follow(publisher: str, root: Path, folder: Path, name: str, train: bool) -> Line:
    line = Line(publisher, str(folder.relative_to(root)), name)
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary)
        try:
            published = read_published(folder, name)
            line = Line(**asdict(line) | {"model": published.experiment["model"]})
            zoo = root if isinstance(published.experiment.get("task"), list) else None
            use_sources(Sources(zoo=str(zoo)) if zoo else INSTALLED_ONLY)
            translated = translate_folder(folder, name, target / "configs", zoo=zoo)
            experiment = resolve(load_experiment_config(translated.configs, name))
            spec = load_dataset_spec(translated.configs, published.dataset_id)
            spec = spec.with_labels(experiment.training.learned_labels)
            if lost := published.unaccounted(translated.accounts):
                raise AssertionError(f"{folder}, {name}: no account of {', '.join(sorted(lost))}")
            need = unmet_need(load_model_class(experiment.model), experiment.model, spec)
            if need:
                raise UserError(need)
            outcome = "at hand" if translated.at_hand else "resolves"
            if translated.at_hand and train:
                data = prepare_dataset(spec, Workspace(translated.configs, target / "results", target / "cache"))
                model = build_model(experiment, data, gpu=-1, checkpoint_folder=target / "checkpoints")
                train_model(model, experiment, data, seed=experiment.seed or 0, report=lambda _: None)
                outcome = "trained"
        except UserError as error:
            template = f"no dataset '{TEMPLATE}'" in str(error) or "must hold dataset_config" in str(error)
            reason = str(error).replace(str(root), publisher).replace(str(target), "")
            return Line(**asdict(line) | {"outcome": "names no data" if template else "refused", "reason": reason})
    accounts = translated.accounts
    counts = {
        "kept": len(of(accounts, "kept")),
        "translated": len(of(accounts, "translated")),
        "added": len(of(accounts, "added")),
        "of_the_dataset": len(of(accounts, "dataset")),
        "without_effect": len(of(accounts, "no effect")),
    }
    return Line(**asdict(line) | counts | {"outcome": outcome})


@click.command(help=__doc__)
@click.option("--fuxictr", type=click.Path(path_type=Path, exists=True), help="Checkout of reczoo/FuxiCTR.")
@click.option("--bars", type=click.Path(path_type=Path, exists=True), help="Checkout of reczoo/BARS.")
@click.option("--authors", type=click.Path(path_type=Path, exists=True), help="Of vasile-paskardlgm/RankElastor.")
@click.option("--train", is_flag=True, help="Train what has its data at hand, in the epochs that it says.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "results/published/walk.csv", show_default=True)
def main(fuxictr: Path | None, bars: Path | None, authors: Path | None, train: bool, out: Path) -> None:
    named = {"RankElastor": authors, "FuxiCTR": fuxictr, "BARS": bars}
    lines = [
        line
        for publisher, root in named.items()
        if root
        for line in walk(publisher, root.expanduser().resolve(), train)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Line.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    write_text(out, text.getvalue())
    for publisher in named:
        own = [line for line in lines if line.publisher == publisher]
        if own:
            counted = Counter(line.outcome for line in own).most_common()
            said = ", ".join(f"{count} {outcome}" for outcome, count in counted)
            click.echo(f"{publisher}: {said}, in {len({line.folder for line in own})} folders")


if __name__ == "__main__":
    main()
