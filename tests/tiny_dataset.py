"""A tiny dataset to learn from: cloths of one colour, and the defective ones have a large dark stain."""

import hashlib
import json

import numpy as np
import numpy.typing as npt

from pipeline.domain.dataset import Dataset
from pipeline.learning.shards import Row, pack
from pipeline.ports.data import ObjectStore
from tests.builders import a_dataset

LABELS = ("양호", "불량")
SHARDS = {"train": "s3://datasets/train.parquet", "validation": "s3://datasets/validation.parquet"}


def tiny_dataset(objects: ObjectStore, train: int = 24, validation: int = 8) -> Dataset:
    """Writes both shards and their index; every second cloth is defective. The dataset's row."""
    for split, count, first in (("train", train, 0), ("validation", validation, 1000)):
        rows = [Row(_cloth(first + i, stained=bool(i % 2)), i % 2, f"TASK-{first + i}", 0) for i in range(count)]
        objects.write(SHARDS[split], pack(rows))
    index = {
        split: [{"uri": uri, "sha256": hashlib.sha256(objects.read(uri)).hexdigest()}] for split, uri in SHARDS.items()
    }
    body = json.dumps(index).encode()
    objects.write("s3://datasets/DS-2026-001/dataset.json", body)
    return a_dataset(sha256=hashlib.sha256(body).hexdigest())


def _cloth(number: int, *, stained: bool) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(number)
    cloth = np.full((224, 224, 3), rng.integers(150, 250, 3), np.uint8)
    if stained:
        y, x = rng.integers(20, 120, 2)
        cloth[y : y + 80, x : x + 80] = rng.integers(0, 60, 3)
    return cloth
