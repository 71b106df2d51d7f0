"""Tables `datasets` and `holdout_photos`, and the rows of each dataset's selection."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from pipeline.adapters.erasure_table import demand_unerased, wait_for_erasures
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.selection_rows import keep_lineage, keep_set_aside, keep_sides, set_aside_of, sides
from pipeline.adapters.withholding_table import demand_trusted
from pipeline.domain.dataset import FIRST, Dataset, Manifest, Quarantined, Source, Split, dataset_name
from pipeline.domain.errors import GiveUp
from pipeline.domain.leakage import HeldOut
from pipeline.domain.lineage import Appearance, Kept
from pipeline.domain.models import ModelType, demand_of_type

_NUMBERING_LOCK = 7_240_001
_DATASET = """
    SELECT dataset_id, run_id, model_type, uri, sha256, photo_count, image_count, train_count, validation_count,
           holdout_count, corrections, corrections_through, holdout_version
    FROM datasets WHERE completed_at IS NOT NULL AND """


class DatasetTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def begin(self, run_id: str, model_type: ModelType) -> str:
        with self._database.transaction() as cursor:
            # Numbers are given one at a time, so that two runs never get the same one.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_NUMBERING_LOCK,))
            cursor.execute("SELECT dataset_id, model_type FROM datasets WHERE run_id = %s", (run_id,))
            if (row := cursor.fetchone()) is not None:
                demand_of_type(run_id, row[1], model_type)
                return str(row[0])
            cursor.execute(
                "SELECT y, 1 + COALESCE(max(split_part(dataset_id, '-', 3)::int), 0) FROM to_char(now(), 'YYYY') AS y"
                " LEFT JOIN datasets ON dataset_id LIKE 'DS-' || y || '-%' GROUP BY y"
            )
            row = cursor.fetchone()
            assert row is not None
            dataset_id = dataset_name(*row)
            cursor.execute(
                "INSERT INTO datasets (dataset_id, run_id, model_type) VALUES (%s, %s, %s)",
                (dataset_id, run_id, model_type),
            )
        return dataset_id

    def freeze(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            cursor.execute(
                "UPDATE datasets SET manifest_sha256 = %s, corrections_through = %s, photo_count = %s"
                " WHERE dataset_id = %s AND manifest_sha256 IS NULL",
                (manifest_sha256, manifest.corrections_through, len(manifest.photos), dataset_id),
            )
            if cursor.rowcount:
                demand_unerased(cursor, manifest)
                demand_trusted(cursor, manifest)
                keep_sides(cursor, dataset_id, manifest)
                keep_lineage(cursor, dataset_id, manifest)
                keep_set_aside(cursor, dataset_id, manifest.quarantined)

    def hold_out(self, dataset_id: str, manifest: Manifest) -> None:
        with self._database.transaction() as cursor:
            # One at a time: two datasets must not both make the next version of the holdout.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_NUMBERING_LOCK,))
            wait_for_erasures(cursor)
            cursor.execute("SELECT holdout_version FROM datasets WHERE dataset_id = %s FOR UPDATE", (dataset_id,))
            row = cursor.fetchone()
            if row is not None and row[0] == 0:
                _grow_holdout(cursor, dataset_id, manifest)

    def set_aside(self, dataset_id: str) -> Sequence[Quarantined]:
        with self._database.transaction() as cursor:
            return set_aside_of(cursor, dataset_id)

    def lose(self, manifest: Manifest, rows: Sequence[Quarantined]) -> None:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            demand_unerased(cursor, manifest)
            known = {row.task_id for row in set_aside_of(cursor, manifest.dataset_id)}
            keep_set_aside(cursor, manifest.dataset_id, [row for row in rows if row.task_id not in known])

    def look_for_again(self, manifest: Manifest, rows: Sequence[Quarantined]) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "DELETE FROM set_aside_tasks WHERE dataset_id = %s AND task_id = ANY(%s)",
                (manifest.dataset_id, [row.task_id for row in rows]),
            )

    def frozen_sha256(self, dataset_id: str) -> str | None:
        rows = self._rows("SELECT manifest_sha256 FROM datasets WHERE dataset_id = %s", dataset_id)
        return rows[0][0] if rows else None

    @contextmanager
    def unfrozen(self, dataset_id: str) -> Iterator[bool]:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            cursor.execute("SELECT FROM datasets WHERE dataset_id = %s AND manifest_sha256 IS NULL", (dataset_id,))
            yield cursor.fetchone() is not None

    def clusters(self) -> Mapping[int, Split]:
        with self._database.transaction() as cursor:
            return sides(cursor)

    def clusters_of(self, task_ids: Sequence[str]) -> Mapping[str, str]:
        rows = self._rows(
            "SELECT DISTINCT ON (p.task_id) p.task_id, p.cluster_id FROM dataset_photos p JOIN datasets d USING"
            " (dataset_id) WHERE p.task_id = ANY(%s) ORDER BY p.task_id, d.begun_at DESC, d.dataset_id DESC",
            list(task_ids),
        )
        return dict(rows)

    def holdout(self, model_type: ModelType) -> Sequence[HeldOut]:
        query = "SELECT task_id, cluster_id, sha256, phash FROM holdout_photos WHERE model_type = %s"
        return [HeldOut(*row) for row in self._rows(f"{query} ORDER BY version DESC, position", model_type)]

    def holdout_uses(self, model_type: ModelType, task_ids: Sequence[str]) -> int:
        rows = self._rows(
            "SELECT COALESCE(max(uses), 0) FROM holdout_uses WHERE model_type = %s AND version ="
            " (SELECT min(version) FROM holdout_photos WHERE model_type = %s AND task_id = ANY(%s))",
            model_type,
            model_type,
            list(task_ids),
        )
        return int(rows[0][0])

    def complete(self, dataset: Dataset) -> None:
        with self._database.transaction() as cursor:
            _complete(cursor, dataset)

    def finish(self, dataset: Dataset, manifest: Manifest) -> None:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            demand_unerased(cursor, manifest)
            _complete(cursor, dataset)

    def finished_sha256(self, dataset_id: str) -> str | None:
        rows = self._rows("SELECT sha256 FROM datasets WHERE dataset_id = %s", dataset_id)
        return rows[0][0] if rows else None

    def get(self, dataset_id: str) -> Dataset:
        rows = self._rows(f"{_DATASET} dataset_id = %s", dataset_id)
        if not rows:
            raise GiveUp(f"dataset {dataset_id[:40]!r} is unknown or not complete: run collect and augment first")
        return Dataset(*rows[0])

    def of_type(self, model_type: ModelType) -> Sequence[tuple[str, str]]:
        return self._rows(
            "SELECT dataset_id, run_id FROM datasets WHERE model_type = %s ORDER BY begun_at, dataset_id", model_type
        )

    def previous(self, dataset_id: str) -> Dataset | None:
        rows = self._rows(
            f"{_DATASET} (model_type, begun_at) < (SELECT model_type, begun_at FROM datasets WHERE dataset_id = %s)"
            " AND model_type = (SELECT model_type FROM datasets WHERE dataset_id = %s) ORDER BY begun_at DESC LIMIT 1",
            dataset_id,
            dataset_id,
        )
        return Dataset(*rows[0]) if rows else None

    def frozen(self) -> Sequence[tuple[str, ModelType, str]]:
        rows = self._rows(
            "SELECT dataset_id, model_type, run_id FROM datasets WHERE manifest_sha256 IS NOT NULL ORDER BY begun_at"
        )
        return [(row[0], ModelType(row[1]), row[2]) for row in rows]

    def appearances(self, *, task_id: str | None = None, dataset_id: str | None = None) -> Sequence[Appearance]:
        rows = self._rows(
            "SELECT p.dataset_id, d.run_id, d.model_type, p.task_id, p.photo_url, p.sha256, p.label, p.source, p.split"
            " FROM dataset_photos p JOIN datasets d USING (dataset_id)"
            " WHERE (p.task_id = %s OR %s IS NULL) AND (p.dataset_id = %s OR %s IS NULL)"
            " ORDER BY d.begun_at, p.dataset_id, p.task_id",
            task_id,
            task_id,
            dataset_id,
            dataset_id,
        )
        return [_appearance(row) for row in rows]

    def first_photos(self, model_type: ModelType) -> Sequence[Appearance]:
        rows = self._rows(
            "SELECT p.dataset_id, d.run_id, d.model_type, p.task_id, p.photo_url, p.sha256, p.label, p.source, p.split"
            " FROM dataset_photos p JOIN datasets d USING (dataset_id) WHERE p.photo_url <> '' AND p.dataset_id ="
            " (SELECT f.dataset_id FROM datasets f WHERE f.model_type = %s"
            " AND EXISTS (SELECT FROM dataset_photos q WHERE q.dataset_id = f.dataset_id)"
            " AND NOT EXISTS (SELECT FROM dataset_photos q"
            " WHERE q.dataset_id = f.dataset_id AND NOT starts_with(q.task_id, %s))"
            " ORDER BY f.begun_at DESC LIMIT 1) ORDER BY p.task_id",
            model_type,
            FIRST,
        )
        return [_appearance(row) for row in rows]

    def kept(self, task_id: str) -> Sequence[Kept]:
        own = self._kept("task_id = %s", task_id)
        alike = self._kept(
            "photo_url = ANY(%s) OR sha256 = ANY(%s)", [k.photo_url for k in own], [k.sha256 for k in own if k.sha256]
        )
        return sorted({*own, *(one for one in alike if any(one.shows_the_photo_of(other) for other in own))})

    def _kept(self, which: str, *values: Any) -> list[Kept]:
        rows = "SELECT task_id, photo_url, sha256 FROM {} WHERE photo_url <> '' AND ({})"
        query = " UNION ".join(rows.format(table, which) for table in ("dataset_photos", "set_aside_tasks"))
        return [Kept(*row) for row in self._rows(query, *values, *values)]

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._database.transaction() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()


def _complete(cursor: Cursor, one: Dataset) -> None:
    through = one.corrections_through
    cursor.execute(
        "UPDATE datasets SET uri = %s, sha256 = %s, photo_count = %s, image_count = %s, train_count = %s,"
        " validation_count = %s, holdout_count = %s, corrections = %s,"
        " corrections_through = CASE WHEN manifest_sha256 IS NULL THEN %s"
        # A frozen selection keeps its time; for faces the manifest says it, and this row may have been ahead of the
        # manifest.
        " ELSE COALESCE(corrections_through, %s) END,"
        " completed_at = COALESCE(completed_at, now())"
        " WHERE dataset_id = %s",
        (one.uri, one.sha256, one.photo_count, one.image_count, one.train_count, one.validation_count)
        + (one.holdout_count, one.corrections, through, through, one.id),
    )


def _grow_holdout(cursor: Cursor, dataset_id: str, manifest: Manifest) -> None:
    """New members make a new version; the dataset remembers which version it was collected with."""
    version = "(SELECT COALESCE(max(version), 0) {} FROM holdout_photos WHERE model_type = %(model_type)s)"
    values = {"dataset_id": dataset_id, "model_type": manifest.model_type}
    cursor.execute(f"SELECT {version.format('+ 1')}", values)
    row = cursor.fetchone()
    assert row is not None
    held = [p for p in manifest.photos if p.split is Split.HOLDOUT]
    if held:
        execute_values(
            cursor,
            "INSERT INTO holdout_photos (model_type, task_id, cluster_id, sha256, phash, version, dataset_id)"
            " VALUES %s ON CONFLICT DO NOTHING",
            [(manifest.model_type, p.task_id, p.cluster_id, p.sha256, p.phash, row[0], dataset_id) for p in held],
        )
        # A photo that was erased while it was looked at stays held out, like those that were erased later.
        cursor.execute(
            "UPDATE holdout_photos h SET sha256 = '' FROM erased_photos e"
            " WHERE h.dataset_id = %s AND h.task_id = e.task_id AND h.sha256 <> ''",
            (dataset_id,),
        )
    cursor.execute(
        f"UPDATE datasets SET holdout_version = {version.format('')} WHERE dataset_id = %(dataset_id)s", values
    )


def _appearance(row: tuple[Any, ...]) -> Appearance:
    dataset_id, run_id, model_type, task_id, photo_url, sha256, label, source, split = row
    return Appearance(dataset_id, run_id, model_type, task_id, photo_url, sha256, label, Source(source), Split(split))
