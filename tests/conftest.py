"""Fixtures of every test that needs a real service; an Airflow home of the tests' own; nothing outlives the run."""

import os
import sys
import tempfile
from collections.abc import Iterator

import absl.logging
import hypothesis
import pytest

from faceserve.machine import priority
from pipeline.bootstrap.kinds import KINDS
from pipeline.domain.models import ModelType
from tests import lifeline
from tests.object_judge import Judge, judging
from tests.services import Services, running

# How long a case takes says how busy the machine is, not whether the code is right. Every run draws other cases,
# except where CI or a test of any bytes asks for the same ones.
hypothesis.settings.register_profile("project", deadline=None, max_examples=50)
# `make properties` looks for what nobody thought of, for as long as it takes.
hypothesis.settings.register_profile("long", deadline=None, max_examples=10_000)
hypothesis.settings.load_profile("project")


_LOWER = priority.lower
# Airflow writes its configuration at the first import, and the next conftest imports it before anything is configured.
_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="airflow-of-tests-")
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME.name


def pytest_configure(config: pytest.Config) -> None:
    # Airflow's first import has every handler closed; TensorFlow's closes the stream it was made with, pytest's.
    absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
    lifeline.hold()
    # Replicas within the tests' own process: what runs only on an idle processor would wait for all other tests.
    priority.lower = lambda: None
    config.add_cleanup(_AIRFLOW_HOME.cleanup)


@pytest.fixture
def lowest_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a replica's own process."""
    monkeypatch.setattr(priority, "lower", _LOWER)


@pytest.fixture
def two_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second model type is complete: that takes a row."""
    monkeypatch.setitem(KINDS, ModelType.FACE, KINDS[ModelType.LAUNDRY])


@pytest.fixture
def judged() -> Iterator[Judge]:
    """Nothing that a component asks of S3 is forbidden by the policy of its key."""
    with judging() as judge:
        yield judge
    assert judge.refused == []


@pytest.fixture(scope="session")
def running_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with running(tmp_path_factory.mktemp("stack"), ["postgres", "rabbitmq", "s3"]) as services:
        yield services


@pytest.fixture
def services(running_services: Services) -> Services:
    """PostgreSQL, RabbitMQ and S3, empty."""
    running_services.empty()
    return running_services
