"""One job -> one record: build, train, choose by validation, report test once."""

import shutil
import time
import traceback
from typing import TYPE_CHECKING, Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import replacing
from fuxi_plugins.core.source import reached_files, source_digest
from fuxi_plugins.models import registry
from fuxi_plugins.records.files import EPOCHS_FILE, MODEL_FOLDER, PREDICTIONS_FILE, RANK_FILE, write_record
from fuxi_plugins.records.parts import RankSummary, Seconds
from fuxi_plugins.records.predictions import write_predictions
from fuxi_plugins.records.record import FailedRun, FinishedRun, SkippedRun
from fuxi_plugins.training import provenance
from fuxi_plugins.training.job import Job

if TYPE_CHECKING:
    from fuxi_plugins.datasets.dataloader import ColumnLoader
    from fuxi_plugins.diagnostics.probes import RankProbe
    from fuxi_plugins.training.hosted import Callback, Report, TrainerMixin


def carry_out(job: Job, report: "Report", *, started: str, clock_start: float) -> FinishedRun:
    """Trains and evaluates; writes the predictions and then the record, which is what makes the run finished.

    Args:
        job: what to run.
        report: called with small dicts of progress.
        started: UTC time of the run's start.
        clock_start: ``time.perf_counter()`` at the same moment.
    """
    if job.experiment.is_of_trees:
        return carry_out_trees(job, report, started=started, clock_start=clock_start)
    # Imported here so that a record of failure can be written even when torch itself fails to load.
    from fuxi_plugins.training import assembly, compiling, trainer
    from fuxi_plugins.training.devices import use_arithmetic
    from fuxi_plugins.training.distributed.ddp import DistributedMixin, is_first
    from fuxi_plugins.training.trackers import connect, write_epochs

    trainer.use_seed(job.seed, job.threads)
    use_arithmetic(job.experiment.training)
    if job.compiled_folder:
        compiling.keep_code_in(job.compiled_folder)
    trainer.use_gpu_share(job.gpu, job.gpu_share)
    model = assembly.build_model(
        job.experiment,
        job.data,
        gpu=job.gpu,
        checkpoint_folder=job.checkpoint_folder,
        parts=job.micro_batches,
        processes=job.processes,
    )
    if isinstance(model, DistributedMixin):
        model.join(job.seed)
    if is_first():
        keep_model_source(job)
    probe = start_probe(model, job) if job.probe else None
    # What a probe measured before an interruption is in no checkpoint.
    folder = None if job.probe else job.checkpoint_folder
    checkpointer = trainer.checkpointer_of(model, folder, continued_by(job), job.checkpoint_steps)
    callbacks: list[Callback] = [probe] if probe else []
    if is_first():
        callbacks.append(write_epochs(job.run_folder / EPOCHS_FILE))
        callbacks += connect(job.trackers, job.name, job.experiment.params, job.checkpoint_folder)
    history = trainer.train_model(model, job.experiment, job.data, job.seed, report, callbacks, checkpointer)
    report({"phase": "test"})
    valid = model.score(trainer.load_split(model, job.data, "valid", job.experiment, job.seed))
    test_rows = trainer.load_split(model, job.data, "test", job.experiment, job.seed)
    test = model.score(test_rows)
    epochs = max(entry.epoch for entry in history)
    train_seconds = sum(entry.seconds for entry in history)
    record = FinishedRun(
        **identity(job),
        status="finished",
        data=job.data.card,
        metrics={"valid": valid.metrics, "test": test.metrics},
        further_metrics={label: {"valid": valid.further[label], "test": test.further[label]} for label in test.further},
        best_epoch=model.best_epoch,
        history=history,
        parameters=model.counted_parameters(),
        seconds=Seconds(
            train=train_seconds,
            evaluation=sum(entry.evaluation_seconds for entry in history),
            total=checkpointer.seconds_before + time.perf_counter() - clock_start,
            per_epoch=train_seconds / epochs,
        ),
        machine=provenance.machine(str(model.device), job.threads, job.processes),
        started=started,
        rank=finish_probe(probe, model, job) if probe else None,
        sanity_checks=watch_out(model, job, test_rows.epoch),
        deviations=assembly.deviations(job.experiment, job.data, job.micro_batches, job.processes),
    )
    if is_first():
        write_predictions(job.run_folder / PREDICTIONS_FILE, test.predictions)
        write_record(job.run_folder, record)
    checkpointer.delete()
    return record


def carry_out_trees(job: Job, report: "Report", *, started: str, clock_start: float) -> FinishedRun:
    """The same for a tree model, which its library trains on the CPU."""
    from fuxi_plugins.training.trackers import connect, write_epochs
    from fuxi_plugins.training.tree_runs import train_trees

    callbacks = [
        write_epochs(job.run_folder / EPOCHS_FILE),
        *connect(job.trackers, job.name, job.experiment.params, job.checkpoint_folder),
    ]
    run = train_trees(job.experiment, job.data, job.seed, job.threads, report, callbacks)
    train_seconds = sum(entry.seconds for entry in run.history)
    record = FinishedRun(
        **identity(job),
        status="finished",
        data=job.data.card,
        metrics=run.metrics,
        best_epoch=run.best_round,
        history=run.history,
        parameters=run.parameters,
        seconds=Seconds(
            train=train_seconds,
            evaluation=sum(entry.evaluation_seconds for entry in run.history),
            total=time.perf_counter() - clock_start,
            per_epoch=train_seconds / run.history[-1].epoch,
        ),
        machine=provenance.machine("cpu", job.threads, libraries=run.library),
        started=started,
        deviations=run.deviations,
    )
    write_predictions(job.run_folder / PREDICTIONS_FILE, run.predictions)
    write_record(job.run_folder, record)
    return record


def keep_model_source(job: Job) -> None:
    """Copies a model that lies in a file of its own, with its neighbours that it imports, beside the record.

    Raises:
        UserError: the files are no longer those that the run was planned with.
    """
    found = registry.model_source(job.experiment.model)
    if found is None or found.checkout:  # native, installed, or of a checkout, whose commit the record names
        return
    root = found.root.resolve()
    files = reached_files(found.file, root)
    if job.experiment.code.model != f"sha256:{source_digest(files, root)}":
        raise UserError(f"{found.file} was changed after the run was planned; run it again.")
    shutil.rmtree(job.run_folder / MODEL_FOLDER, ignore_errors=True)
    for file in files:
        with replacing(job.run_folder / MODEL_FOLDER / file.relative_to(root)) as temporary:
            shutil.copyfile(file, temporary)


def continued_by(job: Job) -> dict[str, Any]:
    """What a checkpoint must agree in to be continued by this job."""
    return {
        "configuration": job.experiment.digest,
        "data": job.data.card.fingerprint,
        "seed": job.seed,
        "gpu": job.gpu >= 0,
        "threads": job.threads,
        "processes": job.processes,
        "micro_batches": job.micro_batches,
        "commit": provenance.commit()[0],
        "versions": provenance.versions(),
    }


def watch_out(model: "TrainerMixin", job: Job, test_passes: int) -> dict[str, str]:
    """Looks for silent failures; comes last, because it trains the model further."""
    from fuxi_plugins.training import sanity_checks, trainer

    def load_train(seed: int) -> "ColumnLoader":
        return trainer.load_split(model, job.data, "train", job.experiment, seed)

    return sanity_checks.inspect(model, load_train, job.seed, test_passes)


def start_probe(model: "TrainerMixin", job: Job) -> "RankProbe":
    """A rank probe that has measured the untrained model."""
    from fuxi_plugins.diagnostics.probes import RankProbe, sample_of
    from fuxi_plugins.training import trainer

    split = trainer.load_split(model, job.data, "valid", job.experiment, job.seed)
    rows = sample_of(split.num_samples)
    probe = RankProbe(rows=rows, batch=split.take(rows), embedding_dim=job.experiment.embedding_dim)
    probe.measure(model, epoch=0)
    return probe


def finish_probe(probe: "RankProbe", model: "TrainerMixin", job: Job) -> RankSummary:
    """Measures the weights that are reported, and writes everything that was measured."""
    probe.measure(model, epoch=-1)
    probe.write(job.run_folder / RANK_FILE)
    return probe.summary()


def skipped_record(job: Job, reason: str) -> SkippedRun:
    """The record of a run that cannot be, because the dataset lacks what the model needs."""
    return SkippedRun(
        **identity(job), status="skipped", reason=reason, data=job.data.card, started=provenance.utc_now()
    )


def failed_record(job: Job, reason: str, *, started: str, trace: str = "") -> FailedRun:
    """The record of a run that did not finish."""
    return FailedRun(
        **identity(job), status="failed", reason=reason, traceback=trace, data=job.data.card, started=started
    )


def describe_failure(error: BaseException) -> tuple[str, str]:
    """Reason in one line, and the traceback."""
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    return reason, "".join(traceback.format_exception(error))


def identity(job: Job) -> dict[str, Any]:
    """The fields of a record that are known before the run."""
    head, changed = provenance.commit()
    return {
        "dataset": job.data.spec.dataset_id,
        "experiment": job.experiment.id,
        "model": job.experiment.model,
        "display_name": job.experiment.display_name,
        "published_as": job.experiment.published_as,
        "seed": job.seed,
        "suite": job.suite,
        "role": job.experiment.role,
        "variant": job.experiment.variant,
        "params": job.experiment.params,
        "code": job.experiment.code,
        "digest": job.experiment.digest,
        "commit": head,
        "uncommitted_changes": changed,
        "model_source": provenance.model_source(job.experiment.model),
    }
