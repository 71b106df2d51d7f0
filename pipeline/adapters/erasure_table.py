"""Table `erased_photos`, and what erasing a photo changes in the others."""

from collections.abc import Mapping, Sequence

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from include.contract.heard import take_time
from pipeline.adapters.confirmation_table import wait_for_roll_ups
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.naming_texts import Said, Texts, said, texts_of_all_tables
from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import PhotosErased
from pipeline.domain.lineage import Erased

# Freezing a dataset and remembering an erasure never overlap: whoever comes second sees the first.
_ERASING_LOCK = 7_240_002

# The rows stay: when a photo was erased, people ask which models had learned from it.
_ANONYMISE = {
    "dataset_photos": "SET photo_url = '', sha256 = '' WHERE task_id = %s AND (photo_url, sha256) <> ('', '')",
    "holdout_photos": "SET sha256 = '' WHERE task_id = %s AND sha256 <> ''",
    # A field we do not know may name the photo, too; whether it was in the blind sample is counted.
    "task_confirmations": (
        "SET photo_url = '', correction_reason = NULL,"
        " extra = CASE WHEN blind THEN '{\"blindAudit\": true}'::jsonb ELSE '{}' END"
        " WHERE task_id = %s AND (photo_url <> '' OR correction_reason IS NOT NULL)"
    ),
    # The row still counts; nothing is kept about anybody else in the photo.
    "face_confirmations": (
        "SET photo_url = '', correction_reason = NULL, extra = '{}' WHERE check_id = %s"
        " AND (photo_url <> '' OR correction_reason IS NOT NULL OR extra <> '{}')"
    ),
    # A reason may name the address.
    "set_aside_tasks": (
        "SET photo_url = '', reason = '', sha256 = ''"
        " WHERE task_id = %s AND (photo_url, reason, sha256) <> ('', '', '')"
    ),
}

_ADDRESSES = """
    SELECT photo_url FROM (
        SELECT photo_url FROM dataset_photos WHERE task_id = %(key)s
        UNION SELECT photo_url FROM set_aside_tasks WHERE task_id = %(key)s
        UNION SELECT photo_url FROM task_confirmations WHERE task_id = %(key)s
        UNION SELECT photo_url FROM face_confirmations WHERE check_id = %(key)s
        UNION SELECT photo_url FROM face_confirmations WHERE person = %(key)s
        UNION SELECT photo_url FROM face_confirmations WHERE shown = %(key)s
    ) known WHERE photo_url ~ '^s3://[^/]+/.' ORDER BY 1"""

# Addresses of other photos that begin with one of those: a key may go on with anything.
_LONGER = " UNION ".join(
    f"SELECT photo_url FROM {table} WHERE photo_url <> ALL (%(plain)s)"
    " AND EXISTS (SELECT FROM unnest(%(plain)s) AS one WHERE starts_with(photo_url, one))"
    for table in ("dataset_photos", "set_aside_tasks", "task_confirmations", "face_confirmations")
)
# Only where an address was said anywhere at all, tables of years are read through for those that go on like it.
_LARGE_TABLE_SECONDS = 900.0


class ErasureTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def record(self, erased: Erased) -> None:
        with self._database.transaction() as cursor:
            wait_for_erasures(cursor)
            cursor.execute(
                "INSERT INTO erased_photos (task_id, sha256s, actor, reason, erased_at) VALUES (%s, %s, %s, %s, %s)"
                " ON CONFLICT (task_id) DO UPDATE SET sha256s ="
                " ARRAY(SELECT DISTINCT unnest(erased_photos.sha256s || EXCLUDED.sha256s) ORDER BY 1)",
                (erased.task_id, list(erased.sha256s), erased.actor, erased.reason, erased.at),
            )

    def all(self) -> Sequence[Erased]:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT task_id, sha256s, actor, reason, erased_at FROM erased_photos ORDER BY erased_at")
            return [Erased(row[0], tuple(row[1]), *row[2:]) for row in cursor.fetchall()]

    def replace_manifest(self, dataset_id: str, manifest: Manifest, manifest_sha256: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE datasets SET manifest_sha256 = %s, photo_count = %s WHERE dataset_id = %s",
                (manifest_sha256, len(manifest.photos), dataset_id),
            )

    def anonymise(self, task_id: str) -> Mapping[str, int]:
        changed = {}
        with self._database.transaction() as cursor:
            # After whoever is just storing a confirmation of this photo, and did not know yet that it is erased.
            wait_for_roll_ups(cursor)
            for table, change in _ANONYMISE.items():
                cursor.execute(f"UPDATE {table} {change}", (task_id,))
                changed[table] = cursor.rowcount
        return changed

    def addresses(self, key: str) -> Sequence[str]:
        with self._database.transaction() as cursor:
            cursor.execute(_ADDRESSES, {"key": key})
            return [url for (url,) in cursor.fetchall()]

    def strike(self, addresses: Sequence[str]) -> Mapping[str, int]:
        """It holds nobody up meanwhile: only the rows that it found are locked."""
        if not addresses:
            return {}
        with self._database.transaction() as cursor:
            take_time(cursor, _LARGE_TABLE_SECONDS)
            tables = list(texts_of_all_tables(cursor))
            naming = [one for one in tables if _rows(cursor, one.naming, said(addresses))]
            forms = said(addresses, _longer(cursor, addresses) if naming else ())
        changed = {one.table: self._strike_from(one, forms) for one in naming}
        return {table: rows for table, rows in changed.items() if rows}

    def _strike_from(self, texts: Texts, forms: Said) -> int:
        changed = 0
        # A second time, for rows that somebody changed meanwhile, so that their place is another one.
        while rows := self._found(texts, forms):
            with self._database.transaction() as cursor:
                take_time(cursor, _LARGE_TABLE_SECONDS)
                # Before any of their rows: whoever writes confirmations takes this lock first.
                wait_for_roll_ups(cursor)
                cursor.execute(
                    "SELECT set_config('erasure.addresses', %(json)s::text[]::text, true),"
                    " set_config('erasure.others', %(json_others)s::text[]::text, true)",
                    forms,
                )
                cursor.execute(texts.strike, {**forms, "rows": rows})
                changed += cursor.rowcount
        return changed

    def _found(self, texts: Texts, forms: Said) -> list[str]:
        with self._database.transaction() as cursor:
            take_time(cursor, _LARGE_TABLE_SECONDS)
            return _rows(cursor, texts.found, forms)


def _rows(cursor: Cursor, find: sql.Composed, forms: Said) -> list[str]:
    cursor.execute(find, forms)
    return [row for (row,) in cursor.fetchall()]


def _longer(cursor: Cursor, addresses: Sequence[str]) -> list[str]:
    cursor.execute(_LONGER, {"plain": list(addresses)})
    return [url for (url,) in cursor.fetchall()]


def wait_for_erasures(cursor: Cursor) -> None:
    """Until this transaction ends, no photo is erased and no dataset frozen beside it."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ERASING_LOCK,))


def demand_unerased(cursor: Cursor, manifest: Manifest) -> None:
    """Raises `PhotosErased`. Call it after `wait_for_erasures`."""
    hashes = [p.sha256 for p in manifest.photos] + [q.sha256 for q in manifest.quarantined if q.sha256]
    cursor.execute(
        "SELECT task_id FROM erased_photos WHERE task_id = ANY(%s) OR sha256s && %s ORDER BY task_id",
        (sorted(manifest.task_ids), hashes),
    )
    if erased := [row[0] for row in cursor.fetchall()]:
        raise PhotosErased(manifest.dataset_id, erased)
