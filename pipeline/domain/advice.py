"""What may help a model that verification refused: a table of failed conditions (specification, messages 27-30)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pipeline.domain.backbones import smaller_than
from pipeline.domain.checks import Check, CheckName, failed_floors, label_of
from pipeline.domain.training import MAX_EPOCHS, Adjustment, Hyperparameters, TrainingResult

_UNDERFIT_ACCURACY = 0.90
_OVERFIT_GAP = 0.08
_LABEL_SMOOTHING = 0.1
_UNKNOWN = "could not be measured, no training can help: mend what the reason names, then begin another run"

_Rule = Callable[[TrainingResult, Hyperparameters, Sequence[str]], Adjustment]


def advise(result: TrainingResult, checks: Iterable[Check]) -> Adjustment:
    """What to do about a model that verification refused; names the failed checks, the most telling first.

    With hyperparameters that were not tried for this result, another training on the same photos may help against all
    of them; without, at least one needs something else.
    """
    failed = failed_floors(checks)
    unknown = [check.name for check in failed if not check.measured]
    h, sentences, helps = result.hyperparameters, [], True
    if unknown:
        sentences.append(f"{', '.join(unknown)}: {_UNKNOWN}")
        helps = False
    for conditions, rule in _TABLE:
        if about := [check.name for check in failed if check.measured and _kind(check.name) in conditions]:
            found = rule(result, h, about)
            sentences.append(f"{', '.join(about)}: {found.change}")
            h, helps = found.hyperparameters or h, helps and found.hyperparameters is not None
    if not sentences:
        return Adjustment(None, "no condition failed that a training could mend: a person has to look at the reasons")
    return Adjustment(h if helps else None, "; ".join(sentences))


def _kind(name: str) -> str:
    return CheckName.CLASS_ACCURACY if label_of(name) else name


def _does_not_load(result: TrainingResult, h: Hyperparameters, about: Sequence[str]) -> Adjustment:
    return Adjustment(None, "the model server does not take it: look at the export, no training can help")


def _learn(result: TrainingResult, h: Hyperparameters, about: Sequence[str]) -> Adjustment:
    more = min(h.epochs * 2, MAX_EPOCHS)
    if h.epochs <= result.epochs_completed and h.epochs < more:
        return Adjustment(replace(h, epochs=more), f"it was still learning, more epochs may help: {h.epochs} → {more}")
    if result.accuracy < _UNDERFIT_ACCURACY:
        lowered = h.learning_rate / 10
        return Adjustment(
            replace(h, learning_rate=lowered, epochs=more),
            f"it did not learn its own photos ({result.accuracy:.2f}), smaller steps may help: "
            f"learning rate {h.learning_rate:g} → {lowered:g}",
        )
    # A sweep has tried softer labels as well: they did worse.
    if result.accuracy - result.val_accuracy > _OVERFIT_GAP and not (h.label_smoothing or h.sweep):
        return Adjustment(
            replace(h, label_smoothing=_LABEL_SMOOTHING),
            f"it learned photos by heart ({result.accuracy:.2f} against {result.val_accuracy:.2f}), softer labels may "
            f"help: label smoothing 0 → {_LABEL_SMOOTHING:g}",
        )
    weak = sorted(label for label in map(label_of, about) if label)
    if weak:
        return Adjustment(None, f"more confirmed photos of {', '.join(weak)} are needed, training again cannot help")
    return Adjustment(None, "more corrections are needed, training again on the same ones cannot help")


def _like_the_slice(result: TrainingResult, h: Hyperparameters, about: Sequence[str]) -> Adjustment:
    return Adjustment(None, "more confirmed photos like those that fell are needed, training again cannot help")


def _answers_otherwise(result: TrainingResult, h: Hyperparameters, about: Sequence[str]) -> Adjustment:
    if result.val_accuracy < _UNDERFIT_ACCURACY:
        # Rounding turns verdicts that hang on a hair, and this model has many.
        unsure = "verdicts of an unsure model turn with rounding"
        if h == result.hyperparameters:
            return Adjustment(None, f"{unsure}: more corrections are needed to make it surer")
        return Adjustment(h, f"{unsure}: what makes it surer helps here too")
    return Adjustment(None, "the served model is not the trained one: look at the export, no training can help")


def _lighten(needed: str) -> _Rule:
    def rule(result: TrainingResult, h: Hyperparameters, about: Sequence[str]) -> Adjustment:
        measured = result.hyperparameters.backbone
        if (smaller := smaller_than(measured)) is None:
            return Adjustment(None, f"{measured} is the smallest backbone already: the server needs {needed}")
        return Adjustment(replace(h, backbone=smaller), f"a smaller backbone may help: {measured} → {smaller}")

    return rule


# Most telling first: what does not load has no other figures; a model that learned badly is mended before its speed.
_TABLE: tuple[tuple[tuple[CheckName, ...], _Rule], ...] = (
    ((CheckName.CANDIDATE_LOADS,), _does_not_load),
    (
        (
            CheckName.VALIDATION_ACCURACY,
            CheckName.BETTER_THAN_CHAMPION,
            CheckName.HOLDOUT_ACCURACY,
            CheckName.CLASS_ACCURACY,
        ),
        _learn,
    ),
    ((CheckName.SLICES,), _like_the_slice),
    ((CheckName.SERVING_AGREES,), _answers_otherwise),
    ((CheckName.MEMORY,), _lighten("more memory")),
    (
        (CheckName.MEAN_LATENCY, CheckName.THROUGHPUT, CheckName.GPU_UTILIZATION),
        _lighten("a faster machine, or one that does nothing else while it measures"),
    ),
)
