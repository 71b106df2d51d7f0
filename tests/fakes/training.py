"""Trainer, experiments, training runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.errors import RunBusy, TrainingFailed
from pipeline.domain.models import ModelType
from pipeline.domain.training import Attempt, Epoch, TrainingResult
from pipeline.ports.training import Experiment, TrainingJob
from tests.builders import NOW, a_training_result


@dataclass
class FakeTrainer:
    """Fails with each of `failures` in turn, then succeeds."""

    failures: Sequence[str] = ()
    jobs: list[TrainingJob] = field(default_factory=list)

    def train(self, job: TrainingJob, on_epoch: Callable[[Epoch], None], experiment: Experiment) -> TrainingResult:
        self.jobs.append(job)
        if len(self.jobs) <= len(self.failures):
            cause = self.failures[len(self.jobs) - 1]
            raise TrainingFailed(cause, f"made to fail with {cause}")
        on_epoch(Epoch(1, 1, 0.3, 0.9, 0.4, 0.88, job.hyperparameters.learning_rate, 0.0))
        return a_training_result(job.run_id, dataset_id=job.dataset.id, artifact_uri=job.artifact_uri)


@dataclass
class FakeExperiment:
    id: str
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    status: str = "running"
    begun_at: datetime = NOW

    def log_parameters(self, parameters: dict[str, str]) -> None:
        self.parameters |= parameters

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.metrics |= metrics

    def log_file(self, name: str, body: bytes) -> None:
        self.files[name] = body

    def note(self, notes: dict[str, str]) -> None:
        self.notes |= notes


@dataclass
class FakeExperiments:
    opened: dict[str, FakeExperiment] = field(default_factory=dict)

    @contextmanager
    def attempt(self, model_type: ModelType, run_id: str, number: int) -> Iterator[Experiment]:
        experiment = self.opened.setdefault(f"{run_id}/{number}", FakeExperiment(f"{run_id}/{number}"))
        try:
            yield experiment
        except BaseException:
            experiment.status = "failed"
            raise
        experiment.status = "finished"

    def set_aside(self, model_type: ModelType, run_id: str) -> None:
        self.opened = {
            f"{name}, set aside" if name.startswith(f"{run_id}/") else name: experiment
            for name, experiment in self.opened.items()
        }

    def begun_before(self, model_type: ModelType, moment: datetime) -> Sequence[str]:
        later = {self._run(key) for key, e in self.opened.items() if e.begun_at >= moment}
        return sorted({self._run(key) for key in self.opened} - later)

    def delete(self, model_type: ModelType, run_id: str) -> int:
        shown = [key for key in self.opened if self._run(key) == run_id]
        for key in shown:
            del self.opened[key]
        return len(shown)

    @staticmethod
    def _run(key: str) -> str:
        return key.partition("/")[0]

    def link(self, model_type: ModelType, run_id: str) -> str:
        return f"http://experiments/{run_id}"

    def replace_file(self, model_type: ModelType, run_id: str, name: str, body: bytes) -> Sequence[str]:
        changed = [key for key, e in self.opened.items() if key.startswith(f"{run_id}/") and name in e.files]
        for key in changed:
            self.opened[key].files[name] = body
        return changed

    def attach(self, experiment_run_id: str, files: Mapping[str, bytes], metrics: Mapping[str, float]) -> str:
        experiment = self.opened.setdefault(experiment_run_id, FakeExperiment(experiment_run_id))
        experiment.files |= files
        experiment.metrics |= metrics
        return f"http://mlflow/{experiment_run_id}/{next(iter(files))}"


@dataclass
class FakeTrainingRuns:
    attempted: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    results: dict[str, TrainingResult] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def exclusive(self, run_id: str) -> Iterator[None]:
        if run_id in self.at_work:
            raise RunBusy(f"run {run_id} is being trained by another process")
        self.at_work.add(run_id)
        try:
            yield
        finally:
            self.at_work.remove(run_id)

    def record(self, run_id: str, dataset_id: str, attempt: Attempt) -> None:
        self.attempted[run_id, attempt.number] = attempt
        self.datasets.setdefault(run_id, dataset_id)

    def attempts(self, run_id: str) -> Sequence[Attempt]:
        return [
            attempt for (run, _), attempt in sorted(self.attempted.items(), key=lambda item: item[0]) if run == run_id
        ]

    def on(self, dataset_id: str) -> Sequence[str]:
        tried = [*self.forgotten, *self.datasets.items()]
        return list(dict.fromkeys(run_id for run_id, used in tried if used == dataset_id))

    def forget(self, run_id: str) -> None:
        self.forgotten += [(run, dataset) for run, dataset in self.datasets.items() if run == run_id]
        self.datasets = {run: dataset for run, dataset in self.datasets.items() if run != run_id}
        self.attempted = {key: attempt for key, attempt in self.attempted.items() if key[0] != run_id}

    def succeed(self, result: TrainingResult) -> None:
        self.results.setdefault(result.run_id, result)
        self.datasets.setdefault(result.run_id, result.dataset_id)

    def result(self, run_id: str) -> TrainingResult | None:
        return self.results.get(run_id)
