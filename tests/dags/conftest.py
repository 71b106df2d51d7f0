"""Airflow without a database, and the pipeline replaced by one that keeps what it was asked."""

import pytest

from pipeline.bootstrap import Pipeline
from pipeline.bootstrap.faces import FacePipeline
from plugins.outside import pipeline
from tests.desk import Desk

OUTSIDE = {
    "RETRAIN_MLOPS_DSN": "postgresql://mlops@127.0.0.1:1/mlops",
    "RETRAIN_MLOPS_VIEWER_DSN": "postgresql://viewer@127.0.0.1:1/mlops",
    "RETRAIN_HELPER_DSN": "postgresql://reader@127.0.0.1:1/helper",
    "RETRAIN_ACCESS_DSN": "postgresql://reader@127.0.0.1:1/access",
    "RETRAIN_S3_ENDPOINT": "http://127.0.0.1:1",
    "RETRAIN_S3_REGION": "us-east-1",
    "RETRAIN_S3_ACCESS_KEY_ID": "test",
    "RETRAIN_AMQP_URL": "amqp://guest@127.0.0.1:1/%2F",
    "RETRAIN_MLFLOW_URL": "http://127.0.0.1:1",
    "RETRAIN_FACESERVE_REPLICAS": '["127.0.0.1:1"]',
    "RETRAIN_FACESERVE_TOKEN": "test",
    "AIRFLOW_VAR_RETRAINING_THRESHOLDS": "{}",
}


@pytest.fixture(autouse=True)
def settings_of_the_environment(monkeypatch):
    """Of the outside world nothing is asked of Airflow, but where a test says so."""
    for name, value in OUTSIDE.items():
        monkeypatch.setenv(name, value)
    pipeline.forget()


@pytest.fixture
def face_desk(monkeypatch):
    """The part of the pipeline that makes face models."""
    made = Desk(FacePipeline)
    monkeypatch.setattr(FacePipeline, "from_env", classmethod(lambda cls, *_: made))
    return made


@pytest.fixture
def desk(monkeypatch):
    made = Desk()
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls, *_: made))
    return made
