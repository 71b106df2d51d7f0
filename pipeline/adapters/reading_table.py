"""Tables `live_accuracy_readings` and `live_accuracy_episodes`: what the monitor saw, and which alert is open."""

import json
from dataclasses import asdict
from datetime import datetime

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.outbox_table import insert_event
from pipeline.domain.models import ModelType
from pipeline.domain.outgoing_events import OutgoingEvent
from pipeline.ports.live import Episode, Look

_INSERT = """
    INSERT INTO live_accuracy_readings
        (model_type, version, at, state, reason, confirmed, agreed, accuracy, low, high, blind_confirmed, blind_agreed,
         labels, versions, decision)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""


class ReadingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def record(self, look: Look) -> None:
        reading, seen = look.reading, look.seen
        figures = (reading.confirmed, reading.agreed, reading.accuracy, reading.low, reading.high)
        versions = {version: [asdict(label) for label in labels] for version, labels in look.versions.items()}
        with self._database.transaction() as cursor:
            cursor.execute(
                _INSERT,
                (
                    *(look.model_type, reading.version, look.at, reading.state, reading.reason),
                    *figures,
                    *(seen.blind.confirmed, seen.blind.agreed),
                    *(_json([asdict(label) for label in seen.window.labels]), _json(versions), look.decision),
                ),
            )

    def forget(self, model_type: ModelType, *, before: datetime, dry_run: bool) -> int:
        old = "model_type = %s AND at < %s"
        return self._database.deleted("live_accuracy_readings", old, (model_type, before), dry_run=dry_run)

    def open_episode(self, model_type: ModelType) -> Episode | None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT id, version FROM live_accuracy_episodes WHERE model_type = %s AND closed_at IS NULL",
                (model_type,),
            )
            row = cursor.fetchone()
        return Episode(*row) if row else None

    def begin_episode(self, model_type: ModelType, episode: Episode, event: OutgoingEvent, *, at: datetime) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO live_accuracy_episodes (id, model_type, version, opened_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (episode.id, model_type, episode.version, at),
            )
            if cursor.rowcount:
                insert_event(cursor, event)

    def end_episode(self, episode: Episode, ended_by: str, event: OutgoingEvent | None, *, at: datetime) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE live_accuracy_episodes SET closed_at = %s, ended_by = %s WHERE id = %s AND closed_at IS NULL",
                (at, ended_by, episode.id),
            )
            if cursor.rowcount and event is not None:
                insert_event(cursor, event)


def _json(said: object) -> str:
    return json.dumps(said, ensure_ascii=False)
