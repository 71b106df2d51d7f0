"""Two devices learn what one learns: features, both phases and the exported model."""

import json
import subprocess
import sys

import pytest

from pipeline.domain.errors import GiveUp
from pipeline.learning.devices import demand_gpus

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_two_devices_come_to_the_result_of_one():
    command = [sys.executable, "-m", "tests.two_devices"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = json.loads(done.stdout.splitlines()[-1])
    assert one["phases"] == two["phases"] == ["head"] * 3 + ["fine_tuning"] * 3
    assert one["fine_tuned"] and two["fine_tuned"]
    for a, b in zip(one["losses"], two["losses"], strict=True):
        assert b == pytest.approx(a, abs=1e-4)
    assert two["result"] == pytest.approx(one["result"], abs=1e-4)


def test_a_training_that_was_given_gpus_and_finds_none_says_so_at_once():
    demand_gpus(0)
    with pytest.raises(GiveUp, match="this training was given 2 GPUs and finds 0: it needs the CUDA variant"):
        demand_gpus(2)
