"""Fixtures of every test that needs a real service."""

from collections.abc import Iterator

import pytest

from tests.services import Services, running


@pytest.fixture(scope="session")
def running_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with running(tmp_path_factory.mktemp("stack"), ["postgres", "rabbitmq", "s3"]) as services:
        yield services


@pytest.fixture
def services(running_services: Services) -> Services:
    """PostgreSQL, RabbitMQ and S3, empty."""
    running_services.empty()
    return running_services
