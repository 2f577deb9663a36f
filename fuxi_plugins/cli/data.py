"""``fuxibench data``: gets datasets ready and says what is there."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import datasets
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.datasets.prepare import Progress


@click.group()
def data() -> None:
    """Downloads, imports, describes and checks datasets."""


@data.command("list")
@click.option(
    "--catalogue", "as_catalogue", is_flag=True, help="Print the datasets of the configs as a Markdown table."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def list_(workspace: Workspace, as_catalogue: bool, as_json: bool) -> None:
    """Lists all datasets. Shows which are on this machine, with size, rows and fingerprint."""
    from tabulate import tabulate

    from fuxi_plugins.datasets.catalogue import load_dataset_specs
    from fuxi_plugins.datasets.inventory import catalogue, inventory

    if as_catalogue:
        say(catalogue(load_dataset_specs(workspace.all_configs).values()))
        return
    if as_json:
        say(json.dumps([asdict(item) for item in inventory(workspace)], indent=1))
        return
    rows = [
        (item.dataset_id, item.state, _size(item.size), item.fingerprint[:16], item.rows)
        for item in inventory(workspace)
    ]
    headers = ("dataset", "state", "on disk", "fingerprint", "rows")
    say(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True))


@data.command()
@click.argument("name")
@click.option(
    "--from",
    "origin",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with train, valid and test, or one file to split: csv, tsv, parquet, arrow or jsonl, packed or not. "
    "Files with a row for each user or item may lie beside.",
)
@click.option("--label", help="Label column. Default: a column with a usual name, such as label or click.")
@click.option("--rule", help="Label values that count as positive, such as '>= 4' or 'in [click, buy]'.")
@click.option(
    "--interactions",
    is_flag=True,
    help="The file is a log of what users did: rows are made of it with histories and, without a label, with sampled "
    "negatives.",
)
@click.option("--train", metavar="FILE", help="File of --from that holds the training rows, or a pattern of names. "
              "Default: the one named train, or the only one with a label.")  # fmt: skip
@click.option("--valid", metavar="FILE", help="The same for validation rows. Default: named valid, val or dev, if any.")
@click.option("--test", metavar="FILE", help="The same for test rows. Default: named test, if any.")
@click.option("--column-names", multiple=True, metavar="[FILE=]A,B,C",
              help="Names of the columns of csv files without a header; FILE= names those of one file.")  # fmt: skip
@click.pass_obj
def describe(
    workspace: Workspace,
    name: str,
    origin: Path,
    label: str | None,
    rule: str | None,
    interactions: bool,
    train: str | None,
    valid: str | None,
    test: str | None,
    column_names: tuple[str, ...],
) -> None:
    """Writes a first config for your own files. It is guessed from their contents; check it before use."""
    from fuxi_plugins.datasets.columns import SPLITS
    from fuxi_plugins.datasets.describing.own_data import describe_own

    splits = {split: file for split, file in zip(SPLITS, (train, valid, test), strict=True) if file}
    say(str(describe_own(name, origin, workspace, label, rule, interactions, _column_names(column_names), splits)))


def _column_names(said: tuple[str, ...]) -> list[str] | dict[str, list[str]]:
    """Of all files, or by file."""
    by_file = {file: _listed(names) for file, equals, names in (one.rpartition("=") for one in said)}
    if "" not in by_file:
        return by_file
    if len(said) > 1:
        raise UserError(
            f"--column-names is given once for all files, or for each file as FILE=a,b,c, but is {' and '.join(said)}."
        )
    return by_file[""]


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


@data.command()
@click.argument("names", nargs=-1, required=True, shell_complete=datasets)
@click.pass_obj
def fetch(workspace: Workspace, names: tuple[str, ...]) -> None:
    """Downloads datasets from Hugging Face or the package index. Resumes downloads and checks md5 sums."""
    from fuxi_plugins.core.files import require_writable
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.sources.fetch import fetch_dataset

    specs = [load_dataset_spec(workspace.all_configs, name) for name in names]
    require_writable(workspace.cache, "the cache folder")
    for spec in specs:
        say(f"{spec.dataset_id}: files in {fetch_dataset(spec, workspace)}")


@data.command("import")
@click.argument("name")
@click.option(
    "--from",
    "origin",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder, or zip or tar archive, with the files.",
)
@click.pass_obj
def import_(workspace: Workspace, name: str, origin: Path) -> None:
    """Copies a dataset's files into the cache. Unpacks .gz, .zip and .tar files and checks md5 sums."""
    from fuxi_plugins.core.files import require_writable
    from fuxi_plugins.datasets.catalogue import load_dataset_spec, load_dataset_specs
    from fuxi_plugins.datasets.sources.install import import_files

    spec = load_dataset_spec(workspace.all_configs, name)
    require_writable(workspace.cache, "the cache folder")
    known = load_dataset_specs(workspace.all_configs).values()
    say(f"{name}: files in {import_files(spec, origin, workspace, known)}")


@data.command()
@click.argument("name", shell_complete=datasets)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def verify(workspace: Workspace, name: str, as_json: bool) -> None:
    """Compares installed files with their published md5 sums."""
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.sources.acquire import source_folder
    from fuxi_plugins.datasets.sources.install import verify_files

    spec = load_dataset_spec(workspace.all_configs, name)
    if not spec.files:
        raise UserError(f"the dataset {name!r} has no published files to verify.")
    states = verify_files(spec, source_folder(spec, workspace))
    if as_json:
        say(json.dumps([{**asdict(state), "in_order": state.in_order} for state in states], indent=1))
    for state in () if as_json else states:
        verdict = "missing" if not state.seen else "in order" if state.in_order else f"md5 {state.seen}"
        say(f"{state.name}: {verdict}{'' if state.md5 else ' (no md5 is published)'}")
    wrong = [state.name for state in states if not state.in_order]
    if wrong:
        raise UserError(f"{name}: {', '.join(wrong)} must be the published file; fetch or import the dataset again.")


@data.command()
@click.argument("name", shell_complete=datasets)
@click.pass_obj
def prepare(workspace: Workspace, name: str) -> None:
    """Checks and preprocesses a dataset. The command run does this when needed."""
    from fuxi_plugins.core.files import require_writable
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.prepare import prepare_dataset

    spec = load_dataset_spec(workspace.all_configs, name)
    require_writable(workspace.cache, "the cache folder")
    prepared = prepare_dataset(spec, workspace, report=_say)
    rows = ", ".join(f"{split} {count:,}" for split, count in prepared.card.rows.items())
    say(f"{name}: {rows} rows; fingerprint {prepared.card.fingerprint[:16]}; {prepared.folder}")
    for warning in prepared.card.warnings:
        say(f"warning: {warning}")
    if spec.weight_col:
        say(f"Training weights the loss of each row by {spec.weight_col}; metrics count every row alike.")


@data.command("audit")
@click.argument("name", shell_complete=datasets)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def audit_(workspace: Workspace, name: str, as_json: bool) -> None:
    """Looks for mistakes in a dataset. It checks ids, drift, repeated rows, label leaks and times."""
    from tabulate import tabulate

    from fuxi_plugins.core.cleaning import json_value
    from fuxi_plugins.core.files import require_writable
    from fuxi_plugins.datasets.audit import audit
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.prepare import prepare_dataset
    from fuxi_plugins.datasets.reading.dates import in_words
    from fuxi_plugins.datasets.spec import SPLITS

    spec = load_dataset_spec(workspace.all_configs, name)
    require_writable(workspace.cache, "the cache folder")
    found = audit(prepare_dataset(spec, workspace, report=_say), workspace)
    if as_json:
        say(json.dumps(json_value(asdict(found)), indent=1))
        return
    splits = [
        (split, f"{found.rows[split]:,}", f"{found.positive_rate[split]:.2%}", f"{found.repeated[split]:.2%}",
         _percent(found.known_rows.get(split)), _percent(found.known_groups.get(split)),
         " to ".join(map(in_words, found.times.get(split, ()))))
        for split in SPLITS
    ]  # fmt: skip
    headers = ["split", "rows", "positive", "repeated", "rows in train", "groups in train", found.time_column or ""]
    say(tabulate(splits, headers=headers, tablefmt="plain", disable_numparse=True))
    if found.clusters:
        count, largest = found.clusters
        say(f"\n{count:,} clusters in test by {spec.cluster_id}; the largest holds {largest:.1%} of the rows.")
    columns = [
        (column, _percent(seen.unknown.get("valid")), _percent(seen.unknown.get("test")), f"{seen.drift:.3f}",
         "" if seen.alone is None else f"{seen.alone:.4f}")
        for column, seen in found.columns.items()
    ]  # fmt: skip
    headers = ["column", "unknown in valid", "unknown in test", "drift to test", "AUC alone"]
    say("\n" + tabulate(columns, headers=headers, tablefmt="plain", disable_numparse=True) + "\n")
    for warning in found.warnings:
        say(f"warning: {warning}")
    if not found.warnings:
        say("Found no mistake.")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _say(progress: "Progress") -> None:
    share = f" {min(progress.share, 1):.0%}" if progress.share == progress.share else ""
    say(
        f"{progress.doing} {progress.split}:{share}, {progress.rows:,} rows, {progress.rows_per_second:,.0f} rows/s",
        err=True,
    )


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else ""
