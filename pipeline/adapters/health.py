"""Whether Airflow and the registry are healthy, according to their HTTP endpoints."""

import json
from collections.abc import Mapping
from http.client import HTTPException
from urllib.request import urlopen

from pipeline.domain.errors import ServiceUnavailable

_SECONDS = 3.0


def airflow_health(url: str) -> Mapping[str, bool]:
    """Whether each part of Airflow is healthy. Raises `ServiceUnavailable` when there is no sensible answer."""
    try:
        found = json.loads(_answer(f"{url.rstrip('/')}/api/v2/monitor/health", "Airflow"))
        return {str(part): said.get("status") == "healthy" for part, said in found.items()}
    except (ValueError, AttributeError) as error:
        raise ServiceUnavailable("Airflow", f"its health is not readable: {error}") from error


def demand_registry(url: str) -> None:
    """Raises `ServiceUnavailable` unless MLflow answers."""
    _answer(f"{url.rstrip('/')}/health", "MLflow")


def _answer(url: str, name: str) -> bytes:
    try:
        with urlopen(url, timeout=_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, HTTPException) as error:
        raise ServiceUnavailable(name, f"{url}: {error}") from error
