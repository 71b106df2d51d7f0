"""Series of versions that are gone leave: a replica lives for hundreds of deployments."""

import pytest

from faceserve.errors import InferenceFailed
from faceserve.metrics import Metrics

MODELS = ("laundry", "face")


@pytest.fixture
def metrics():
    return Metrics(MODELS)


def ask(metrics, version, model="laundry"):
    with metrics.request(model) as seen:
        seen.version, seen.inference_seconds = version, 0.01


def versions(metrics, model="laundry"):
    """Every version that any series names."""
    samples = (sample for family in metrics.registry.collect() for sample in family.samples)
    return {s.labels["version"] for s in samples if "version" in s.labels and s.labels.get("model") == model}


def test_a_hundred_deployments_leave_the_series_of_a_few_versions(metrics):
    ask(metrics, "v1", model="face")
    for number in range(100):
        before = f"v{number - 1}" if number else None
        metrics.serves("laundry", f"v{number}", instead_of=before)
        ask(metrics, f"v{number}")
    assert versions(metrics) == {f"v{number}" for number in range(92, 100)}
    assert set(metrics.totals("laundry")) == versions(metrics)
    assert versions(metrics, "face") == {"v1"}


def test_what_still_answers_stays_however_many_come_and_go(metrics):
    metrics.serves("laundry", "v1", instead_of=None)
    for number in range(50):
        ask(metrics, "v1")
        metrics.failed_on_trial("laundry", f"canary-{number}", "INTERNAL")
    assert "v1" in versions(metrics)
    assert len(versions(metrics)) == 8
    value = metrics.registry.get_sample_value("faceserve_active_version", {"model": "laundry", "version": "v1"})
    assert value == 1


def test_what_no_version_answered_is_counted(metrics):
    with pytest.raises(InferenceFailed), metrics.request("laundry"):
        raise InferenceFailed("no engine")
    assert "" in versions(metrics)
