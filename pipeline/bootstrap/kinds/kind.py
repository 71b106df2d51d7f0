"""What the loop needs to know of a model type; a type that lacks any of it is not complete."""

from typing import Protocol

from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.selection import Recipe
from pipeline.domain.verification import VerificationPolicy
from pipeline.ports.data import Augmenter, CorrectionSource, DataValidator, LabelReviewer, PhotoInspector
from pipeline.ports.events import Confirmations
from pipeline.ports.live import LiveMetrics
from pipeline.ports.training import Trainer
from pipeline.ports.verification import TrialServer


class ModelKind(Protocol):
    """One type's answers to what the steps ask, in the order of the loop; adapters are made when first asked for."""

    @property
    def confirmations(self) -> Confirmations:
        """What people said of its verdicts: a retraining is due by them."""

    @property
    def corrections(self) -> CorrectionSource:
        """Where its dataset is read from."""

    @property
    def recipe(self) -> Recipe:
        """Its labels, and how photos are chosen, split and multiplied."""

    @property
    def inspector(self) -> PhotoInspector:
        """Whether a photo can be learned from, and which others are the same."""

    @property
    def validator(self) -> DataValidator:
        """What its dataset has to be like."""

    @property
    def reviewer(self) -> LabelReviewer:
        """Which of its labels look wrong."""

    @property
    def augmenter(self) -> Augmenter:
        """What its training images are made with."""

    @property
    def trainer(self) -> Trainer:
        """What learns."""

    @property
    def trials(self) -> TrialServer:
        """How a candidate is served to be measured, as it would be live."""

    @property
    def verification(self) -> VerificationPolicy:
        """What may go live."""

    @property
    def metrics(self) -> LiveMetrics:
        """How well a version does, by what people confirm."""

    @property
    def live(self) -> LiveAccuracyPolicy:
        """When people are told, and when it is taken down."""
