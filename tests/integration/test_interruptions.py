"""A real training process with its checkpoints in a real S3, killed twice at random moments."""

import random

import pytest

from include.bench.training.dataset import photos, write
from include.bench.training.one_run import PARAMETERS
from include.bench.training.resuming import lived
from pipeline.adapters.s3 import S3ObjectStore

pytestmark = pytest.mark.integration


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("services")
def test_whenever_it_is_killed_a_training_comes_to_the_result_it_would_have_come_to(running_services):
    endpoint = running_services.stack.s3_endpoint
    write(S3ObjectStore(endpoint=endpoint), photos(24, 1), photos(16, 2))
    undisturbed = lived(endpoint, "undisturbed")
    rng = random.Random()
    for name in ("SIGKILL", "SIGTERM"):
        moments = [(rng.randrange(1, PARAMETERS.epochs), rng.uniform(0, 0.05)) for _ in range(2)]
        lives = [lived(endpoint, f"run-{name}", kill=(name, *moment)) for moment in sorted(moments)]
        lives.append(lived(endpoint, f"run-{name}"))
        assert [life.numbers for life in lives[:-1]] == [None, None]
        assert lives[-1].numbers == undisturbed.numbers, f"{name} at {moments}"
        for before, after in zip(lives, lives[1:], strict=False):
            assert before.last - after.first < PARAMETERS.checkpoint_every_epochs, f"{name} at {moments}"
