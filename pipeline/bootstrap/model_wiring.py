"""Bundles of a retraining from its start to a registered version; adapters that nothing else needs."""

from functools import cached_property

from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.events import LABELS
from pipeline.ports.bundles import Records, Registration, Scheduling, Training, Verification
from pipeline.ports.events import Decisions
from pipeline.ports.training import Trainer
from pipeline.ports.verification import Checks, TrialServer


class ModelWiring:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @property
    def scheduling(self) -> Scheduling:
        w = self._w
        return Scheduling(
            confirmations=w.confirmations,
            decisions=self._decisions,
            runs=w.retraining_runs,
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

    @property
    def training(self) -> Training:
        w = self._w
        return Training(
            trainer=self._trainer,
            experiments=w.experiments,
            runs=w.training_runs,
            datasets=w.datasets,
            objects=w.objects,
            outbox=w.outbox,
            clock=w.clock,
            labels=LABELS,
            model_prefix=w.model_prefix,
        )

    @property
    def verification(self) -> Verification:
        w = self._w
        return Verification(
            photos=w.photos,
            trials=self._trials,
            checks=self._checks,
            blessings=w.blessings,
            objects=w.objects,
            printer=w.printer,
            experiments=w.experiments,
            clock=w.clock,
            labels=LABELS,
            policy=w.settings.verification,
            load_test=w.settings.load_test,
            when_inconclusive=w.settings.inconclusive,
            code=w.code_tags,
        )

    @property
    def registration(self) -> Registration:
        w = self._w
        return Registration(w.versions, w.transitions, w.training_runs, w.blessings, w.registry, w.objects, w.code_tags)

    @cached_property
    def _decisions(self) -> Decisions:
        from pipeline.adapters.decision_table import DecisionTable

        return DecisionTable(self._w.database)

    @cached_property
    def _trainer(self) -> Trainer:
        from pipeline.adapters.patient_objects import PatientObjectStore
        from pipeline.learning.devices import demand_gpus
        from pipeline.learning.trainer import KerasTrainer

        s = self._w.settings
        # Before an attempt is begun: it would be none of the hyperparameters' fault.
        demand_gpus(s.demanded_gpus)
        return KerasTrainer(
            PatientObjectStore(self._w.objects),
            weights_uri=s.weights_uri,
            memory_mb=s.training_memory_mb,
            formats=s.export_formats,
            signing_key=s.signing_key,
        )

    @cached_property
    def _checks(self) -> Checks:
        from pipeline.adapters.check_table import CheckTable

        return CheckTable(self._w.database)

    @cached_property
    def _trials(self) -> TrialServer:
        from pipeline.adapters.trial_server import FaceserveTrialServer

        w = self._w
        return FaceserveTrialServer(s3_endpoint=w.settings.s3_endpoint, s3_variables=w.s3_keys.as_variables())
