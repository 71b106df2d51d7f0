"""What the page shows of each type's live model: how well it does now, and how well it did before."""

from collections.abc import Mapping
from typing import Any, Protocol

from pipeline.bootstrap import dashboard_answers as answers
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingPolicy
from pipeline.ports.bundles import Overseeing
from pipeline.ports.events import Backlogs
from pipeline.settings import Settings


class Sight(Protocol):
    def said(self, o: Overseeing) -> Backlogs:
        """What people confirmed."""

    def retraining(self, settings: Settings) -> RetrainingPolicy:
        """When a model is retrained."""

    def rates(self, o: Overseeing, settings: Settings) -> dict[str, Any] | None:
        """Figures shown instead of live accuracy; None for a type that has live accuracy."""

    def looks(self, o: Overseeing, model_type: ModelType, period: Period, most: int) -> list[dict[str, Any]]:
        """The monitor's looks, oldest first."""


class OfVerdicts:
    def said(self, o: Overseeing) -> Backlogs:
        return o.confirmations

    def retraining(self, settings: Settings) -> RetrainingPolicy:
        return settings.retraining

    def rates(self, o: Overseeing, settings: Settings) -> None:
        return None

    def looks(self, o: Overseeing, model_type: ModelType, period: Period, most: int) -> list[dict[str, Any]]:
        return answers.of_looks(o.sightings.within(model_type, period, most=most))


class OfFaces:
    def said(self, o: Overseeing) -> Backlogs:
        return o.face_confirmations

    def retraining(self, settings: Settings) -> RetrainingPolicy:
        return settings.face_retraining.rules(settings.retraining.cheap)

    def rates(self, o: Overseeing, settings: Settings) -> dict[str, Any]:
        return answers.of_face_rates(o.face_looks.last(), settings.face_watch)

    def looks(self, o: Overseeing, model_type: ModelType, period: Period, most: int) -> list[dict[str, Any]]:
        return [answers.of_face_look(look) for look in o.face_looks.within(period, most=most)]


_OWN: Mapping[ModelType, Sight] = {ModelType.FACE: OfFaces()}


def sight_of(model_type: ModelType) -> Sight:
    return _OWN.get(model_type, OfVerdicts())
