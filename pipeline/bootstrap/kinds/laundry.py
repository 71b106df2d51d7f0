"""Laundry: a photo is good or defective, and a branch manager says so in the Helper service."""

from functools import cached_property

from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.events import LABELS
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.selection import Recipe
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.data import Augmenter, CorrectionSource, DataValidator, LabelReviewer, PhotoInspector
from pipeline.ports.events import Confirmations
from pipeline.ports.live import LiveMetrics
from pipeline.ports.training import Trainer
from pipeline.ports.verification import TrialServer


class Laundry:
    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    # Data

    @property
    def confirmations(self) -> Confirmations:
        return self._w.confirmations

    @cached_property
    def corrections(self) -> CorrectionSource:
        from pipeline.adapters.helper_db import HelperDatabase

        return HelperDatabase(self._w.settings.helper_dsn.get_secret_value())

    @property
    def recipe(self) -> Recipe:
        return Recipe(LABELS, self._w.settings.selection, self._w.settings.augmentation)

    @cached_property
    def inspector(self) -> PhotoInspector:
        from pipeline.learning.photos import PillowPhotoInspector

        return PillowPhotoInspector()

    @cached_property
    def validator(self) -> DataValidator:
        from pipeline.adapters.expectations import GreatExpectationsValidator

        return GreatExpectationsValidator()

    @cached_property
    def reviewer(self) -> LabelReviewer:
        from pipeline.learning.suspects import ConfidentLearningReviewer

        return ConfidentLearningReviewer()

    @cached_property
    def augmenter(self) -> Augmenter:
        from pipeline.learning.augmentation import AlbumentationsAugmenter

        return AlbumentationsAugmenter()

    # Learning

    @cached_property
    def trainer(self) -> Trainer:
        from pipeline.adapters.patient_objects import PatientObjectStore
        from pipeline.learning.devices import demand_gpus
        from pipeline.learning.trainer import KerasTrainer

        s = self._w.settings
        # Before an attempt begins: the hyperparameters would not be to blame.
        demand_gpus(s.demanded_gpus)
        return KerasTrainer(
            PatientObjectStore(self._w.objects),
            weights_uri=s.weights_uri,
            memory_mb=s.training_memory_mb,
            formats=s.export_formats,
            signing_key=s.signing_key,
        )

    # Verification

    @cached_property
    def trials(self) -> TrialServer:
        from pipeline.adapters.trial_server import FaceserveTrialServer

        w = self._w
        return FaceserveTrialServer(s3_endpoint=w.settings.s3_endpoint, s3_variables=w.s3_keys.as_variables())

    @property
    def verification(self) -> VerificationPolicy:
        return self._w.settings.verification

    # Live

    @property
    def metrics(self) -> LiveMetrics:
        return self._w.metrics

    @property
    def live(self) -> LiveAccuracyPolicy:
        return self._w.settings.live
