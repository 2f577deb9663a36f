"""What of each dataset is on this machine."""

import json
from dataclasses import dataclass

from fuxi_plugins.datasets.acquire import is_available
from fuxi_plugins.datasets.prepare import CARD_FILE
from fuxi_plugins.datasets.spec import load_dataset_specs
from fuxi_plugins.workspace import Workspace


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
    for dataset_id, spec in load_dataset_specs(workspace.configs).items():
        folder = workspace.dataset_folder(dataset_id)
        cards = sorted(folder.glob(f"*/{CARD_FILE}"), key=lambda path: path.stat().st_mtime)
        card = json.loads(cards[-1].read_text()) if cards else {}
        if card:
            state = "prepared"
        elif is_available(spec, workspace):
            state = "ready"
        else:
            state = "to be fetched" if spec.source and spec.source.hub else "to be imported"
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        rows = " / ".join(f"{count:,}" for count in card.get("rows", {}).values())
        items.append(Item(dataset_id, state, size, card.get("fingerprint", ""), rows))
    return items
