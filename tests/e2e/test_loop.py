"""The demo as a user runs it, on a stack of its own."""

import json
import os
import subprocess
import sys

import pytest

from include.stack import runner
from include.stack.layout import REPOSITORY

pytestmark = pytest.mark.e2e

# A busy test machine must not look like a slow model; the demo itself keeps the specification's bar.
_ENVIRONMENT = {
    "RETRAIN_MIN_THROUGHPUT_PER_SECOND": "0.5",
    "RETRAIN_MAX_MEAN_LATENCY_MS": "20000",
    "RETRAIN_PERFORMANCE_REQUESTS": "50",
    # The copy in int8 takes a minute: tests/integration/test_training.py has it made of the same network.
    "RETRAIN_EXPORT_FORMATS": '["onnx"]',
    # Drawing Airflow's pages costs a processor that other tests need: tests/browser/test_pictures.py has them taken.
    "CHROMIUM": "/none",
}


@pytest.mark.timeout(1200)
def test_corrections_become_a_better_model_that_serves_and_can_be_rolled_back(tmp_path):
    size = ["--base-photos", "200", "--live-photos", "950", "--requests-per-second", "4"]
    command = [sys.executable, "-m", "include.demo", *size]
    environment = {**os.environ, **_ENVIRONMENT, "STACK_DIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    try:
        done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        report = json.loads((tmp_path / "demo-report.json").read_text())
        assert report["passed"] and report["requests_failed"] == 0 and report["requests_sent"] > 200
        assert report["holdout_accuracy_after"] > report["holdout_accuracy_before"]
    finally:
        runner.clean(tmp_path)
    assert list(tmp_path.iterdir()) == []
