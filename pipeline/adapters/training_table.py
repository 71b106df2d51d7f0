"""Tables `training_runs` (every attempt) and `training_results` (the one that succeeded)."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.training import Attempt, Hyperparameters, TrainingResult


class TrainingTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

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
        return _result(row[0]) if row else None


def _text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _result(fields: dict[str, Any]) -> TrainingResult:
    return TrainingResult(
        **{
            **fields,
            "confusion": tuple(tuple(row) for row in fields["confusion"]),
            "trained_at": datetime.fromisoformat(fields["trained_at"]),
            "hyperparameters": Hyperparameters(**fields["hyperparameters"]),
        }
    )
