"""Tables `training_runs` (every attempt) and `training_results` (the one that succeeded)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.adapters.process_lock import exclusive
from pipeline.domain.training import Attempt, ClassFigures, Hyperparameters, TrainingResult


class TrainingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    @contextmanager
    def exclusive(self, run_id: str) -> Iterator[None]:
        busy = f"run {run_id} is being trained by another process: try again when it has ended"
        with exclusive(self._database, f"training of {run_id}", busy):
            yield

    def record(self, run_id: str, dataset_id: str, attempt: Attempt) -> None:
        values = (
            run_id,
            attempt.number,
            dataset_id,
            Json(asdict(attempt.hyperparameters)),
            attempt.cause,
            attempt.detail,
            attempt.change,
        )
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO training_runs (run_id, attempt, dataset_id, hyperparameters, cause, detail, change)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (run_id, attempt) DO UPDATE SET"
                " hyperparameters = EXCLUDED.hyperparameters, cause = EXCLUDED.cause, detail = EXCLUDED.detail,"
                " change = EXCLUDED.change, recorded_at = now()",
                values,
            )

    def attempts(self, run_id: str) -> Sequence[Attempt]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT attempt, hyperparameters, cause, detail, change FROM training_runs WHERE run_id = %s"
                " ORDER BY attempt",
                (run_id,),
            )
            rows = cursor.fetchall()
        return [Attempt(number, Hyperparameters(**chosen), *rest) for number, chosen, *rest in rows]

    def on(self, dataset_id: str) -> Sequence[str]:
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT run_id FROM (SELECT run_id, dataset_id, recorded_at FROM training_runs"
                " UNION ALL SELECT run_id, dataset_id, recorded_at FROM training_results"
                " UNION ALL SELECT run_id, dataset_id, recorded_at FROM forgotten_training_runs) AS tried"
                " WHERE dataset_id = %s GROUP BY run_id ORDER BY min(recorded_at), run_id",
                (dataset_id,),
            )
            return [row[0] for row in cursor.fetchall()]

    def forget(self, run_id: str) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO forgotten_training_runs SELECT run_id, dataset_id, min(recorded_at) FROM training_runs"
                " WHERE run_id = %s GROUP BY 1, 2 ON CONFLICT DO NOTHING",
                (run_id,),
            )
            cursor.execute("DELETE FROM training_runs WHERE run_id = %s", (run_id,))

    def succeed(self, result: TrainingResult) -> None:
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO training_results (run_id, dataset_id, result) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                (result.run_id, result.dataset_id, json.dumps(asdict(result), default=_text)),
            )

    def result(self, run_id: str) -> TrainingResult | None:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT result FROM training_results WHERE run_id = %s", (run_id,))
            row = cursor.fetchone()
        return result_from_json(row[0]) if row else None


def _text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def result_from_json(fields: dict[str, Any]) -> TrainingResult:
    return TrainingResult(
        **{
            **fields,
            "confusion": tuple(tuple(row) for row in fields["confusion"]),
            "trained_at": datetime.fromisoformat(fields["trained_at"]),
            "hyperparameters": Hyperparameters(**fields["hyperparameters"]),
            "per_class": tuple(ClassFigures(**figures) for figures in fields.get("per_class", ())),
        }
    )
