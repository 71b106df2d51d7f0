"""Tables `datasets`, `dataset_photos` and `photo_clusters`."""

from collections.abc import Sequence

from psycopg2.extras import execute_values

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.dataset import Dataset, Manifest, Photo
from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType

_NUMBERING_LOCK = 7_240_001
_SIGN_BIT = 1 << 63


class DatasetTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def begin(self, run_id: str, model_type: ModelType) -> str:
        with self._database.transaction() as cursor:
            # Numbers are given one at a time, so that two runs never get the same one.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_NUMBERING_LOCK,))
            cursor.execute("SELECT dataset_id FROM datasets WHERE run_id = %s", (run_id,))
            if (row := cursor.fetchone()) is not None:
                return str(row[0])
            cursor.execute(
                "INSERT INTO datasets (dataset_id, run_id, model_type)"
                " SELECT 'DS-' || y || '-' || lpad((1 + COALESCE(max(split_part(dataset_id, '-', 3)::int), 0))::text,"
                " 3, '0'), %s, %s FROM to_char(now(), 'YYYY') AS y"
                " LEFT JOIN datasets ON dataset_id LIKE 'DS-' || y || '-%%' GROUP BY y RETURNING dataset_id",
                (run_id, model_type),
            )
            row = cursor.fetchone()
        assert row is not None
        return str(row[0])

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        founders = list(dict.fromkeys(int(photo.cluster_id, 16) for photo in manifest.photos))
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE datasets SET manifest_sha256 = %s, corrections_through = %s, photo_count = %s"
                " WHERE dataset_id = %s AND manifest_sha256 IS NULL",
                (manifest_sha256, manifest.corrections_through, len(manifest.photos), dataset_id),
            )
            if founders:
                execute_values(
                    cursor,
                    "INSERT INTO photo_clusters (founder, dataset_id) VALUES %s ON CONFLICT DO NOTHING",
                    [(_signed(founder), dataset_id) for founder in founders],
                )

    def frozen_sha256(self, dataset_id: str) -> str | None:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT manifest_sha256 FROM datasets WHERE dataset_id = %s", (dataset_id,))
            row = cursor.fetchone()
        return row[0] if row else None

    def cluster_founders(self) -> Sequence[int]:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT founder FROM photo_clusters ORDER BY position")
            return [_unsigned(row[0]) for row in cursor.fetchall()]

    def complete(self, dataset: Dataset, photos: Sequence[Photo]) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE datasets SET uri = %s, sha256 = %s, photo_count = %s, image_count = %s, train_count = %s,"
                " validation_count = %s, holdout_count = %s, corrections = %s,"
                " completed_at = COALESCE(completed_at, now())"
                " WHERE dataset_id = %s",
                (
                    dataset.uri,
                    dataset.sha256,
                    dataset.photo_count,
                    dataset.image_count,
                    dataset.train_count,
                    dataset.validation_count,
                    dataset.holdout_count,
                    dataset.corrections,
                    dataset.id,
                ),
            )
            execute_values(
                cursor,
                "INSERT INTO dataset_photos (dataset_id, task_id, photo_url, sha256, cluster_id, label, source, split)"
                " VALUES %s ON CONFLICT DO NOTHING",
                [
                    (dataset.id, p.task_id, p.photo_url, p.sha256, p.cluster_id, p.label, p.source, p.split)
                    for p in photos
                ],
            )

    def get(self, dataset_id: str) -> Dataset:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT dataset_id, run_id, model_type, uri, sha256, photo_count, image_count, train_count,"
                " validation_count, holdout_count, corrections, corrections_through FROM datasets"
                " WHERE dataset_id = %s AND completed_at IS NOT NULL",
                (dataset_id,),
            )
            row = cursor.fetchone()
        if row is None:
            raise GiveUp(f"dataset {dataset_id[:40]!r} is unknown or not complete: run collect and augment first")
        return Dataset(*row)


def _signed(value: int) -> int:
    """PostgreSQL's bigint is signed; a 64-bit hash is not."""
    return value - (1 << 64) if value & _SIGN_BIT else value


def _unsigned(value: int) -> int:
    return value % (1 << 64)
