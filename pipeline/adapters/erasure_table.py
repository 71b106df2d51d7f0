"""Table `erased_photos`, and what erasing a photo changes in the others."""

import json
from collections.abc import Mapping, Sequence

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from pipeline.adapters.confirmation_table import wait_for_roll_ups
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.dataset import Manifest
from pipeline.domain.errors import PhotosErased
from pipeline.domain.lineage import Erased

# Freezing a dataset and remembering an erasure come one after the other: whoever is second sees the first.
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
    # The row counts on; of whoever else is in the photo nothing is known.
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

# Whatever tables there are: a list of them would miss the next one. What a task's own row calls its address is not
# text, and goes with the task; what a key or a generated column has is no sentence.
_TEXTS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
        AND has_table_privilege(c.oid, 'UPDATE')
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attname <> 'photo_url'
        AND format_type(a.atttypid, NULL) IN ('text', 'text[]', 'jsonb')
        AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
    ORDER BY 1, 2"""
# How a column of each type says the addresses, and what is left of it without them.
_SAID = {
    "text": ("{0}", "struck({0}, %(plain)s)", "plain"),
    "text[]": ("array_to_string({0}, ' ')", "ARRAY(SELECT struck(one, %(plain)s) FROM unnest({0}) AS one)", "plain"),
    "jsonb": ("{0}::text", "struck({0}::text, %(json)s)::jsonb", "json"),
}


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
            # Also behind whoever stores a confirmation of this photo, and did not know yet that it is erased.
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
        if not addresses:
            return {}
        with self._database.transaction() as cursor:
            cursor.execute(_TEXTS)
            texts = cursor.fetchall()
        changed = {
            table: self._strike_from(table, texts, addresses) for table in dict.fromkeys(row[0] for row in texts)
        }
        return {table: rows for table, rows in changed.items() if rows}

    def _strike_from(self, table: str, texts: Sequence[tuple[str, str, str]], addresses: Sequence[str]) -> int:
        """It reads the whole table, and holds nobody up meanwhile."""
        columns = [(sql.Identifier(name), _SAID[kind]) for of, name, kind in texts if of == table]
        # What is cheap to look for first.
        names = sql.SQL(" OR ").join(
            sql.SQL(
                f"EXISTS (SELECT FROM unnest(%({key})s) AS one WHERE strpos({said}, one) > 0) AND {{0}} <> {left}"
            ).format(column)
            for column, (said, left, key) in columns
        )
        without = sql.SQL(", ").join(sql.SQL(f"{{0}} = {left}").format(column) for column, (_, left, _) in columns)
        json_like = [json.dumps(one, ensure_ascii=False)[1:-1] for one in addresses]
        values = {"plain": list(addresses), "json": json_like}
        at = sql.Identifier(table)
        with self._database.transaction() as cursor:
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(at, names), values)
            if cursor.fetchone() == (False,):
                return 0
            # Before any row of theirs: who writes confirmations takes this first.
            wait_for_roll_ups(cursor)
            cursor.execute("SELECT set_config('erasure.addresses', %s::text[]::text, true)", (json_like,))
            cursor.execute(sql.SQL("UPDATE {} SET {} WHERE {}").format(at, without, names), values)
            return cursor.rowcount


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
