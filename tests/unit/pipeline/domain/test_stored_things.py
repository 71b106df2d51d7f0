"""The names of stored objects, and the figures of a dataset: what one release writes the next one reads."""

import hashlib
import json
from dataclasses import replace

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import Augmentation, Dataset, Manifest, Quarantined, Source, Split
from pipeline.domain.dataset_folder import DatasetFolder, Shard, ShardIndex
from pipeline.domain.errors import ServiceUnavailable, TrainingFailed
from pipeline.domain.lineage import runs_of
from tests.builders import NOW, a_photo

BODY = b"images"
SHA256 = hashlib.sha256(BODY).hexdigest()


def test_what_is_computed_of_single_photos_lies_in_folders_of_its_own():
    folder = ArtifactFolder.of("s3://models/", "LAUNDRY", "run-1")
    assert folder.uri == "s3://models/LAUNDRY/run-1/"
    assert folder.features("k") == "s3://models/LAUNDRY/run-1/features/k/"
    assert folder.activations("k") == "s3://models/LAUNDRY/run-1/activations/k/"
    assert folder.is_cache(folder.features("k")) and folder.is_cache(folder.activations("k"))
    assert not folder.is_cache(folder.manifest)


def test_a_shard_without_a_photo_has_a_name_of_its_own_however_often_it_is_rewritten():
    shard = Shard.of(DatasetFolder("s3://datasets/DS-1/").shard(Split.TRAIN, 0), b"all")
    once = shard.rewritten(b"fewer")
    twice = once.rewritten(BODY)
    assert twice == shard.rewritten(BODY) == Shard(twice.uri, SHA256)
    assert len({shard.uri, once.uri, twice.uri}) == 3
    assert twice.uri == f"s3://datasets/DS-1/shards/train-00000-without-{SHA256[:8]}.parquet"


def test_an_index_of_shards_is_read_as_it_was_written_also_one_from_before_it_named_labels():
    index = ShardIndex(["양호", "불량"], [Shard("s3://train", "a")], [Shard("s3://validation", "b")])
    assert ShardIndex.from_json(index.to_json()) == index
    assert (index.of(Split.TRAIN), index.of(Split.VALIDATION)) == (index.train, index.validation)
    assert "양호" in index.to_json().decode() and list(json.loads(index.to_json())) == ["labels", "train", "validation"]
    assert list(json.loads(index.to_json())["train"][0]) == ["sha256", "uri"]
    assert index.sha256 == hashlib.sha256(index.to_json()).hexdigest()
    old = {name: value for name, value in json.loads(index.to_json()).items() if name != "labels"}
    assert ShardIndex.from_json(json.dumps(old).encode()) == replace(index, labels=())


def a_manifest():
    splits = [Split.TRAIN] * 3 + [Split.VALIDATION] * 2 + [Split.HOLDOUT]
    photos = tuple(
        a_photo(n, split=split, source=Source.CORRECTION if n < 2 else Source.EVALUATION)
        for n, split in enumerate(splits)
    )
    aside = (Quarantined("TASK-A", "s3://tasks/a.jpg", "no photo"), Quarantined("TASK-B", "s3://tasks/b.jpg", "dark"))
    through = NOW.isoformat()
    return Manifest(
        "DS-1", "LAUNDRY", ("양호", "불량"), None, through, photos, aside, augmentation=Augmentation(copies=5)
    )


def test_a_dataset_counts_its_photos_and_the_images_made_of_them():
    counted = Dataset.counted("run-1", "s3://datasets/DS-1/", a_manifest(), "d" * 64)
    assert counted == Dataset(
        id="DS-1",
        run_id="run-1",
        model_type="LAUNDRY",
        uri="s3://datasets/DS-1/",
        sha256="d" * 64,
        photo_count=6,
        image_count=17,
        train_count=15,
        validation_count=2,
        holdout_count=1,
        corrections=2,
        corrections_through=NOW,
    )
    without = replace(a_manifest(), corrections_through=None)
    assert Dataset.counted("run-1", "s3://datasets/DS-1/", without, "d" * 64).corrections_through is None


def test_a_task_that_is_forgotten_leaves_photos_and_what_was_set_aside():
    manifest = a_manifest()
    gone = manifest.without("TASK-00001").without("TASK-A")
    assert [p.task_id for p in gone.photos] == [p.task_id for p in manifest.photos if p.task_id != "TASK-00001"]
    assert [q.task_id for q in gone.quarantined] == ["TASK-B"]
    assert replace(gone, photos=manifest.photos, quarantined=manifest.quarantined) == manifest


def test_every_run_of_a_dataset_is_named_once_its_maker_first():
    assert runs_of("run-1", ("run-2", "run-1", "run-3")) == ("run-1", "run-2", "run-3")


def test_a_failure_says_what_failed_and_why():
    away = ServiceUnavailable("MLflow", "connection refused")
    assert (away.service, str(away)) == ("MLflow", "MLflow is unavailable: connection refused")
    out = TrainingFailed("out_of_memory", "batch 64")
    assert (out.cause, out.detail, str(out)) == ("out_of_memory", "batch 64", "out_of_memory: batch 64")
