"""Table `retraining_decisions`: why a retraining started, and why none did."""

import uuid
from datetime import datetime

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingDecision


class DecisionTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def record(self, model_type: ModelType, decision: RetrainingDecision, *, at: datetime, asked_by: str) -> str:
        decision_id = f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        backlog = decision.backlog
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO retraining_decisions (id, model_type, due, rule, reason, corrections, since_last_try,"
                " last_trained_at, asked_by, decided_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    decision_id,
                    model_type,
                    decision.due,
                    decision.rule,
                    decision.reason,
                    backlog.corrections,
                    backlog.since_last_try,
                    backlog.last_trained_at,
                    asked_by,
                    at,
                ),
            )
        return decision_id

    def forget(self, model_type: ModelType, *, before: datetime, dry_run: bool) -> int:
        old = "model_type = %s AND decided_at < %s AND NOT due"
        return self._database.deleted("retraining_decisions", old, (model_type, before), dry_run=dry_run)
