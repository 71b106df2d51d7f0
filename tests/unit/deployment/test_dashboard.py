"""The Grafana dashboard asks for metrics that faceserve has."""

import json
import re

import pytest
from prometheus_client import generate_latest

from faceserve.metrics import Metrics
from include.stack.layout import REPOSITORY

DASHBOARD = json.loads((REPOSITORY / "include/grafana/dashboards/serving.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture(scope="module")
def exported():
    """Names of every sample after one request and one swap."""
    metrics = Metrics(("laundry",))
    with metrics.request("laundry") as seen:
        seen.version, seen.inference_seconds = "v1.0.0", 0.01
    metrics.swaps.labels("laundry", "activated").inc()
    metrics.swap_seconds.labels("laundry").observe(1e-6)
    metrics.active.labels("laundry", "v1.0.0").set(1)
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


@pytest.mark.parametrize("query", QUERIES)
def test_every_query_names_metrics_that_exist(exported, query):
    names = set(re.findall(r"\b(?:faceserve|process)_[a-z_]+", query))
    assert names
    assert names <= exported


def test_panels_do_not_overlap_and_have_titles():
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert all(p["title"] for p in DASHBOARD["panels"])
