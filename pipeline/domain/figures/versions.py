"""What training and verification found about one version."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.domain.blessing import Blessing
from pipeline.domain.checks import CheckName
from pipeline.domain.events import LABELS
from pipeline.domain.facts import Fact, known, label_of
from pipeline.domain.models import ModelVersion
from pipeline.domain.training import TrainingResult

_SPLITS = {"validation": CheckName.VALIDATION_ACCURACY, "test": CheckName.HOLDOUT_ACCURACY}


@dataclass(frozen=True)
class Measured:
    """A version with what training and verification said about it; either may be gone."""

    version: ModelVersion
    result: TrainingResult | None
    blessing: Blessing | None


def of_version(one: Measured) -> Iterator[Fact]:
    version = one.version
    labels = (label_of(version.model_type), version.version)
    yield Fact("model_info", (*labels, version.status, version.backbone, version.dataset_id), 1)
    if one.blessing is not None:
        checks = {check.name: check for check in one.blessing.checks}
        for split, name in _SPLITS.items():
            if name in checks:
                yield from known("model_accuracy_ratio", (*labels, split), checks[name].value)
        for check in checks.values():
            yield from known("model_check_value", (*labels, check.name), check.value)
            yield from known("model_check_bar", (*labels, check.name), check.bar)
    if one.result is not None:
        yield from _of_training(labels, one.result)


def _of_training(labels: tuple[str, str], result: TrainingResult) -> Iterator[Fact]:
    yield from known("model_accuracy_ratio", (*labels, "train"), result.accuracy)
    yield from known("model_loss", (*labels, "train"), result.loss)
    yield from known("model_loss", (*labels, "validation"), result.val_loss)
    yield from known("model_f1_ratio", labels, result.f1_score)
    yield from known("model_auc_ratio", labels, result.auc)
    for of_class in result.per_class:
        yield from known("model_class_f1_ratio", (*labels, of_class.label), of_class.f1_score)
    for actual, row in zip(LABELS, result.confusion, strict=False):
        for predicted, photos in zip(LABELS, row, strict=False):
            yield Fact("model_confusion_photos", (*labels, actual, predicted), photos)
