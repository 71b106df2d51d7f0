"""Table `safeguards`, and the rows of tables that are only added to."""

from collections.abc import Sequence
from datetime import datetime

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.backups import Counted, Safeguard

# What identifies a row, when it came in, and which rows stay for ever: reasons why nothing was retrained are pruned.
_GROWING = {
    "blessings": ("id || accepted || verdict::text", "decided_at", "true"),
    "retraining_decisions": ("id || reason", "decided_at", "due"),
    "task_confirmations": ("key || final_result", "received_at", "true"),
    "transitions": ("id || phase || entry || to_version || actor || reason", "recorded_at", "true"),
}
_STORED, _TOTAL = "SELECT count(*) FROM task_confirmations", "SELECT COALESCE(sum(stored), 0) FROM confirmation_totals"
# What live accuracy is read from.
_COUNT, _ROLLED_UP = f"{_STORED} WHERE counts", "SELECT COALESCE(sum(confirmed), 0) FROM verdict_quarters"
# Rows of erased photos stay, without what they showed.
_SHOWN_TWICE = "SELECT count(*) - count(DISTINCT (dataset_id, sha256)) FROM dataset_photos WHERE sha256 <> ''"


class SafeguardTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def note(self, kind: Safeguard, at: datetime, detail: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO safeguards AS s (kind, succeeded_at, detail) VALUES (%s, %s, %s) ON CONFLICT (kind)"
                " DO UPDATE SET succeeded_at = EXCLUDED.succeeded_at, detail = EXCLUDED.detail"
                " WHERE s.succeeded_at <= EXCLUDED.succeeded_at",
                (kind, at, detail),
            )

    def newest(self) -> dict[Safeguard, datetime]:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT kind, succeeded_at FROM safeguards ORDER BY kind")
            return {Safeguard(kind): at for kind, at in cursor.fetchall()}

    def withdraw(self) -> None:
        with self._database.transaction() as cursor:
            cursor.execute("DELETE FROM safeguards")


class GrowingTableRows:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def counted(self, until: datetime) -> Sequence[Counted]:
        counted = []
        with self._database.transaction() as cursor:
            for table, (row, at, stays) in _GROWING.items():
                # A sum, so that ten million rows need neither an order nor memory.
                digest_of = f"COALESCE(sum(hashtextextended({row}, 0)), 0)::text"
                cursor.execute(f"SELECT count(*), {digest_of} FROM {table} WHERE {stays} AND {at} <= %s", (until,))
                rows, digest = cursor.fetchone() or (0, "")
                counted.append(Counted(table, int(rows), digest))
        return counted

    def counted_twice(self) -> Sequence[str]:
        with self._database.transaction() as cursor:
            # One statement sees one moment: rows and totals are written together.
            cursor.execute(f"SELECT ({_STORED}), ({_TOTAL}), ({_COUNT}), ({_ROLLED_UP}), ({_SHOWN_TWICE})")
            stored, total, count, rolled_up, shown = cursor.fetchone() or (0, 0, 0, 0, 0)
        sentences = []
        if stored != total:
            sentences.append(f"the totals count {total} confirmations, and {stored} are stored")
        if count != rolled_up:
            sentences.append(f"quarters of an hour have {rolled_up} verdicts, and {count} count")
        if shown:
            sentences.append(f"{shown} photos are in a dataset more than once")
        return sentences
