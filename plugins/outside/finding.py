"""Looking up a connection or a variable, and telling *there is none* from *nobody knows*."""

from collections.abc import Callable
from typing import Any

from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowNotFoundException


class NobodyKnows(Exception):
    """A place where secrets are kept did not answer; its error is the cause. What is sought may exist."""


def find_connection(conn_id: str) -> Any | None:
    """None when every place says that there is none: Airflow says *not found* also when one did not answer."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        from airflow.sdk.execution_time.comms import GetConnection

        _demand_answers(GetConnection(conn_id=conn_id), lambda place: place.get_connection(conn_id=conn_id))
        return None
    except Exception as error:
        raise NobodyKnows(conn_id) from error


def find_variable(key: str) -> str | None:
    """As a connection."""
    found = Variable.get(key, default=None)
    if found is None:
        from airflow.sdk.execution_time.comms import GetVariable

        _demand_answers(GetVariable(key=key), lambda place: place.get_variable(key=key))
    return None if found is None else str(found)


def _demand_answers(question: Any, ask: Callable[[Any], Any]) -> None:
    from airflow.sdk.execution_time import supervisor, task_runner
    from airflow.sdk.execution_time.secrets.execution_api import ExecutionAPISecretsBackend

    try:
        for place in supervisor.ensure_secrets_backend_loaded():
            if isinstance(place, ExecutionAPISecretsBackend):
                # It keeps to itself that the api-server did not answer; the connection to it does not.
                task_runner.SUPERVISOR_COMMS.send(question)
            else:
                ask(place)
    except Exception as error:
        raise NobodyKnows(str(question)) from error
