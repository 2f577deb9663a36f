"""Measures what counts alone reach on Frappe: a reference for the models of its board.

\b
    python scripts/measure_counts.py

Needs Frappe's files: fuxibench data import frappe_x1r --from FOLDER.

For each row, the script counts in train how often the row's user with its item, its item, and its user stand among the
clicks and among all rows. A second set adds the counts of its user and context, which a click shares with the two
non-clicks that were sampled for it: two of the three labels give the third away. Boosted trees learn on valid what the
counts mean.
"""

from pathlib import Path

import click
import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.sources.acquire import raw_folder

LABEL, USER, ITEM = "label", "user", "item"


@click.command(help=__doc__)
def main() -> None:
    folder = frappe()
    train, valid, test = (pl.read_csv(folder / f"{split}.csv") for split in ("train", "valid", "test"))
    context = [name for name in train.columns if name not in (LABEL, ITEM)]  # of a click, with its user
    popularity = [[USER, ITEM], [ITEM], [USER]]
    for name, keys in {"user x item, item, user": popularity, "and user x context": [*popularity, context]}.items():
        model = HistGradientBoostingClassifier(max_iter=200, random_state=0)
        model.fit(counts(train, valid, keys), valid[LABEL].to_numpy())
        predicted = model.predict_proba(counts(train, test, keys))[:, 1]
        labels = test[LABEL].to_numpy()
        click.echo(
            f"{name}: test AUC {roc_auc_score(labels, predicted):.4f}, logloss {log_loss(labels, predicted):.4f}"
        )


def frappe() -> Path:
    """The folder of the dataset's files."""
    workspace = Workspace.locate()
    try:
        return raw_folder(load_dataset_spec(workspace.all_configs, "frappe_x1r"), workspace)
    except UserError as error:
        raise click.ClickException(str(error)) from error


def counts(train: pl.DataFrame, rows: pl.DataFrame, keys: list[list[str]]) -> np.ndarray:
    """(R, 2K): for each of K lists of columns, the clicks and the rows of train that agree in all of them."""
    found = []
    for columns in keys:
        of_train = train.group_by(columns).agg(clicks=pl.col(LABEL).sum(), rows=pl.len())
        found.append(rows.join(of_train, on=columns, how="left", maintain_order="left").select("clicks", "rows"))
    return np.hstack([frame.fill_null(0).to_numpy() for frame in found])


if __name__ == "__main__":
    main()
