"""Table `verification_checks`: what each part of verification found, until a blessing makes it final."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.adapters.mlops_db import MlopsDatabase
from pipeline.domain.checks import Check, Outcome, Weight, plain_json


class CheckTable:
    def __init__(self, database: MlopsDatabase) -> None:
        self._database = database

    def save(self, run_id: str, part: str, checks: Sequence[Check]) -> None:
        body = checks_to_json(checks)
        with self._database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO verification_checks (run_id, part, checks) SELECT %s, %s, %s"
                " WHERE NOT EXISTS (SELECT 1 FROM blessings WHERE run_id = %s)"
                " ON CONFLICT (run_id, part) DO UPDATE SET checks = EXCLUDED.checks, recorded_at = now()",
                (run_id, part, body, run_id),
            )

    def of(self, run_id: str) -> Sequence[Check]:
        with self._database.transaction() as cursor:
            cursor.execute("SELECT checks FROM verification_checks WHERE run_id = %s ORDER BY part", (run_id,))
            return [check_from_json(fields) for (checks,) in cursor.fetchall() for fields in checks]


def checks_to_json(checks: Sequence[Check]) -> str:
    return plain_json([asdict(check) for check in checks])


def check_from_json(fields: dict[str, Any]) -> Check:
    # Checks of earlier releases have no weight: all of them were floors.
    weight = Weight(fields.get("weight", Weight.FLOOR))
    return Check(**{**fields, "outcome": Outcome(fields["outcome"]), "weight": weight})
