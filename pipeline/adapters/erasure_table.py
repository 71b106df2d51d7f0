"""Table `erased_photos`, and what erasing a photo changes in the others."""

import json
from collections.abc import Mapping, Sequence

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from include.contract.heard import take_time
from pipeline.adapters.confirmation_table import wait_for_roll_ups
from pipeline.adapters.mlops_db import MlopsDatabase
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

# Whatever tables there are: a list of them would miss the next one. A task's own address column is no text, and is
# emptied with the task; keys and generated columns hold no sentences.
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
# Addresses of other photos that begin with one of those: a key may go on with anything.
_LONGER = " UNION ".join(
    f"SELECT photo_url FROM {table} WHERE photo_url <> ALL (%(plain)s)"
    " AND EXISTS (SELECT FROM unnest(%(plain)s) AS one WHERE starts_with(photo_url, one))"
    for table in ("dataset_photos", "set_aside_tasks", "task_confirmations", "face_confirmations")
)
_GO_AND_STAY = {form: f"%({form})s::text[], %({form}_others)s::text[]" for form in ("plain", "json")}
# For each column type, how it shows addresses, and what is left of a value without them.
_SAID = {
    "text": ("{0}", f"struck({{0}}, {_GO_AND_STAY['plain']})", "plain"),
    "text[]": (
        "array_to_string({0}, ' ')",
        f"ARRAY(SELECT struck(one, {_GO_AND_STAY['plain']}) FROM unnest({{0}}) AS one)",
        "plain",
    ),
    "jsonb": ("{0}::text", f"struck({{0}}::text, {_GO_AND_STAY['json']})::jsonb", "json"),
}
# A table of years is read through.
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
        if not addresses:
            return {}
        with self._database.transaction() as cursor:
            take_time(cursor, _LARGE_TABLE_SECONDS)
            cursor.execute(_LONGER, {"plain": list(addresses)})
            others = [url for (url,) in cursor.fetchall()]
            cursor.execute(_TEXTS)
            texts = cursor.fetchall()
        forms = {"plain": list(addresses), "plain_others": others}
        forms |= {"json": _as_json(addresses), "json_others": _as_json(others)}
        changed = {table: self._strike_from(table, texts, forms) for table in dict.fromkeys(row[0] for row in texts)}
        return {table: rows for table, rows in changed.items() if rows}

    def _strike_from(self, table: str, texts: Sequence[tuple[str, str, str]], forms: Mapping[str, list[str]]) -> int:
        """It reads the whole table, and holds nobody up meanwhile: only the rows that it found are locked."""
        columns = [(sql.Identifier(name), _SAID[kind]) for of, name, kind in texts if of == table]
        # The cheap search first.
        names = sql.SQL(" OR ").join(
            sql.SQL(
                f"EXISTS (SELECT FROM unnest(%({key})s) AS one WHERE strpos({said}, one) > 0) AND {{0}} <> {left}"
            ).format(column)
            for column, (said, left, key) in columns
        )
        without = sql.SQL(", ").join(sql.SQL(f"{{0}} = {left}").format(column) for column, (_, left, _) in columns)
        at, changed = sql.Identifier(table), 0
        find = sql.SQL("SELECT ctid FROM {} WHERE {}").format(at, names)
        strike = sql.SQL("UPDATE {} SET {} WHERE ctid = ANY (%(rows)s::tid[]) AND ({})").format(at, without, names)
        # A second time, for rows that somebody changed meanwhile, so that their place is another one.
        while rows := self._found(find, forms):
            with self._database.transaction() as cursor:
                take_time(cursor, _LARGE_TABLE_SECONDS)
                # Before any of their rows: whoever writes confirmations takes this lock first.
                wait_for_roll_ups(cursor)
                cursor.execute(
                    "SELECT set_config('erasure.addresses', %(json)s::text[]::text, true),"
                    " set_config('erasure.others', %(json_others)s::text[]::text, true)",
                    forms,
                )
                cursor.execute(strike, {**forms, "rows": rows})
                changed += cursor.rowcount
        return changed

    def _found(self, find: sql.Composed, forms: Mapping[str, list[str]]) -> list[str]:
        with self._database.transaction() as cursor:
            take_time(cursor, _LARGE_TABLE_SECONDS)
            cursor.execute(find, forms)
            return [row for (row,) in cursor.fetchall()]


def _as_json(addresses: Sequence[str]) -> list[str]:
    return [json.dumps(one, ensure_ascii=False)[1:-1] for one in addresses]


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
