"""Brings records of schema 1 to schema 2; no number changes.

\b
    python scripts/migrate_records.py            # those of this checkout's results
    python scripts/migrate_records.py --results ~/my_clicks/results

Schema 2 says which code computed a run (all code of schema 1's time is revision 1), what the run was for (its role,
and what sets it apart), and has a digest over settings and code; the digest of schema 1 is kept beside it. Which suite
asked for a run was not recorded, so it is the first by name that has the run, if any. Some names are others:
``preset`` is ``display_name``, ``reading: repository`` is ``formulation: official_code``.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.experiments.suite import Suite, instance_name, load_suite, suite_names
from fuxi_plugins.experiments.template import load_template
from fuxi_plugins.records.files import RECORD_FILE
from fuxi_plugins.records.parts import Code
from fuxi_plugins.records.record import Role, make_record, run_digest

FIRST = "revision 1"
FIELDS = {"preset": "display_name", "departures": "deviations", "sentinels": "sanity_checks"}  # old name -> new


@dataclass(frozen=True)
class Purpose:
    """What a run was for."""

    suite: str
    role: Role
    variant: str


def migrated(old: dict[str, Any], purpose: Purpose) -> dict[str, Any]:
    """A record of schema 1 as one of schema 2."""
    kept = {name: value for name, value in old.items() if name not in ("model_source", "config_digest")}
    source = old.get("model_source")
    code = Code(model=f"sha256:{source['sha256']}" if source else FIRST, training=FIRST)
    for old_name, new_name in FIELDS.items():
        if old_name in kept:
            kept[new_name] = kept.pop(old_name)
    kept["display_name"] = kept["display_name"].replace("lazy tables", "sparse embeddings")
    model, training = (dict(kept["params"].get(part, {})) for part in ("model", "training"))
    if "reading" in model:
        model["formulation"] = {"repository": "official_code"}.get(model.pop("reading"), "paper")
    if "lazy_tables" in training:
        training["sparse_embeddings"] = training.pop("lazy_tables")
    kept["params"] = {"model": model, "training": training}
    return {
        **kept,
        "schema_version": 2,
        "suite": purpose.suite,
        "role": purpose.role,
        "variant": purpose.variant,
        "code": code.model_dump(),
        "digest": run_digest(old["dataset"], old["model"], kept["params"], code),
        "former_digest": old["config_digest"],
        "model_source": {"file": source["file"], "commit": source["commit"]} if source else None,
    }


def purposes(workspace: Workspace, datasets: set[str]) -> dict[tuple[str, str, int], Purpose]:
    """By dataset, experiment and seed, of the runs of all suites on the datasets."""
    found: dict[tuple[str, str, int], Purpose] = {}
    for suite in _suites(workspace, datasets):
        for config in suite.experiments:
            for seed in suite.seeds_of(config.id):
                key = (config.dataset_id, config.id, seed)
                found.setdefault(key, Purpose(suite.name, config.role, config.variant))
    return found


def purpose_of(record: dict[str, Any], known: dict[tuple[str, str, int], Purpose]) -> Purpose:
    """Of a run that no suite has, what its experiment's other seeds were for, or what its id says."""
    key = (record["dataset"], record["experiment"], record["seed"])
    if key in known:
        return known[key]
    same = next((known[other] for other in known if other[:2] == key[:2]), None)
    if same:
        return Purpose("", same.role, same.variant)
    variant = record["experiment"].partition("@")[2]
    return Purpose("", "trial" if variant else "result", variant)


def _suites(workspace: Workspace, datasets: set[str]) -> Iterator[Suite]:
    protocols = list(load_template(workspace.all_configs, "paper").protocols) if _has_templates(workspace) else []
    known = [name for name in load_dataset_specs(workspace.all_configs) if name in datasets]
    for name in suite_names(workspace.all_configs):
        usual = load_suite(workspace.all_configs, name)
        yield usual
        if usual.shape:  # a template's: on every dataset, under every protocol
            for dataset in known:
                for protocol in protocols:
                    try:
                        yield load_suite(workspace.all_configs, instance_name(name, dataset, protocol))
                    except UserError:  # the dataset lacks what the suite needs
                        continue


def _has_templates(workspace: Workspace) -> bool:
    return any((workspace.all_configs / "templates").glob("*.yaml"))


@click.command(help=__doc__)
@click.option("--results", type=click.Path(path_type=Path, exists=True), help="Default: those of the workspace.")
def migrate(results: Path | None) -> None:
    workspace = Workspace.locate(results=results)
    paths = sorted((workspace.results / "runs").glob(f"*/*/seed-*/{RECORD_FILE}"))
    old = {path: record for path in paths if (record := json.loads(path.read_text())).get("schema_version") == 1}
    known = purposes(workspace, {record["dataset"] for record in old.values()})
    for path, record in old.items():
        new = make_record(migrated(record, purpose_of(record, known)))
        write_text(path, new.model_dump_json(indent=1) + "\n")
    click.echo(f"{len(old)} of {len(paths)} records brought to schema 2")


if __name__ == "__main__":
    migrate()
