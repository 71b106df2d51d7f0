"""Fifty epochs on 600 images: the frozen backbone once, against a plain Keras fit that runs it every epoch."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from include.bench.backbones import BACKBONES
from include.bench.measurement import Measurement, Say, seconds

if TYPE_CHECKING:
    import keras

_IMAGES, _VALIDATION, _EPOCHS, _BATCH = 600, 120, 50, 32
_MEASURED_EPOCHS = 1


def training(say: Say) -> Iterator[Measurement]:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (_IMAGES, 224, 224, 3), np.uint8)
    held_out = rng.integers(0, 256, (_VALIDATION, 224, 224, 3), np.uint8)
    for name, build in BACKBONES.items():
        backbone = build()
        backbone.trainable = False
        say(f"{name}: plain Keras fit, {_MEASURED_EPOCHS} epoch of {_EPOCHS}")
        plain = _plain_epoch(backbone, images, held_out) * _EPOCHS
        say(f"{name}: features once, then {_EPOCHS} epochs")
        ours = seconds(lambda b=backbone: _cached(b, images, held_out))  # type: ignore[misc]
        yield Measurement(
            f"training_{name.lower()}",
            "s",
            ours,
            plain,
            "model.fit of frozen backbone and head",
            f"{_IMAGES} images, {_VALIDATION} for validation, {_EPOCHS} epochs; "
            f"plain: {_MEASURED_EPOCHS} epoch measured, the rest extrapolated",
        )


def _targets(count: int) -> npt.NDArray[np.float32]:
    return np.eye(2, dtype=np.float32)[np.arange(count) % 2]


def _plain_epoch(backbone: "keras.Model", images: npt.NDArray[np.uint8], held_out: npt.NDArray[np.uint8]) -> float:
    """Seconds of one epoch, compiling not counted."""
    import keras

    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Dropout(0.3)(backbone(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    few = slice(0, _BATCH)
    warm = _targets(_BATCH)
    model.fit(images[few], warm, validation_data=(held_out[few], warm), batch_size=_BATCH, verbose=0)
    return (
        seconds(
            lambda: model.fit(
                images,
                _targets(_IMAGES),
                validation_data=(held_out, _targets(_VALIDATION)),
                batch_size=_BATCH,
                epochs=_MEASURED_EPOCHS,
                verbose=0,
            )
        )
        / _MEASURED_EPOCHS
    )


def _cached(backbone: "keras.Model", images: npt.NDArray[np.uint8], held_out: npt.NDArray[np.uint8]) -> None:
    """Compiling is counted; early stopping is off, so that both train equally long."""
    from pipeline.domain.training import Hyperparameters
    from pipeline.learning import features, head

    found = features.extract(backbone, train=images, validation=held_out)
    train, validation = head.Split(found[0], _targets(_IMAGES)), head.Split(found[1], _targets(_VALIDATION))
    hyperparameters = Hyperparameters(epochs=_EPOCHS, patience=_EPOCHS, batch_size=_BATCH)
    classifier = head.new_head(train.features.shape[1], 2, hyperparameters)
    head.fit(
        classifier,
        train,
        validation,
        hyperparameters,
        progress=head.Progress(),
        checkpoint=lambda progress: None,
        on_epoch=lambda epoch: None,
    )
