"""Train with at most three attempts, each adjusted to what went wrong before (specification, messages 18-19, §5)."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Dataset, Split
from pipeline.domain.errors import GiveUp, TrainingFailed, TrainingNeedsPerson, TryAgain
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import TrainingFailedEvent
from pipeline.domain.training import Attempt, Epoch, Hyperparameters, TrainingResult, adjust, next_attempt
from pipeline.ports.bundles import Training
from pipeline.ports.training import Experiment, Trainer, TrainingJob
from pipeline.steps.training_data import TrainingData

log = logging.getLogger(__name__)

OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True)
class TrainingRequest:
    """What is asked for; `fresh` forgets earlier attempts and checkpoints of the run.

    `hyperparameters` are those that a run begins with unless somebody `asked` for others by name; one that began goes
    on with its own.
    """

    run_id: str
    dataset_id: str
    hyperparameters: Hyperparameters
    fresh: bool = False
    asked: Mapping[str, Any] = field(default_factory=dict)

    def as_begun(self, tried: Sequence[Attempt]) -> "TrainingRequest":
        """Raises `GiveUp` where a run is asked for something else than it began with."""
        if not tried:
            return replace(self, hyperparameters=replace(self.hyperparameters, **self.asked))
        began = tried[0].hyperparameters
        both = [(name, getattr(began, name), now) for name, now in self.asked.items()]
        if changed := [f"{name} {before} → {now}" for name, before, now in both if before != now]:
            raise GiveUp(
                f"run {self.run_id} began with other hyperparameters ({', '.join(changed)}): train with --fresh to "
                "start anew, or under another run id"
            )
        return replace(self, hyperparameters=began)


def train(training: Training, request: TrainingRequest, on_epoch: OnEpoch) -> TrainingResult:
    """The result; a run that has one already is not trained again, one that was interrupted goes on.

    Raises `TrainingNeedsPerson` after the last attempt, with `TrainingFailedEvent` in the outbox, `RunBusy` while
    another process trains the same run, `DatasetRefused` for a dataset that is not what was frozen, and `PhotosErased`
    when a photo of it was erased since an attempt began or is just being erased.
    """
    run_id, runs = request.run_id, training.runs
    with runs.exclusive(run_id):
        if (earlier := runs.result(run_id)) is not None:
            if request.fresh:
                raise GiveUp(f"run {run_id} has a trained model: start anew under another run id")
            if earlier.dataset_id != request.dataset_id:
                raise GiveUp(f"run {run_id} has a model of {earlier.dataset_id}: name another one otherwise")
            log.info("run %s was trained before: nothing to do", run_id)
            return earlier
        dataset = training.datasets.get(request.dataset_id)
        if request.fresh:
            training.experiments.set_aside(ModelType(dataset.model_type), run_id)
            runs.forget(run_id)
        tried = list(runs.attempts(run_id))
        result = _try(request.as_begun(tried), dataset, tried, on_epoch, training)
        if result is None:
            raise _give_up(run_id, dataset, tried, training)
        runs.succeed(result)
        return result


def _try(
    request: TrainingRequest, dataset: Dataset, tried: list[Attempt], on_epoch: OnEpoch, training: Training
) -> TrainingResult | None:
    """Attempt after attempt, each kept in `tried`; None when the last one failed."""
    data = TrainingData.of(dataset, training)
    job = _job(request, data, training)
    while (attempt := next_attempt(request.hyperparameters, tried)) is not None:
        training.runs.record(request.run_id, dataset.id, attempt)
        job = replace(
            job,
            hyperparameters=attempt.hyperparameters,
            checkpoint_uri=ArtifactFolder(job.artifact_uri).checkpoint(attempt.number),
        )
        ended, result = _attempt(job, attempt, data, on_epoch, training)
        training.runs.record(request.run_id, dataset.id, ended)
        if result is not None:
            return result
        tried[attempt.number - 1 :] = [ended]
    return None


def _job(request: TrainingRequest, data: TrainingData, training: Training) -> TrainingJob:
    dataset, manifest = data.dataset, data.manifest
    return TrainingJob(
        request.run_id,
        dataset,
        training.labels,
        request.hyperparameters,
        checkpoint_uri="",
        artifact_uri=ArtifactFolder.of(training.model_prefix, dataset.model_type, request.run_id).uri,
        demand_unseen=data.demand_unseen,
        forget_erased=data.forget_erased,
        fresh=request.fresh,
        reasons=training.reasons.known(manifest.of(Split.TRAIN)),
    )


def _give_up(run_id: str, dataset: Dataset, tried: Sequence[Attempt], training: Training) -> TrainingNeedsPerson:
    link = _link(training, ModelType(dataset.model_type), run_id)
    reasons = tuple(f"attempt {a.number}: {a.cause}: {a.detail} ({a.change})" for a in tried)
    failed = TrainingFailedEvent(
        id=f"training-failed:{run_id}",
        run_id=run_id,
        model_type=dataset.model_type,
        attempts=reasons,
        link=link,
        failed_at=training.clock.now(),
    )
    training.outbox.add(failed.outgoing())
    return TrainingNeedsPerson(f"training needs a person, see {link}; " + "; ".join(reasons))


def _link(training: Training, model_type: ModelType, run_id: str) -> str:
    """While the tracker is away people still have to hear why the training failed."""
    try:
        return training.experiments.link(model_type, run_id)
    except (GiveUp, TryAgain) as error:
        return f"the experiment tracker ({error})"


def _attempt(
    job: TrainingJob, attempt: Attempt, data: TrainingData, on_epoch: OnEpoch, training: Training
) -> tuple[Attempt, TrainingResult | None]:
    """How the attempt ended, and its result when it succeeded; pictures of `data` are attached to it in the tracker."""
    model_type = ModelType(job.dataset.model_type)
    try:
        with (
            training.experiments.attempt(model_type, job.run_id, attempt.number) as experiment,
            _failure_noted(attempt, experiment),
            closing(data.show(experiment)) as informing,
        ):
            result = _trained(job, training.trainer, informing, on_epoch)
    except TrainingFailed as failure:
        failed = _failed(attempt, failure)
        log.warning("attempt %d failed: %s; next: %s", attempt.number, failure, failed.change)
        return failed, None
    return replace(attempt, cause=""), result


@contextmanager
def _failure_noted(attempt: Attempt, experiment: Experiment) -> Iterator[None]:
    """Written while the experiment is still open: why the attempt failed, and what the next one changes."""
    try:
        yield
    except TrainingFailed as failure:
        failed = _failed(attempt, failure)
        try:
            experiment.note({"cause": failed.cause, "detail": failed.detail, "change": failed.change})
        except (GiveUp, TryAgain) as error:
            log.warning("the tracker does not know why the attempt failed: %s", error)
        raise


def _failed(attempt: Attempt, failure: TrainingFailed) -> Attempt:
    change = adjust(attempt.hyperparameters, failure.cause, attempt.number).change
    return replace(attempt, cause=failure.cause, detail=failure.detail, change=change)


def _trained(job: TrainingJob, trainer: Trainer, experiment: Experiment, on_epoch: OnEpoch) -> TrainingResult:
    experiment.log_parameters({name: str(value) for name, value in asdict(job.hyperparameters).items()})
    experiment.log_parameters({"dataset_id": job.dataset.id, "train_count": str(job.dataset.train_count)})

    def progress(epoch: Epoch) -> None:
        experiment.log_metrics(_figures(epoch), step=epoch.number)
        on_epoch(epoch)

    result = trainer.train(job, progress, experiment)
    experiment.log_metrics(_final(result))
    return replace(result, experiment_run_id=experiment.id)


def _figures(epoch: Epoch) -> dict[str, float]:
    prefix = "" if epoch.phase == "head" else f"{epoch.phase}."
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "eta_seconds", "memory_mb")
    return {f"{prefix}{name}": getattr(epoch, name) for name in names}


def _final(result: TrainingResult) -> dict[str, float]:
    figures = {
        "final_train_accuracy": result.accuracy,
        "final_val_accuracy": result.val_accuracy,
        "f1_score": result.f1_score,
        "auc": result.auc,
        "training_seconds": result.training_seconds,
    }
    more = {"ece": result.ece, "peak_memory_mb": result.peak_memory_mb}
    return figures | {name: value for name, value in more.items() if value is not None}
