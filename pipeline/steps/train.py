"""Train with at most three attempts, each adjusted to what went wrong before (specification, messages 18-19, §5)."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from pipeline.domain.dataset import Dataset
from pipeline.domain.errors import TrainingFailed, TrainingNeedsPerson
from pipeline.domain.events import training_failed
from pipeline.domain.models import ModelType
from pipeline.domain.training import Attempt, Epoch, Hyperparameters, TrainingResult, adjust
from pipeline.ports import Clock, Experiments, Outbox, Trainer, TrainingJob, TrainingRuns

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
    demand_unseen: Callable[[Iterable[str]], None] = lambda task_ids: None,
    files: Mapping[str, bytes] | None = None,
) -> TrainingResult:
    """The result; a run that has one already is not trained again.

    `demand_unseen` is asked about the photos that were read; `files` are attached to every attempt in the tracker.

    Raises `TrainingNeedsPerson` after the last attempt, with `TrainingFailedEvent` in the outbox.
    """
    if (earlier := runs.result(run_id)) is not None:
        log.info("run %s was trained before: nothing to do", run_id)
        return earlier
    tried: list[Attempt] = []
    following: Hyperparameters | None = hyperparameters
    while following is not None:
        number = len(tried) + 1
        job = TrainingJob(
            run_id,
            dataset,
            tuple(labels),
            following,
            f"{artifact_uri}checkpoints/{number}/",
            artifact_uri,
            demand_unseen,
        )
        try:
            result = _attempt(job, number, files or {}, trainer=trainer, experiments=experiments, on_epoch=on_epoch)
        except TrainingFailed as failure:
            adjustment = adjust(following, failure.cause, number)
            attempt = Attempt(number, following, failure.cause, failure.detail, adjustment.change)
            log.warning("attempt %d failed: %s; next: %s", number, failure, adjustment.change)
            runs.record(run_id, dataset.id, attempt)
            tried.append(attempt)
            following = adjustment.hyperparameters
        else:
            runs.record(run_id, dataset.id, Attempt(number, following))
            runs.succeed(result)
            return result
    attempts = tuple(f"attempt {a.number}: {a.cause}: {a.detail} ({a.change})" for a in tried)
    outbox.add(
        training_failed(
            event_id=f"training-failed:{run_id}",
            run_id=run_id,
            model_type=dataset.model_type,
            attempts=attempts,
            at=clock.now(),
        )
    )
    raise TrainingNeedsPerson("training needs a person; " + "; ".join(attempts))


def _attempt(
    job: TrainingJob,
    number: int,
    files: Mapping[str, bytes],
    *,
    trainer: Trainer,
    experiments: Experiments,
    on_epoch: Callable[[Epoch], None],
) -> TrainingResult:
    model_type = ModelType(job.dataset.model_type)
    with experiments.attempt(model_type, job.run_id, number) as experiment:
        experiment.log_parameters({name: str(value) for name, value in asdict(job.hyperparameters).items()})
        experiment.log_parameters({"dataset_id": job.dataset.id, "train_count": str(job.dataset.train_count)})
        for name, body in files.items():
            experiment.log_file(name, body)

        def progress(epoch: Epoch) -> None:
            experiment.log_metrics(
                {
                    "loss": epoch.loss,
                    "accuracy": epoch.accuracy,
                    "val_loss": epoch.val_loss,
                    "val_accuracy": epoch.val_accuracy,
                    "learning_rate": epoch.learning_rate,
                },
                step=epoch.number,
            )
            on_epoch(epoch)

        result = trainer.train(job, progress, experiment)
        experiment.log_metrics(
            {
                "final_accuracy": result.accuracy,
                "final_val_accuracy": result.val_accuracy,
                "f1_score": result.f1_score,
                "auc": result.auc,
                "training_seconds": result.training_seconds,
            }
        )
        return replace(result, experiment_run_id=experiment.id)
