"""A new installation begins with a folder of labelled photos, and ends with a model that both replicas serve."""

import json
import os
import subprocess
import sys

import pytest

from include.demo.photos import base_specs, draw
from include.stack import runner
from include.stack.layout import REPOSITORY, environment

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# As in the demo's test; a small network, and few epochs, learn stains on cloth well enough.
_ENVIRONMENT = {
    "RETRAIN_MIN_THROUGHPUT_PER_SECOND": "0.5",
    "RETRAIN_MAX_MEAN_LATENCY_MS": "20000",
    "RETRAIN_PERFORMANCE_REQUESTS": "200",
    "RETRAIN_BACKBONE": "EfficientNetLite0",
    "RETRAIN_EPOCHS": "12",
    "RETRAIN_AUGMENTATION_COPIES": "2",
}


@pytest.mark.timeout(900)
def test_a_labelled_folder_becomes_the_version_that_every_replica_serves(tmp_path):
    photos, root = tmp_path / "photos", tmp_path / "stack"
    for number, spec in enumerate(base_specs(160, 3)):
        folder = photos / spec.label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03d}.jpg").write_bytes(draw(spec))
    names = ["postgres", "rabbitmq", "s3", "mlflow", "faceserve"]
    try:
        stack = runner.up(root, lambda text: None, names, preferred_ports=False)
        variables = {**os.environ, **environment(stack), **_ENVIRONMENT}

        def ask(*words):
            command = [sys.executable, "-m", "pipeline", *words]
            return subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)

        done = ask("first-model", str(photos), "--actor", "kim")
        assert done.returncode == 0, done.stderr[-5000:]
        answer = json.loads(done.stdout.splitlines()[-1])
        assert (answer["version"], len(answer["replicas"])) == ("v1.0.0", 2)
        assert "photos: 160/160 copied" in done.stderr and "epoch 1/12" in done.stderr
        (entry,) = [json.loads(line) for line in ask("history").stdout.splitlines() if '"promote"' in line]
        assert (entry["version"], entry["actor"]) == ("v1.0.0", "kim")
        again = ask("first-model", str(photos), "--run-id", "once-more")
        assert (again.returncode, "LAUNDRY has v1.0.0 already" in again.stderr) == (1, True)
    finally:
        runner.clean(root)
