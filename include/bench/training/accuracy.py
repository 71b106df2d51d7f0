"""As right as a plain fit: both learn the same photos with the same settings, and answer photos neither has seen."""

import numpy as np

from include.bench.backbones import BACKBONES
from include.bench.measurement import Say
from include.bench.training import ours, plain
from include.bench.training.dataset import photos
from pipeline.domain.training import Hyperparameters

_TRAIN, _VALIDATION, _UNSEEN = 200, 60, 400
_EPOCHS, _BATCH, _SEEDS = 8, 32, range(5)


def accuracy(say: Say) -> tuple[dict[str, float], str]:
    say(f"drawing {_TRAIN + _VALIDATION + _UNSEEN} photos")
    train, validation, unseen = photos(_TRAIN, 1), photos(_VALIDATION, 2), photos(_UNSEEN, 3)
    backbone = BACKBONES["EfficientNetLite0"]()
    backbone.trainable = False
    sides = ours.extracted(backbone, train=train, validation=validation, unseen=unseen)
    shares: list[tuple[float, float]] = []
    for seed in _SEEDS:
        parameters = Hyperparameters(epochs=_EPOCHS, batch_size=_BATCH, seed=seed)
        learner = ours.learned(sides[0], sides[1], parameters)
        model = plain.compiled(backbone, seed)
        plain.fit(model, train, validation, epochs=_EPOCHS, batch=_BATCH)
        answers = learner.predict(sides[2].inputs), model.predict(unseen.images, verbose=0)
        right = [float((answer.argmax(1) == unseen.labels).mean()) for answer in answers]
        shares.append((right[0], right[1]))
        say(f"seed {seed}: ours {right[0]:.4f}, plain {right[1]:.4f}")
    fast, slow = np.mean(shares, axis=0)
    apart = [100 * (a - b) for a, b in shares]
    return {
        "accuracy_ours": round(float(fast), 4),
        "accuracy_plain_fit": round(float(slow), 4),
        "accuracy_difference_vs_plain_fit_pp": round(float(np.mean(apart)), 3),
        "accuracy_difference_of_one_seed_max_pp": round(float(np.abs(apart).max()), 3),
    }, (
        f"EfficientNetLite0, {_TRAIN} demo photos, {_VALIDATION} for validation, {_EPOCHS} epochs, batch {_BATCH}, "
        f"{len(_SEEDS)} seeds; accuracy on {_UNSEEN} photos that neither saw; the plain fit runs the frozen network on "
        "images. Difference: mean over seeds of ours minus plain; the two draw order, dropout and first weights apart."
    )
