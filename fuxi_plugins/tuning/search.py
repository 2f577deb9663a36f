"""The search itself: Optuna proposes, the harness runs each trial as an ordinary run, validation judges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuxi_plugins.analysis.tuning_results import Trial
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.execution.planner import plan_suite, run_plan
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.experiment import ExperimentConfig
from fuxi_plugins.experiments.settings import monitored
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.experiments.training_settings import weights_of
from fuxi_plugins.records.files import RECORD_FILE, read_record
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.tuning.space import Space


@dataclass(frozen=True)
class Tuned:
    """The search of one experiment."""

    config: ExperimentConfig
    space: Space
    metric: str  # that is monitored, or a sum of several
    higher: bool  # is better
    trials: list[Trial]

    @property
    def best(self) -> Trial | None:
        sign = 1 if self.higher else -1
        done = [(sign * trial.valid, trial) for trial in self.trials if trial.valid is not None]
        return max(done, key=lambda scored: scored[0], default=(None, None))[1]


def tune(
    suite: Suite,
    spaces: Mapping[str, Space],
    trials: int,
    seed: int,
    sampler: str,
    workspace: Workspace,
    resources: Resources,
) -> list[Tuned]:
    """Gives every experiment of a suite the same number of trials, and goes on where an earlier call stopped.

    Trials go round by round, one for each experiment, so that all have had as many at any moment. A failed run is one.

    Args:
        spaces: by experiment.
        seed: of every trial's run, and of the sampler.
        sampler: ``random``, for which the curves of the best of k are exact, or ``tpe``.
    """
    studies = {config.id: open_study(workspace, suite.name, config, seed, sampler) for config in suite.experiments}
    while True:
        asked = {}
        for config in suite.experiments:
            study = studies[config.id]
            if finished_trials(study) < trials:
                trial = study.ask()
                asked[config.id] = (trial, config.varied(spaces[config.id].draw(trial)))
        if not asked:
            break
        variants = [varied for _, varied in asked.values()]
        _run(variants, suite, seed, workspace, resources)
        for name, (trial, varied) in asked.items():
            _tell(studies[name], trial, varied, seed, workspace)
    return [
        Tuned(config, spaces[config.id], *_monitored(config), list(_trials(studies[config.id])))
        for config in suite.experiments
    ]


def open_study(workspace: Workspace, suite: str, config: ExperimentConfig, seed: int, sampler: str) -> Any:
    """The study of an experiment, kept in a journal that survives any interruption.

    A trial that was under way when an earlier call ended is proposed again.
    """
    optuna = _optuna()
    path = journal(workspace, suite, config.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    study = optuna.create_study(
        study_name=config.id,
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize" if _monitored(config)[1] else "minimize",
        load_if_exists=True,
    )
    # Seeded by what has been tried as well, so that a call that goes on does not repeat the first draws.
    study.sampler = samplers[sampler](seed=seed + 7919 * len(study.trials))
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
    return study


def journal(workspace: Workspace, suite: str, experiment: str) -> Path:
    return workspace.results / "tuning" / suite / f"{experiment}.journal"


def finished_trials(study: Any) -> int:
    """Trials that were run to an end, good or bad."""
    return sum("experiment" in trial.user_attrs for trial in study.trials)


def _run(
    variants: Sequence[ExperimentConfig],
    suite: Suite,
    seed: int,
    workspace: Workspace,
    resources: Resources,
) -> None:
    part = replace(suite, experiments=list(variants), seeds=[seed])
    run_plan(plan_suite(part, workspace, resources), part, workspace, resources)


def _tell(study: Any, trial: Any, varied: ExperimentConfig, seed: int, workspace: Workspace) -> None:
    """Reports a run's validation result; its record says whether there is one."""
    state = _optuna().trial.TrialState
    record = read_record(workspace.run_folder(varied.dataset_id, varied.id, seed) / RECORD_FILE)
    for name, value in (("experiment", varied.id), ("settings", dict(varied.settings)), ("reason", record.reason)):
        trial.set_user_attr(name, value)
    if isinstance(record, FinishedRun):
        study.tell(trial, _objective(record))
    else:
        study.tell(trial, state=state.FAIL)


def _objective(record: FinishedRun) -> float:
    """The best validation value of what the run monitored."""
    weights = weights_of(record.params["training"]["monitor"])
    return sum(weight * record.metrics["valid"][name] for name, weight in weights.items())


def _trials(study: Any) -> Iterator[Trial]:
    for trial in study.trials:
        if "experiment" in trial.user_attrs:
            yield Trial(
                number=trial.number,
                experiment=trial.user_attrs["experiment"],
                settings={name: trial.user_attrs["settings"][name] for name in _names(trial)},
                valid=trial.value,
                reason=trial.user_attrs["reason"],
            )


def _names(trial: Any) -> list[str]:
    return [name for name in trial.params if name in trial.user_attrs["settings"]]


def _monitored(config: ExperimentConfig) -> tuple[str, bool]:
    return monitored(config.settings, f"experiment {config.id!r}")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UserError("tuning needs Optuna: pip install optuna, or fuxibench[tune].") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
