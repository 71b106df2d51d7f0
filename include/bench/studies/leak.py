"""What validation promises when images are split after augmenting, and when photos are split before (ADR 0001)."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from include.bench.studies.material import Head, Material, Numbers

# The specification's numbers: 150 photos become 750 images, 80 % of them for training.
PHOTOS, TRAIN_SHARE, HELD_OUT = 150, 0.8, 400


def run(material: Material, seed: int) -> Iterator[Mapping[str, Any]]:
    """A row for each way and kind of labels: accuracy in validation, and of the same model on untouched photos."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(material.live)
    holdout, photos = order[:HELD_OUT], order[HELD_OUT : HELD_OUT + PHOTOS]
    for kind in ("true", "random"):
        labels = material.labels[photos] if kind == "true" else rng.permutation(material.labels[photos])
        for way, train in _WAYS.items():
            model, validation = train(material, photos, labels, rng)
            truth = model.accuracy(material.images[holdout, 0], material.labels[holdout])
            yield {
                "seed": seed,
                "labels": kind,
                "way": way,
                "validation_accuracy": round(validation, 4),
                "holdout_accuracy": round(truth, 4),
            }


def _images_split(material: Material, photos: Numbers, labels: Numbers, rng: np.random.Generator) -> tuple[Head, float]:
    images, _ = material.augmented(photos)
    all_labels = labels.repeat(material.images.shape[1])
    order = rng.permutation(len(images))
    train, validation = np.split(order, [int(len(order) * TRAIN_SHARE)])
    model = Head().fit(images[train], all_labels[train])
    return model, model.accuracy(images[validation], all_labels[validation])


def _photos_split(material: Material, photos: Numbers, labels: Numbers, rng: np.random.Generator) -> tuple[Head, float]:
    order = rng.permutation(len(photos))
    train, validation = np.split(order, [int(len(order) * TRAIN_SHARE)])
    images, _ = material.augmented(photos[train])
    model = Head().fit(images, labels[train].repeat(material.images.shape[1]))
    return model, model.accuracy(material.images[photos[validation], 0], labels[validation])


_WAYS = {"augment, then split": _images_split, "split, then augment": _photos_split}
