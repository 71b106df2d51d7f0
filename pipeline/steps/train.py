"""Train with at most three attempts, each adjusted to what went wrong before (specification, messages 18-19, §5)."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import GiveUp, TrainingFailed, TrainingNeedsPerson
from pipeline.domain.model_events import TrainingFailedEvent
from pipeline.domain.models import ModelType
from pipeline.domain.training import Attempt, Epoch, Hyperparameters, TrainingResult, adjust, next_attempt
from pipeline.ports.clock import Clock
from pipeline.ports.events import Outbox
from pipeline.ports.training import Experiment, Experiments, Trainer, TrainingJob, TrainingRuns

log = logging.getLogger(__name__)


def train(
    run_id: str,
    dataset: Dataset,
    *,
    labels: Sequence[str],
    hyperparameters: Hyperparameters,
    artifact_uri: str,
    trainer: Trainer,
    experiments: Experiments,
    runs: TrainingRuns,
    outbox: Outbox,
    clock: Clock,
    on_epoch: Callable[[Epoch], None],
    fresh: bool = False,
    demand_unseen: Callable[[Iterable[str]], None] = lambda task_ids: None,
    files: Mapping[str, bytes] | None = None,
) -> TrainingResult:
    """The result; a run that has one already is not trained again, one that was interrupted goes on.

    `demand_unseen` is asked about the photos that were read; `files` are attached to every attempt in the tracker,
    `fresh` forgets earlier attempts and checkpoints. Raises `TrainingNeedsPerson` after the last attempt, with
    `TrainingFailedEvent` in the outbox, and `RunBusy` while another process trains the same run.
    """
    with runs.exclusive(run_id):
        if (earlier := runs.result(run_id)) is not None:
            if fresh:
                raise GiveUp(f"run {run_id} has a trained model: start anew under another run id")
            log.info("run %s was trained before: nothing to do", run_id)
            return earlier
        if fresh:
            experiments.set_aside(ModelType(dataset.model_type), run_id)
            runs.forget(run_id)
        tried = list(runs.attempts(run_id))
        _demand_the_same_beginning(run_id, hyperparameters, tried)
        while (attempt := next_attempt(hyperparameters, tried)) is not None:
            runs.record(run_id, dataset.id, attempt)
            job = TrainingJob(
                run_id,
                dataset,
                tuple(labels),
                attempt.hyperparameters,
                checkpoint_uri=f"{artifact_uri}checkpoints/{attempt.number}/",
                artifact_uri=artifact_uri,
                demand_unseen=demand_unseen,
                fresh=fresh,
            )
            ended, result = _attempt(
                job, attempt, files or {}, trainer=trainer, experiments=experiments, on_epoch=on_epoch
            )
            runs.record(run_id, dataset.id, ended)
            if result is not None:
                runs.succeed(result)
                return result
            tried = [*tried[: attempt.number - 1], ended]
        link = experiments.link(ModelType(dataset.model_type), run_id)
        reasons = tuple(f"attempt {a.number}: {a.cause}: {a.detail} ({a.change})" for a in tried)
        failed = TrainingFailedEvent(
            id=f"training-failed:{run_id}",
            run_id=run_id,
            model_type=dataset.model_type,
            attempts=reasons,
            link=link,
            failed_at=clock.now(),
        )
        outbox.add(failed.outgoing())
    raise TrainingNeedsPerson(f"training needs a person, see {link}; " + "; ".join(reasons))


def _demand_the_same_beginning(run_id: str, requested: Hyperparameters, tried: Sequence[Attempt]) -> None:
    if tried and tried[0].hyperparameters != requested:
        began, now = asdict(tried[0].hyperparameters), asdict(requested)
        changed = ", ".join(f"{name} {began[name]} → {now[name]}" for name in now if began[name] != now[name])
        raise GiveUp(
            f"run {run_id} began with other hyperparameters ({changed}): train with --fresh to start anew, "
            "or under another run id"
        )


def _attempt(
    job: TrainingJob,
    attempt: Attempt,
    files: Mapping[str, bytes],
    *,
    trainer: Trainer,
    experiments: Experiments,
    on_epoch: Callable[[Epoch], None],
) -> tuple[Attempt, TrainingResult | None]:
    """How the attempt ended, and its result when it succeeded."""
    failed: Attempt | None = None
    try:
        with experiments.attempt(ModelType(job.dataset.model_type), job.run_id, attempt.number) as experiment:
            try:
                for name, body in files.items():
                    experiment.log_file(name, body)
                result = _trained(job, trainer, experiment, on_epoch)
            except TrainingFailed as failure:
                change = adjust(attempt.hyperparameters, failure.cause, attempt.number).change
                failed = replace(attempt, cause=failure.cause, detail=failure.detail, change=change)
                experiment.note({"cause": failure.cause, "detail": failure.detail, "change": change})
                raise
    except TrainingFailed as failure:
        assert failed is not None
        log.warning("attempt %d failed: %s; next: %s", attempt.number, failure, failed.change)
        return failed, None
    return replace(attempt, cause=""), result


def _trained(
    job: TrainingJob, trainer: Trainer, experiment: Experiment, on_epoch: Callable[[Epoch], None]
) -> TrainingResult:
    experiment.log_parameters({name: str(value) for name, value in asdict(job.hyperparameters).items()})
    experiment.log_parameters({"dataset_id": job.dataset.id, "train_count": str(job.dataset.train_count)})

    def progress(epoch: Epoch) -> None:
        prefix = "" if epoch.phase == "head" else f"{epoch.phase}."
        experiment.log_metrics(
            {
                f"{prefix}loss": epoch.loss,
                f"{prefix}accuracy": epoch.accuracy,
                f"{prefix}val_loss": epoch.val_loss,
                f"{prefix}val_accuracy": epoch.val_accuracy,
                f"{prefix}learning_rate": epoch.learning_rate,
                f"{prefix}eta_seconds": epoch.eta_seconds,
                f"{prefix}memory_mb": epoch.memory_mb,
            },
            step=epoch.number,
        )
        on_epoch(epoch)

    result = trainer.train(job, progress, experiment)
    experiment.log_metrics(_final(result))
    return replace(result, experiment_run_id=experiment.id)


def _final(result: TrainingResult) -> dict[str, float]:
    figures = {
        "final_accuracy": result.accuracy,
        "final_val_accuracy": result.val_accuracy,
        "f1_score": result.f1_score,
        "auc": result.auc,
        "training_seconds": result.training_seconds,
    }
    more = {"ece": result.ece, "peak_memory_mb": result.peak_memory_mb}
    return figures | {name: value for name, value in more.items() if value is not None}
