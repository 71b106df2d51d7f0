"""What a person may do, asked the way Airflow's API asks it; the API decides again when something is done."""

from collections.abc import Iterable
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails


def allowed(user: Any, dag_ids: Iterable[str]) -> dict[str, bool]:
    """Whether `user` may start a run of each DAG."""
    manager = get_auth_manager()

    def may(dag_id: str) -> bool:
        about = {"method": "POST", "access_entity": DagAccessEntity.RUN, "details": DagDetails(id=dag_id)}
        return bool(manager.is_authorized_dag(**about, user=user))

    return {dag_id: may(dag_id) for dag_id in dag_ids}
