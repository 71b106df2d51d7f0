"""The result of a training as the specification writes it."""

import pytest

from pipeline.domain.models import ModelType
from pipeline.ports.bundles import Registration
from pipeline.steps.report_training import report_training
from tests.builders import a_model_version, a_training_result
from tests.fakes.data import FakeObjects
from tests.fakes.deployment import FakeRegistry, FakeTransitions, FakeVersions
from tests.fakes.events import FakeOutbox
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings
from tests.histories import a_history


def report(*registered, **result):
    """`registered` versions, the last of which serves."""
    versions = FakeVersions()
    transitions = FakeTransitions(versions)
    for version in registered:
        versions.register(version)
    transitions.ledgers[ModelType.LAUNDRY] = a_history(*(f"promote {version.version}" for version in registered))
    registration = Registration(
        versions, transitions, FakeTrainingRuns(), FakeBlessings(FakeOutbox()), FakeRegistry(), FakeObjects(), {}
    )
    return report_training(registration, ModelType.LAUNDRY, a_training_result(**result))


def test_a_result_has_the_fields_of_the_specification():
    assert report(training_seconds=11_520.0) == {
        "run_id": "run-1",
        "model_type": "LAUNDRY",
        "modelVersion": "v1.0.0",
        "accuracy": 0.95,
        "val_accuracy": 0.93,
        "loss": 0.15,
        "f1_score": 0.94,
        "trainingTime": "3h 12m",
        "epochs_completed": 42,
    }


@pytest.mark.parametrize(
    ("result", "number"),
    [
        ({"dataset_id": "DS-2026-002"}, "v2.4.0"),
        ({"dataset_id": "DS-2026-001"}, "v2.3.6"),
        ({"backbone": "EfficientNetLite0"}, "v3.0.0"),
    ],
)
def test_the_version_is_the_one_it_gets_if_it_is_accepted(result, number):
    assert report(a_model_version("v2.3.5"), **result)["modelVersion"] == number


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "0m 12s"), (125, "2m 5s"), (3600, "1h 0m")])
def test_short_trainings_are_told_in_seconds(seconds, text):
    assert report(training_seconds=seconds)["trainingTime"] == text
