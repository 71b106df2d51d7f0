"""Airflow without a database, and the pipeline replaced by one that keeps what it was asked."""

import pytest

from pipeline.bootstrap import Pipeline
from tests.desk import Desk


@pytest.fixture
def desk(monkeypatch):
    made = Desk()
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: made))
    return made
