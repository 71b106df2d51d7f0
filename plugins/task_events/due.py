"""Whether the intake starts a retraining."""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import get_current_context


def may_start(decision: Mapping[str, Any], dag_id: str) -> bool:
    """Whether one is due and none is queued yet: a queued one will learn from the same corrections."""
    print(decision["reason"])
    if not decision["due"]:
        return False
    if get_current_context()["ti"].get_dr_count(dag_id, states=["queued"]):
        print(f"a run of {dag_id} waits already; it is not asked for twice")
        return False
    return True
