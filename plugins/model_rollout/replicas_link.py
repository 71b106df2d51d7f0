"""A button of the tasks that change what serves."""

from typing import Any

from airflow.sdk import BaseOperatorLink


class ReplicasLink(BaseOperatorLink):
    """What each replica serves now, on the page about models."""

    name = "Replicas"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        # Imported where it is used: parsing a DAG does not need Airflow's configuration.
        from airflow.sdk.configuration import conf

        base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return f"{base}/plugin/models?model_type={operator.model_type}"
