"""Demo photos as a dataset to learn from, and a trainer's job on it."""

import hashlib
import json

import numpy as np

from include.bench.photos import LABELS
from include.contract.preprocessing import to_input
from include.demo.photos import draw, live_specs
from pipeline.domain.dataset import Dataset
from pipeline.domain.training import Hyperparameters
from pipeline.learning.shards import Images, Row, pack
from pipeline.ports.data import ObjectStore
from pipeline.ports.training import TrainingJob

URI = "s3://datasets/DS-bench/"


def photos(count: int, seed: int) -> Images:
    """Photos like the demo's live traffic, scaled to the network's input."""
    specs = live_specs(count, seed)
    images = np.stack([to_input(draw(spec)) for spec in specs])
    return Images(images, np.array([LABELS.index(spec.label) for spec in specs], np.int32))


def write(objects: ObjectStore, train: Images, validation: Images) -> None:
    """Store both splits as shards, and their index."""
    index: dict[str, list[dict[str, str]]] = {}
    for split, images in (("train", train), ("validation", validation)):
        pairs = enumerate(zip(images.images, images.labels, strict=True))
        body = pack(Row(image, int(label), f"{split}-{number}", 0) for number, (image, label) in pairs)
        objects.write(f"{URI}{split}.parquet", body)
        index[split] = [{"uri": f"{URI}{split}.parquet", "sha256": hashlib.sha256(body).hexdigest()}]
    objects.write(f"{URI}dataset.json", json.dumps(index, sort_keys=True).encode())


def job(run_id: str, objects: ObjectStore, hyperparameters: Hyperparameters) -> TrainingJob:
    """A training run on the dataset that `write` stored."""
    sha256 = hashlib.sha256(objects.read(f"{URI}dataset.json")).hexdigest()
    dataset = Dataset("DS-bench", run_id, "LAUNDRY", URI, sha256, 0, 0, 0, 0, 0, 0, None)
    prefix = f"s3://models/LAUNDRY/{run_id}/"
    return TrainingJob(run_id, dataset, LABELS, hyperparameters, f"{prefix}checkpoints/1/", prefix)
