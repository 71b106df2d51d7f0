"""Asking the stack's Prometheus, over its HTTP API."""

import json
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from include.stack.layout import Stack
from include.stack.services import StackError

Series = tuple[dict[str, str], float]


class PrometheusApi:
    """`url` without a path, such as `http://127.0.0.1:9090`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expr: str) -> list[Series]:
        """Labels and value of every series now. Raises `StackError` when it does not answer or cannot read it."""
        found = self._get("query", query=expr)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def number(self, expr: str) -> float | None:
        """Of an expression that gives one number; None when there is no series."""
        found = self.query(expr)
        return found[0][1] if found else None

    def firing(self, **labels: str) -> set[str]:
        """Names of the alerts that fire with these labels."""
        found = [one["labels"] for one in self._get("alerts")["alerts"] if one["state"] == "firing"]
        return {one["alertname"] for one in found if labels.items() <= one.items()}

    def _get(self, path: str, **parameters: str) -> Any:
        try:
            with urlopen(f"{self._url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except (OSError, HTTPException, ValueError) as error:
            raise StackError(f"Prometheus does not answer {parameters or path}: {error}") from error


def prometheus_of(stack: Stack) -> PrometheusApi:
    return PrometheusApi(f"http://127.0.0.1:{stack.port('prometheus')}")
