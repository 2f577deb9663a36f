"""Boards, comparisons and ``status`` name the runs whose code was edited since, as ``run`` refuses to count them."""

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.experiments.code import code_of
from fuxi_plugins.records.files import RECORD_FILE, read_record, write_record
from fuxi_plugins.records.record import run_digest
from tests.submissions.make import write_runs

MODELS = ("LR", "DNN")


@pytest.fixture
def call(workspace):
    """Calls the command line, in one line, where two models have runs of today's code."""
    for model, signal in zip(MODELS, (0.1, 0.3), strict=True):
        write_runs(workspace, model, f"{model}_tiny", signal, code=code_of(model))
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]

    def call(*arguments):
        return " ".join(CliRunner().invoke(main, [*folders, *arguments]).output.split())

    return call


def edit(workspace, model, part):
    """What an edit of the code does to the runs that were there before: their code is no longer today's."""
    for seed in (1, 2):
        folder = workspace.run_folder("tiny", f"{model}_tiny", seed)
        run = read_record(folder / RECORD_FILE)
        code = run.code.model_copy(update={part: "revision 0"})
        digest = run_digest(run.dataset, run.model, run.params, code)
        write_record(folder, run.model_copy(update={"code": code, "digest": digest}))


BOARD, COMPARE, STATUS = ("leaderboard", "tiny_suite"), ("compare", "LR_tiny", "DNN_tiny"), ("status", "tiny_suite")


def test_an_edited_model_is_named_and_its_numbers_stay(workspace, call):
    before = call(*BOARD)
    assert "was edited" not in before + call(*COMPARE) + call(*STATUS)
    edit(workspace, "DNN", "model")
    repeat = "fuxibench run DNN_tiny --seeds 1,2 --force"
    note = f"• ⚠ DNN: its model was edited after these runs, which {repeat} repeats. "
    assert call(*BOARD).replace(note, "") == before
    assert "DNN: its model was edited after these runs." in call(*COMPARE)
    assert "its model was edited since" in call(*STATUS)
    assert "code of the model revision 0 in the record, revision 1 now" in call("run", "DNN_tiny", "--dry-run")


def test_edited_training_is_said_once_for_all_rows(workspace, call):
    for model in MODELS:
        edit(workspace, model, "training")
    said = "⚠ DNN, LR: the training code was edited after these runs, which 'fuxibench run' with --update repeats."
    assert said in call(*BOARD)
    assert "code of the training revision 0 in the record, revision 1 now" in call("run", "DNN_tiny", "--dry-run")
