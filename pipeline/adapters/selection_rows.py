"""Tables `dataset_photos`, `set_aside_tasks` and `photo_clusters`: the rows of a selection."""

from collections.abc import Mapping, Sequence

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from pipeline.domain.clusters import sides_of_clusters
from pipeline.domain.dataset import Manifest, Quarantined, Split

_LONGEST_KEPT = 500
_SIGN_BIT = 1 << 63


def keep_sides(cursor: Cursor, dataset_id: str, manifest: Manifest) -> None:
    taken = sides_of_clusters(manifest)
    if taken:
        execute_values(
            cursor,
            "INSERT INTO photo_clusters (founder, dataset_id, split) VALUES %s"
            " ON CONFLICT (founder) DO UPDATE SET split = COALESCE(photo_clusters.split, EXCLUDED.split)",
            [(_signed(int(cluster, 16)), dataset_id, split) for cluster, split in taken.items()],
        )


def sides(cursor: Cursor) -> Mapping[int, Split]:
    """The side of every cluster, by the hash that founded it, oldest first."""
    cursor.execute("SELECT founder, split FROM photo_clusters WHERE split IS NOT NULL ORDER BY position")
    return {_unsigned(founder): Split(split) for founder, split in cursor.fetchall()}


def keep_lineage(cursor: Cursor, dataset_id: str, manifest: Manifest) -> None:
    execute_values(
        cursor,
        "INSERT INTO dataset_photos (dataset_id, task_id, photo_url, sha256, cluster_id, label, source, split)"
        " VALUES %s ON CONFLICT DO NOTHING",
        [
            (dataset_id, p.task_id, p.photo_url, p.sha256, p.cluster_id, p.label, p.source, p.split)
            for p in manifest.photos
        ],
    )


def keep_set_aside(cursor: Cursor, dataset_id: str, rows: Sequence[Quarantined]) -> None:
    execute_values(
        cursor,
        "INSERT INTO set_aside_tasks (dataset_id, task_id, photo_url, kind, reason, sha256) VALUES %s",
        [(dataset_id, *(_storable(t) for t in (q.task_id, q.photo_url, q.kind, q.reason, q.sha256))) for q in rows],
    )


def set_aside_of(cursor: Cursor, dataset_id: str) -> list[Quarantined]:
    """Rows that were set aside, ordered by task."""
    cursor.execute(
        "SELECT task_id, photo_url, reason, kind, sha256 FROM set_aside_tasks WHERE dataset_id = %s ORDER BY task_id",
        (dataset_id,),
    )
    return [Quarantined(*row) for row in cursor.fetchall()]


def _storable(text: str) -> str:
    """Fields of an odd task may hold anything: long ones are cut here, and complete in the manifest."""
    return text[:_LONGEST_KEPT].replace("\0", "")


def _signed(value: int) -> int:
    """PostgreSQL's bigint is signed; a 64-bit hash is not."""
    return value - (1 << 64) if value & _SIGN_BIT else value


def _unsigned(value: int) -> int:
    return value % (1 << 64)
