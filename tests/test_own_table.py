"""A table of one's own from outside, by commands alone: what is wrong with it is said wherever its results are read."""

import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from fuxi_plugins.records.files import find_records


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls fuxibench in an empty workspace; the command must end well unless another exit code is named."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for folder in ("dataset_config", "model_config", "suites"):
        (tmp_path / "benchmark_configs" / folder).mkdir(parents=True)
    places = ["--configs", str(tmp_path / "benchmark_configs"), "--results", str(tmp_path / "results")]

    def invoke(*arguments: str, exit_code: int = 0) -> str:
        done = CliRunner().invoke(main, [*places, *arguments])
        assert done.exit_code == exit_code, done.output
        return done.output

    return invoke


def write_clicks(folder, item="i{}", rows=(800, 200, 200)):
    """A user's taste decides the click; a purchase follows some clicks. ``item`` is how test writes an item."""
    folder.mkdir()
    for seed, (split, count) in enumerate(zip(("train", "valid", "test"), rows, strict=True)):
        random = np.random.default_rng(seed)
        user, seen = random.integers(0, 12, count), random.integers(0, 9, count)
        click = random.random(count) < 1 / (1 + np.exp(-1.5 * ((user + seen) % 3 - 1)))
        like = random.random(count) < 0.2 + 0.5 * ((user + 2 * seen) % 3 == 0)
        written = [(item if split == "test" else "i{}").format(number) for number in seen]
        lines = [f"{u},{i},{int(c)},{int(k)}" for u, i, c, k in zip(user, written, click, like, strict=True)]
        (folder / f"{split}.csv").write_text("\n".join(["user_id,item,click,like", *lines]))
    return folder


FEW_STEPS = "Trained for fewer than 300 steps, too few to compare models by: "
UNKNOWN = "item: train knows hardly an id of the other splits (100.0% of test are unknown)."


def test_few_steps_and_unknown_ids_are_said_on_the_board_the_site_and_by_the_doctor(call, tmp_path):
    """Items that test writes in another way, and a batch as large as the data."""
    data = write_clicks(tmp_path / "data", item="I-{}")
    call("data", "describe", "mine", "--from", str(data))
    assert f"warning: {UNKNOWN}" in call("data", "prepare", "mine")
    call("new", "mine", "--models", "LR", "--seeds", "1", "--batch-size", "4096")
    call("run", "mine_common", "--jobs", "1", "--threads", "1")
    call("report", "site", "--out", str(tmp_path / "site"))
    board, page, doctor = (
        " ".join(text.split())
        for text in (
            call("leaderboard", "mine_common"),
            next((tmp_path / "site").glob("boards/*.html")).read_text(),
            call("doctor", exit_code=1),
        )
    )
    for text in (board, page):
        assert UNKNOWN in text
        assert f"{FEW_STEPS}LR (" in text
    assert UNKNOWN in doctor
    assert "steps only, fewer than 300: too few to compare models by" in doctor


def test_a_sound_table_is_warned_of_nowhere(call, tmp_path):
    call("data", "describe", "mine", "--from", str(write_clicks(tmp_path / "data")))
    assert "warning" not in call("data", "prepare", "mine")
    call("new", "mine", "--models", "LR", "--seeds", "1")
    board = call("run", "mine_common", "--jobs", "1", "--threads", "1")
    assert "⚠" not in board


def test_each_experiment_learns_the_label_that_it_names(call, tmp_path):
    """Their runs are told apart, and so are their boards."""
    data = write_clicks(tmp_path / "data")
    configs = tmp_path / "benchmark_configs"
    call("data", "describe", "mine", "--from", str(data))
    path = configs / "dataset_config" / "mine.yaml"
    several = "label_col: [{name: click, dtype: float}, {name: like, dtype: float}]"
    path.write_text(path.read_text().replace("label_col: {name: click, dtype: float}", several))
    call("new", "mine", "--models", "LR", "--seeds", "1")
    experiments = configs / "model_config" / "mine_common.yaml"
    experiments.write_text(experiments.read_text() + "likes: {model: LR, label: like}\n")
    first = call("run", "LR_mine_common", "--jobs", "1", "--threads", "1")
    liked = call("run", "likes", "--jobs", "1", "--threads", "1")
    said = "The dataset has several labels; {} is learned, and none is a feature."
    assert said.format("click") in " ".join(first.split())
    assert said.format("like") in " ".join(liked.split())
    records = {record.experiment: record for record in find_records(tmp_path / "results", "mine")}
    click, like = records["LR_mine_common"], records["likes"]
    assert (click.data.label, like.data.label) == ("click", "like")
    assert "label" not in click.params["training"], "or older digests would change"
    assert like.params["training"]["label"] == "like"
    assert like.digest != click.digest
    assert like.data.fingerprint != click.data.fingerprint
    assert like.data.positive_rate != click.data.positive_rate
    call("check")


def test_a_label_that_is_none_and_two_labels_on_one_board_are_refused(call, tmp_path):
    call("data", "describe", "mine", "--from", str(write_clicks(tmp_path / "data")))
    configs = tmp_path / "benchmark_configs"
    path = configs / "dataset_config" / "mine.yaml"
    several = "label_col: [{name: click, dtype: float}, {name: like, dtype: float}]"
    path.write_text(path.read_text().replace("label_col: {name: click, dtype: float}", several))
    (configs / "model_config" / "mine.yaml").write_text(
        "Base: {model: LR, dataset_id: mine}\nclicks: {}\nlikes: {label: like}\nshares: {label: share}\n"
    )
    (configs / "suites" / "both.yaml").write_text("title: Both\nexperiments: [clicks, likes]\nseeds: [1]\n")
    assert "no label 'share'" in call("run", "shares", exit_code=2)
    assert "no label 'share'" in call("check", exit_code=2)
    assert "must learn the same label, but they learn click by clicks, like by likes" in call(
        "run", "both", exit_code=2
    )
