"""Composition root: one method per step, each keyed so that it may run twice; the only door for DAGs and plugins."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from typing import Any

from pipeline.bootstrap import answers
from pipeline.bootstrap.always_on import ALWAYS_ON as ALWAYS_ON
from pipeline.bootstrap.data_wiring import DataWiring
from pipeline.bootstrap.interruption import end_on_sigterm as end_on_sigterm
from pipeline.bootstrap.kinds import OF_HELPER_TASKS, complete, served
from pipeline.bootstrap.kinds import model_types as model_types
from pipeline.bootstrap.kinds import refusal as refusal
from pipeline.bootstrap.kinds import served_types as served_types
from pipeline.bootstrap.kinds.kind import ModelKind
from pipeline.bootstrap.peoples_words import PeoplesWords
from pipeline.bootstrap.runs import RunSteps
from pipeline.bootstrap.settings_at_start import cheap_hours as cheap_hours
from pipeline.bootstrap.traced import traced
from pipeline.bootstrap.watches import watched_types as watched_types
from pipeline.domain.backbones import BACKBONES as BACKBONES
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.errors import CanaryEnded as CanaryEnded
from pipeline.domain.errors import GiveUp as GiveUp
from pipeline.domain.errors import Refused as Refused
from pipeline.domain.errors import RegistryBehind as RegistryBehind
from pipeline.domain.errors import RunEnded as RunEnded
from pipeline.domain.errors import ServiceRefused as ServiceRefused
from pipeline.domain.errors import StaleTransition as StaleTransition
from pipeline.domain.errors import TrainingInterrupted as TrainingInterrupted
from pipeline.domain.errors import TryAgain as TryAgain
from pipeline.domain.errors import UnknownVersion as UnknownVersion
from pipeline.domain.intake import AT_ONCE
from pipeline.domain.learned import Learned
from pipeline.domain.ledger import RollbackRequest as RollbackRequest
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import LATE_RUN as LATE_RUN
from pipeline.domain.retraining import LONGEST_RUN as LONGEST_RUN
from pipeline.domain.retraining import Asker as Asker
from pipeline.domain.retraining import RunOutcome as RunOutcome
from pipeline.domain.training import MAX_EPOCHS as MAX_EPOCHS
from pipeline.domain.training import Epoch, TrainingResult
from pipeline.domain.transitions import By
from pipeline.domain.troubles import Fault as Fault
from pipeline.domain.troubles import Place as Place
from pipeline.domain.troubles import Question as Question
from pipeline.domain.worth import worth
from pipeline.ports.bundles import Scheduling
from pipeline.settings.elsewhere import Outside as Outside
from pipeline.steps.accumulate import accumulate, waiting
from pipeline.steps.ask_of_earlier import ask_of_earlier
from pipeline.steps.assemble import assemble
from pipeline.steps.augment import augment, slices
from pipeline.steps.blame_memory import blame_memory
from pipeline.steps.bring_photos import bring_photos
from pipeline.steps.collect import collect
from pipeline.steps.contest import contest_of
from pipeline.steps.decide import decide
from pipeline.steps.erase_photo import erase_photo
from pipeline.steps.learned_by_champion import learned_by_champion
from pipeline.steps.look_up import manifest_of, trained
from pipeline.steps.measure_staleness import measure_staleness
from pipeline.steps.prove import prove
from pipeline.steps.register import register
from pipeline.steps.report_training import report_training
from pipeline.steps.report_verdict import report_verdict
from pipeline.steps.retry import retry
from pipeline.steps.reuse_dataset import reuse_dataset
from pipeline.steps.trace_model import trace_model
from pipeline.steps.trace_task import trace_task
from pipeline.steps.train import TrainingRequest, train
from pipeline.steps.validate import validate
from pipeline.steps.verify_accuracy import verify_accuracy
from pipeline.steps.verify_performance import verify_performance

log = logging.getLogger(__name__)

MODEL_TYPES = model_types()
WATCHED_TYPES = watched_types()


@traced
class Pipeline(PeoplesWords, RunSteps):
    """The retraining application, wired. `run_id` names one retraining and keys everything it writes."""

    @cached_property
    def _data(self) -> DataWiring:
        return DataWiring(self._w)

    # Events

    def waiting_events(self) -> int:
        """How many messages wait, without touching them. Raises `ServiceUnavailable` even while only the database is
        away.
        """
        return waiting(self._data.intake)

    def worth_an_intake(self, waiting: int, waited_seconds: float) -> bool:
        """Whether so many messages, seen waiting for so long, start a run of the intake."""
        return self._w.settings.intake.worth_a_run(waiting, waited_seconds)

    def accumulate(self, limit: int = 100_000, *, stay: bool = False) -> dict[str, Any]:
        """Store waiting confirmations; counts of what came. `stay` waits for more while they come."""
        counts = accumulate(self._data.intake, limit=limit, stay=self._w.settings.intake.stay if stay else AT_ONCE)
        log.info("intake: %s", counts)
        return asdict(counts)

    # When to retrain

    def _scheduled(self, model_type: str) -> tuple[Scheduling, ModelType]:
        return self._models.scheduling_of(self._kinds.of(model_type)), complete(model_type)

    # Data

    def collect(self, run_id: str, model_type: str, dataset_id: str | None = None) -> str:
        """Freeze a selection; its dataset id. `dataset_id` names a finished dataset to use again instead."""
        sources = self._data.sources_after_first(self._kinds.of(model_type), complete(model_type))
        if dataset_id:
            return reuse_dataset(sources, dataset_id, complete(model_type))
        learned = learned_by_champion(self._models.records, complete(model_type))
        return collect(sources, run_id, complete(model_type), learned=learned)

    def collect_first(self, run_id: str, model_type: str, place: str, on_photo: Callable[[int, int], None]) -> str:
        """Freeze a selection of all photos that a person labelled; its dataset id. `place` is a folder of this machine
        or an `s3://…` prefix; `on_photo` hears how many of how many are copied.
        """
        kind, of_type = self._kinds.of(model_type), complete(model_type)
        tasks = bring_photos(self._data.first_photos(place), run_id, of_type, on_photo)
        return collect(self._data.sources_of(kind, tasks), run_id, of_type, learned=Learned())

    def validate(self, dataset_id: str) -> dict[str, Any]:
        """Check the selection; addresses a browser opens, and what was found. Raises `DatasetRefused`."""
        done = validate(self._data.checks(self._kind_of(dataset_id)), self._dataset_uri(dataset_id))
        for warning in done.found.warnings:
            log.warning("%s", warning)
        answer = answers.of_validated(done, self._w.objects)
        log.info("report: %s", done.report_uri)
        return answer

    def data_report(self, dataset_id: str) -> str:
        """Where a browser finds the report of `validate`, for some days; made where it is shown, and kept in no log."""
        return self._w.objects.link(DatasetFolder(self._dataset_uri(dataset_id)).report)

    def dataset_link(self, dataset_id: str) -> str:
        """As `data_report`: the photos that were chosen."""
        return self._w.objects.link(DatasetFolder(self._dataset_uri(dataset_id)).manifest)

    def experiment_link(self, run_id: str, model_type: str) -> str:
        """Where a person finds the retraining and its attempts in the experiment tracker."""
        return self._w.experiments.link(complete(model_type), run_id)

    def slices(self, dataset_id: str) -> list[int]:
        """Indexes of the slices to augment."""
        return list(range(len(slices(manifest_of(self._models.records, dataset_id)))))

    def augment_slice(self, dataset_id: str, index: int) -> str:
        """Write one shard; its URI."""
        return augment(self._data.images(self._kind_of(dataset_id)), self._dataset_uri(dataset_id), index)

    def assemble(self, run_id: str, dataset_id: str) -> dict[str, Any]:
        """Finish the dataset; where it lies and its counts."""
        images, uri = self._data.images(self._kind_of(dataset_id)), self._dataset_uri(dataset_id)
        return {**answers.of_dataset(assemble(images, run_id, uri)), "uri": uri}

    def lineage_of_task(self, task_id: str) -> list[dict[str, Any]]:
        """Datasets and models that the task's photo shaped, oldest first."""
        return [answers.of_use(use) for use in trace_task(self._models.records, task_id)]

    def lineage_of_model(self, model_type: str, version: str) -> Iterator[dict[str, Any]]:
        """The version, then every photo it learned from or was judged by."""
        origin = trace_model(self._models.records, complete(model_type), version)
        yield answers.of_origin(origin)
        yield from map(answers.of_appearance, origin.photos)

    def proof(self, model_type: str, version: str) -> bytes:
        """A ZIP of all that is known of a version. Raises `UnknownVersion`."""
        return prove(self._live.proving, served(model_type), version)

    def worth(self, model_type: str) -> list[dict[str, Any]]:
        """Errors avoided and seconds of review saved by each version that served, with intervals of 95 %."""
        of_type = complete(model_type)
        with self._live.one_moment() as o:
            return [asdict(one) for one in worth(o.transitions.ledger(of_type), o.sightings.reviews())]

    def erase_photo(self, task_id: str, *, actor: str, reason: str) -> dict[str, Any]:
        """Forget a task's photo everywhere; what was touched, and what is left to people."""
        forgetting = self._data.forgetting(self._kinds.of(OF_HELPER_TASKS))
        found = erase_photo(forgetting, task_id, By(actor, reason, f"erase-{task_id}"))
        found.left += self._left_elsewhere([task_id, *found.twins, *found.addresses])
        return asdict(found)

    # Training

    def train(
        self, run_id: str, dataset_id: str, on_epoch: Callable[[Epoch], None], *, fresh: bool = False, **overrides: Any
    ) -> TrainingResult:
        """Train the run's model; `overrides` replace hyperparameters of the settings, `fresh` forgets earlier tries. A
        run that began goes on with its own, whatever the settings say by now.
        """
        asked = {name: value for name, value in overrides.items() if value is not None}
        request = TrainingRequest(run_id, dataset_id, self._w.settings.hyperparameters, fresh, asked)
        return train(self._models.training(self._kind_of(dataset_id)), request, on_epoch)

    def blame_memory(self, run_id: str, dataset_id: str, detail: str) -> str | None:
        """Record that the kernel killed this run's training because of memory; what the next attempt changes, None when
        none ran.
        """
        ended = blame_memory(run_id, dataset_id, detail, runs=self._w.training_runs)
        return ended.change if ended else None

    def training_report(self, model_type: str, result: TrainingResult) -> dict[str, Any]:
        """The specification's result (message 19); `modelVersion` is the number it gets when it is accepted next."""
        return report_training(self._models.registration, complete(model_type), result)

    # Verification

    def verify_accuracy(self, run_id: str) -> list[dict[str, Any]]:
        """Accuracy checks of the run's candidate beside the champion on the same photos; how earlier versions do is
        kept as well, and what the candidate answers to earlier corrections.
        """
        contest = contest_of(self._models.records, run_id)
        kind = self._kinds.of(contest.model_type)
        verification = self._models.verification(kind)
        checks = verify_accuracy(verification, contest)
        measure_staleness(verification, contest, self._w.settings.staleness)
        ask_of_earlier(verification, contest, self._data.sources_after_first(kind, contest.model_type))
        return [asdict(check) for check in checks]

    def verify_performance(self, run_id: str) -> list[dict[str, Any]]:
        """Performance checks of the run's candidate in a private server."""
        contest = contest_of(self._models.records, run_id)
        checks = verify_performance(self._models.verification(self._kinds.of(contest.model_type)), contest)
        return [asdict(check) for check in checks]

    def decide(self, run_id: str) -> dict[str, Any]:
        """The verdict, kept for ever, and where its report is."""
        result, dataset = trained(self._models.records, run_id)
        verification = self._models.verification(self._kinds.of(dataset.model_type))
        blessing = decide(verification, result, dataset)
        return answers.of_verdict(blessing, report_verdict(verification, blessing, result, dataset))

    @staticmethod
    def demand_acceptance(run_id: str, verdict: dict[str, Any]) -> dict[str, Any]:
        """The verdict that `decide` gave; raises `RunEnded` with its reasons when the model may not go live."""
        reasons, report = verdict["reasons"], verdict["report_url"] or verdict["report_uri"]
        if verdict["held"]:
            how = f"`python -m pipeline approve --run-id {run_id} --actor … --reason …`, then clear this task"
            raise RunEnded("the model waits for a person", reasons, f"to let it go on, {how}", report)
        if not verdict["accepted"]:
            raise RunEnded("the model was refused", reasons, verdict["advice"] or "nothing is advised", report)
        return verdict

    def register(self, run_id: str) -> str:
        """Number the accepted candidate; its version."""
        result, dataset = trained(self._models.records, run_id)
        return register(self._models.registration, complete(dataset.model_type), result).version

    def retry(self, run_id: str) -> dict[str, Any] | None:
        """The conf of another run with other hyperparameters; None when verification says that none may help."""
        return retry(run_id, blessings=self._w.blessings, runs=self._w.training_runs)

    def _kind_of(self, dataset_id: str) -> ModelKind:
        of = {known: model_type for known, model_type, _ in self._w.datasets.frozen()}
        if dataset_id not in of:
            raise GiveUp(f"no dataset {dataset_id[:40]!r} was collected: step collect says its id")
        return self._kinds.of(of[dataset_id])

    def _dataset_uri(self, dataset_id: str) -> str:
        return DatasetFolder.of(self._w.dataset_prefix, dataset_id).uri
