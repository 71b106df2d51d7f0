"""Bundles of a retraining from its start to a registered version; adapters that nothing else needs."""

from dataclasses import replace
from functools import cached_property

from pipeline.bootstrap.kinds.kind import ModelKind
from pipeline.bootstrap.wiring import Wiring
from pipeline.ports.bundles import Records, Registration, Scheduling, Training, Verification
from pipeline.ports.verification import Checks


class ModelWiring:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    def scheduling_of(self, kind: ModelKind) -> Scheduling:
        """With the confirmations that make its retraining due, and those that make it urgent."""
        return replace(self.scheduling, confirmations=kind.confirmations, metrics=kind.metrics)

    @property
    def scheduling(self) -> Scheduling:
        w = self._w
        return Scheduling(
            confirmations=w.confirmations,
            metrics=w.metrics,
            decisions=w.decisions,
            runs=w.retraining_runs,
            versions=w.versions,
            blessings=w.blessings,
            transitions=w.transitions,
            outbox=w.outbox,
            publisher=w.event_publisher,
            clock=w.clock,
            policy=w.settings.retraining,
        )

    @property
    def records(self) -> Records:
        w = self._w
        return Records(w.training_runs, w.datasets, w.versions, w.transitions, w.objects, w.dataset_prefix)

    def training(self, kind: ModelKind) -> Training:
        w = self._w
        return Training(
            trainer=kind.trainer,
            experiments=w.experiments,
            runs=w.training_runs,
            datasets=w.datasets,
            erasures=w.erasures,
            objects=w.objects,
            outbox=w.outbox,
            clock=w.clock,
            labels=kind.recipe.labels,
            model_prefix=w.model_prefix,
            reasons=kind.recipe.selection.reasons,
        )

    def verification(self, kind: ModelKind) -> Verification:
        w = self._w
        return Verification(
            photos=w.photos,
            erasures=w.erasures,
            trials=kind.trials,
            checks=self._checks,
            blessings=w.blessings,
            objects=w.objects,
            printer=w.printer,
            experiments=w.experiments,
            clock=w.clock,
            labels=kind.recipe.labels,
            policy=kind.verification,
            load_test=w.settings.load_test,
            when_inconclusive=w.settings.inconclusive,
            code=w.code_tags,
        )

    @property
    def registration(self) -> Registration:
        w = self._w
        return Registration(w.versions, w.transitions, w.training_runs, w.blessings, w.registry, w.objects, w.code_tags)

    @cached_property
    def _checks(self) -> Checks:
        from pipeline.adapters.check_table import CheckTable

        return CheckTable(self._w.database)
