"""What of each dataset is on this machine."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.prepare import CARD_FILE
from fuxi_plugins.datasets.sources.acquire import is_available
from fuxi_plugins.datasets.spec import DatasetSpec


@dataclass(frozen=True)
class Item:
    dataset_id: str
    state: str  # "prepared", "ready" to be prepared, "to be fetched" or "to be imported"
    size: int  # bytes of everything about it in the cache
    fingerprint: str  # of the latest preparation, or empty
    rows: str


def inventory(workspace: Workspace) -> list[Item]:
    """Every dataset that has a config."""
    items = []
    for dataset_id, spec in load_dataset_specs(workspace.all_configs).items():
        folder = workspace.dataset_folder(dataset_id)
        card = latest_card(dataset_id, workspace) or {}
        if card:
            state = "prepared"
        elif is_available(spec, workspace):
            state = "ready"
        else:
            state = "to be fetched" if spec.source and spec.source.fetched_from else "to be imported"
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        rows = " / ".join(f"{count:,}" for count in card.get("rows", {}).values())
        items.append(Item(dataset_id, state, size, card.get("fingerprint", ""), rows))
    return items


def latest_card(dataset_id: str, workspace: Workspace) -> dict[str, Any] | None:
    """The data card of a dataset's latest preparation in the cache, or None where there is none."""
    cards = workspace.dataset_folder(dataset_id).glob(f"*/{CARD_FILE}")
    latest = max(cards, key=lambda path: path.stat().st_mtime, default=None)
    return json.loads(latest.read_text()) if latest else None


def catalogue(specs: Iterable[DatasetSpec]) -> str:
    """The datasets as a Markdown table, from their configs alone."""
    return tabulate(
        [
            (
                f"`{spec.dataset_id}`",
                " / ".join(f"{rows:,}" for rows in _rows(spec)),
                " / ".join(f"{rate:.1%}" for rate in spec.published_positive_rate.values()),
                sum(column.type != "meta" for column in spec.active_columns for _ in column.names),
                spec.min_categr_count,
                "yes" if spec.group_id else "",
                _validation(spec),
                _origin(spec),
            )
            for spec in specs
        ],
        headers=("dataset", "rows", "clicks", "fields", "least count", "gAUC", "validation", "source"),
        tablefmt="pipe",
        disable_numparse=True,
    )


def _rows(spec: DatasetSpec) -> list[int]:
    return list(spec.published_rows.values()) or list(spec.build_args.get("rows", []))


def _validation(spec: DatasetSpec) -> str:
    if spec.from_interactions:
        return f"held out by {spec.from_interactions.split.by.replace('_', ' ')}"
    if spec.split and spec.is_divided("valid"):
        return f"held out of train by {spec.split.by}"
    return "**is the test set**" if spec.valid_is_test else "its own"


def _origin(spec: DatasetSpec) -> str:
    if not spec.source or not spec.source.homepage:
        return "generated"
    return f"[{spec.source.fetched_from or 'import'}]({spec.source.homepage})"
