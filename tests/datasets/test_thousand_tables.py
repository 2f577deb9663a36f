"""A thousand tables that a seed makes: describing, preparing and one epoch end well, and the ids are Python's reading.

Tables of few and of many rows, skewed, with odd names, separators, packed or not, in csv, parquet and JSON lines.
"""

import csv
import gzip
import io
import json

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.experiments.experiment import ExperimentConfig, resolve
from fuxi_plugins.training import assembly, trainer
from tests.datasets.test_random_tables import assert_as_python_reads

NAMES = ["user_id", "item", "hist_item", "price", "type", "update", "x.y", "a b", "größe", "0", "a/b", "(x)", "%",
         "City", "items", "forward", "named_parameters", "ts", "tags", "Label2", "user-agent", "__x", "class", "T" * 60,
         "day"]  # fmt: skip
WORDS = ["a", "B b", "é", "NA", "null", "x,y", "a;b", 'say "hi"', "-", "1e5", "true", "0x1F", "long " * 9, "a|b",
         "#"]  # fmt: skip
KINDS = ["ids", "large", "negative", "float ids", "prices", "tiny", "words", "list", "brackets", "dates"]


def column(random: np.random.Generator, rows: int) -> list[str]:
    """The texts of one column: ids, numbers, words or lists, of even or skewed frequencies, some of them missing."""
    values = int(random.choice([1, 2, 7, 60]))
    drawn = (
        random.integers(0, values, rows) if random.random() < 0.5 else np.minimum(random.geometric(0.3, rows), values)
    )
    kind = random.choice(KINDS)
    texts = {
        "ids": lambda: [str(number) for number in drawn],
        "large": lambda: [str(2**63 + int(number)) for number in drawn],
        "negative": lambda: [str(-int(number)) for number in drawn],
        "float ids": lambda: [f"{number}.0" for number in drawn],
        "prices": lambda: [str(round(float(price), 2)) for price in random.lognormal(3, 2, rows)],
        "tiny": lambda: [repr(float(number) * 1e-7 + 1e-9) for number in drawn],
        "words": lambda: [WORDS[number % len(WORDS)] for number in drawn],
        "list": lambda: ["^".join(map(str, random.integers(0, values, random.integers(0, 6)))) for _ in drawn],
        "brackets": lambda: [str([int(n) for n in random.integers(0, values, random.integers(0, 4))]) for _ in drawn],
        "dates": lambda: [f"2026-03-{number % 28 + 1:02d}" for number in drawn],
    }[kind]()
    missing = random.random(rows) < random.choice([0, 0, 0.1, 0.95])
    return ["" if gone else text for gone, text in zip(missing, texts, strict=True)]


def table(random: np.random.Generator) -> dict[str, list[dict[str, str]]]:
    """By split, its rows; ``label`` is the last column and has both classes everywhere."""
    counts = {split: int(random.choice([2, 3, 12, 80, 500])) for split in SPLITS}
    names = [str(name) for name in random.choice(NAMES, random.integers(1, 8), replace=False)]
    whole = {name: column(random, sum(counts.values())) for name in names}
    rate = random.choice([0.02, 0.5, 0.9])
    found, start = {}, 0
    for split, count in counts.items():
        labels = ["0", "1", *(str(int(drawn)) for drawn in random.random(count - 2) < rate)]
        found[split] = [
            {name: texts[start + row] for name, texts in whole.items()} | {"label": labels[row]} for row in range(count)
        ]
        start += count
    return found


def write(random: np.random.Generator, folder, rows: dict[str, list[dict[str, str]]]):
    form = random.choice(["csv", "csv", "csv", "csv.gz", "tsv", "parquet", "jsonl"])
    separator = "\t" if form == "tsv" else str(random.choice([",", ",", ";", "|", "\t"]))
    line_end = str(random.choice(["\n", "\r\n"]))
    for split, texts in rows.items():
        path = folder / f"{split}.{form}"
        if form == "parquet":
            missing_as_null = [{name: text or None for name, text in row.items()} for row in texts]
            pl.DataFrame(missing_as_null, schema=dict.fromkeys(texts[0], pl.String)).write_parquet(path)
        elif form == "jsonl":
            path.write_text("\n".join(json.dumps({name: text or None for name, text in row.items()}) for row in texts))
        else:
            file = io.StringIO(newline="")
            writer = csv.DictWriter(file, list(texts[0]), delimiter=separator, lineterminator=line_end)
            writer.writeheader()
            writer.writerows(texts)
            text = file.getvalue().encode()
            path.write_bytes(gzip.compress(text) if form == "csv.gz" else text)


def train_one_epoch(prepared, folder, model: str):
    settings = {"epochs": 1, "batch_size": 64, "metrics": ["AUC", "logloss"], "num_workers": 0}
    if model == "DNN":
        settings |= {"embedding_dim": 4, "hidden_units": [8]}
    config = ExperimentConfig(
        id="one", file=folder, model=model, dataset_id="mine", display_name=model, published_as=None, seed=None,
        settings=settings,
    )  # fmt: skip
    experiment = resolve(config)
    trainer.use_seed(1, 1)
    built = assembly.build_model(experiment, prepared, gpu=-1, checkpoint_folder=folder / "checkpoint")
    (epoch,) = trainer.train_model(built, experiment, prepared, 1, lambda news: None)
    assert np.isfinite(epoch.train_loss)


def go_through(seed: int, folder):
    """From files to a trained model; a table without anything to learn from may be refused, and nothing else."""
    random = np.random.default_rng(seed)
    rows = table(random)
    write(random, folder, rows)
    try:
        found = describe("mine", folder)
    except UserError as error:
        if "a column to learn from, but none is left" not in str(error):
            raise
        return
    prepared = prepare_dataset(read_spec("mine", found.entry, folder), Workspace(folder, folder, folder / "cache"))
    assert_as_python_reads(prepared, rows)
    train_one_epoch(prepared, folder, str(random.choice(["LR", "DNN"])))


@pytest.mark.parametrize("seed", range(12))
def test_a_table_goes_all_the_way(tmp_path, seed):
    go_through(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_tables_go_all_the_way(tmp_path, hundred):
    for seed in range(100 * hundred + 12, 100 * hundred + 112):
        folder = tmp_path / str(seed)
        folder.mkdir()
        go_through(seed, folder)
