"""Which runs a name means when two models are compared."""

import pytest

from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.files import write_record
from fuxi_plugins.records.parts import Code
from tests.analysis.make import record


@pytest.fixture
def results(workspace):
    """Runs of two experiments of Alpha and one of Beta on one dataset."""

    def add(experiment, display_name, test, **more):
        for seed in (1, 2, 3):
            made = record(display_name, seed, test + 0.001 * seed, experiment=experiment, **more)
            write_record(workspace.run_folder("toy", experiment, seed), made)

    add("Beta_toy", "Beta", 0.7)
    return workspace, add


def test_a_row_name_means_its_own_experiment_among_several(results):
    workspace, add = results
    add("Alpha_toy_matched", "Alpha", 0.6)
    add("Alpha_toy", "Alpha", 0.8)
    (found,) = comparisons("Alpha", "Beta", None, "AUC", workspace)
    assert found.effect == pytest.approx(0.1)
    (found,) = comparisons("Alpha_toy_matched", "Beta", None, "AUC", workspace)
    assert found.effect == pytest.approx(-0.1)
    (found,) = comparisons("Alpha_toy_matched", "Alpha_toy", None, "AUC", workspace)
    assert (found.a, found.b) == ("Alpha_toy_matched", "Alpha_toy")  # both rows are called Alpha


def test_a_name_that_may_be_either_of_two_is_refused(results):
    workspace, add = results
    add("Alpha_toy_matched", "Alpha", 0.6)
    add("Alpha_toy_repository", "Alpha", 0.8)
    with pytest.raises(UserError, match="may be Alpha_toy_matched or Alpha_toy_repository; name the experiment"):
        comparisons("Alpha", "Beta", None, "AUC", workspace)


def test_a_row_name_does_not_mean_the_trials_of_a_search(results):
    workspace, add = results
    add("Alpha_toy", "Alpha", 0.8)
    add("Alpha_toy@x=1", "Alpha", 0.9, role="trial", variant="x=1")
    (found,) = comparisons("Alpha", "Beta", None, "AUC", workspace)
    assert found.effect == pytest.approx(0.1)
    (found,) = comparisons("Alpha_toy@x=1", "Beta", None, "AUC", workspace)
    assert (found.effect, found.a) == (pytest.approx(0.2), "Alpha@x=1")


def test_runs_of_two_digests_are_not_compared_as_one_model(results):
    workspace, add = results
    add("Alpha_toy", "Alpha", 0.8)
    edited = record("Alpha", 4, 0.8, code=Code(model="revision 2", training="revision 1"))
    write_record(workspace.run_folder("toy", "Alpha_toy", 4), edited)
    with pytest.raises(UserError, match="Alpha_toy must have runs of the same settings and code"):
        comparisons("Alpha", "Beta", None, "AUC", workspace)


@pytest.mark.parametrize(
    ("other", "said"),
    [("Beta", "'Beta' is named twice"), ("Beta_toy", "'Beta' and 'Beta_toy' both mean Beta_toy on toy")],
)
def test_a_model_is_not_compared_with_itself(results, other, said):
    workspace, _ = results
    with pytest.raises(UserError, match=said):
        comparisons("Beta", other, None, "AUC", workspace)
