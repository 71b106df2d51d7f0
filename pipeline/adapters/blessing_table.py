"""Table `blessings`: one verdict a run, never changed (the database refuses)."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pipeline.adapters.check_table import check_from_json, checks_to_json
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.events import OutgoingEvent
from pipeline.domain.verification import Blessing


class BlessingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def grant(self, blessing: Blessing, event: OutgoingEvent | None) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO blessings (id, run_id, model_type, accepted, verdict, decided_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (
                    blessing.id,
                    blessing.run_id,
                    blessing.model_type,
                    blessing.accepted,
                    _to_json(blessing),
                    blessing.decided_at,
                ),
            )
            if event is not None and cursor.rowcount:
                insert_event(cursor, event)

    def of_run(self, run_id: str) -> Blessing | None:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT verdict FROM blessings WHERE run_id = %s", (run_id,))
            row = cursor.fetchone()
        return _from_json(row[0]) if row else None


def _to_json(blessing: Blessing) -> str:
    fields = asdict(blessing)
    fields["checks"] = json.loads(checks_to_json(blessing.checks))
    fields["decided_at"] = blessing.decided_at.isoformat()
    return json.dumps(fields, ensure_ascii=False)


def _from_json(fields: dict[str, Any]) -> Blessing:
    return Blessing(
        **{
            **fields,
            "reasons": tuple(fields["reasons"]),
            "checks": tuple(check_from_json(check) for check in fields["checks"]),
            "decided_at": datetime.fromisoformat(fields["decided_at"]),
        }
    )
