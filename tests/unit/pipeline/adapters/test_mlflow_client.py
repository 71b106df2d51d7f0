"""Whoever asks our MLflow tells nobody else of it."""

import os
import subprocess
import sys

from include.stack.layout import REPOSITORY

_ASKED = """
from pipeline.adapters.mlflow_registry import MlflowExperiments
MlflowExperiments("http://127.0.0.1:9")
import mlflow
from mlflow.telemetry.client import get_telemetry_client
print(get_telemetry_client())
"""


def test_mlflows_telemetry_is_off_in_every_process_that_asks_it():
    # MLflow is silent by itself where it finds a test or CI.
    silent = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST")
    variables = {name: value for name, value in os.environ.items() if name not in silent}
    asked = subprocess.run(
        [sys.executable, "-c", _ASKED], cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=True
    )
    assert asked.stdout.strip() == "None"
