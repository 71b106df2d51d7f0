"""What most people write: `model.fit` of frozen backbone and head, on images."""

from typing import TYPE_CHECKING

from include.bench.training.ours import one_hot
from pipeline.learning.shards import Images

if TYPE_CHECKING:
    import keras


def compiled(backbone: "keras.Model", seed: int) -> "keras.Model":
    import keras

    keras.utils.set_random_seed(seed)
    backbone.trainable = False
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.Dropout(0.3)(backbone(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: "keras.Model", train: Images, validation: Images, *, epochs: int, batch: int) -> None:
    """Balanced classes; ends with the weights of the epoch with the best val_loss."""
    import keras

    counts = one_hot(train.labels).sum(0)
    model.fit(
        train.images,
        one_hot(train.labels),
        validation_data=(validation.images, one_hot(validation.labels)),
        class_weight={index: len(train.labels) / (2 * count) for index, count in enumerate(counts)},
        callbacks=[keras.callbacks.EarlyStopping(patience=epochs, restore_best_weights=True)],
        batch_size=batch,
        epochs=epochs,
        verbose=0,
    )
