"""Tables `blessings` and `blessing_overrides`: one verdict per run, and what a person added; neither ever changes."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pipeline.adapters.check_table import check_from_json, checks_to_json
from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.blessing import Blessing, Override, OverrideKind
from pipeline.domain.outgoing_events import OutgoingEvent


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
            cursor.execute(
                "SELECT b.verdict, o.run_id, o.kind, o.actor, o.reason, o.decided_at"
                " FROM blessings b LEFT JOIN standing_overrides o USING (run_id) WHERE b.run_id = %s",
                (run_id,),
            )
            row = cursor.fetchone()
        return blessing_from_json(row[0], row[1:]) if row else None

    def override(self, override: Override) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO blessing_overrides (run_id, kind, actor, reason, decided_at)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (override.run_id, override.kind, override.actor, override.reason, override.at),
            )


def _to_json(blessing: Blessing) -> str:
    fields = asdict(blessing)
    # A person's word has a table of its own: a verdict never changes.
    del fields["override"]
    fields["checks"] = json.loads(checks_to_json(blessing.checks))
    fields["decided_at"] = blessing.decided_at.isoformat()
    return json.dumps(fields, ensure_ascii=False)


def blessing_from_json(fields: dict[str, Any], override: Sequence[Any]) -> Blessing:
    """`override` is a row of `blessing_overrides`, all NULL where nobody added anything."""
    run_id, kind, *said = override
    return Blessing(
        **{
            **fields,
            "reasons": tuple(fields["reasons"]),
            # Verdicts of earlier releases have no doubts.
            "doubts": tuple(fields.get("doubts", ())),
            "checks": tuple(check_from_json(check) for check in fields["checks"]),
            "decided_at": datetime.fromisoformat(fields["decided_at"]),
            "override": Override(run_id, OverrideKind(kind), *said) if run_id else None,
        }
    )
