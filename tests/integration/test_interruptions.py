"""Real training processes with their checkpoints in a real S3, killed twice each at random moments."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.bench.training.dataset import photos, write
from include.bench.training.one_run import PARAMETERS
from include.bench.training.resuming import Kill, Life, lived
from pipeline.adapters.s3 import S3ObjectStore

pytestmark = pytest.mark.integration


def _lives(endpoint: str, signal: str, epochs: list[int]) -> list[Life]:
    """Of one run: one that ends after each of `epochs`, and one that nobody ends."""
    killed = [lived(endpoint, f"run-{signal}", Kill(signal, epoch, 0.01)) for epoch in epochs]
    return [*killed, lived(endpoint, f"run-{signal}")]


@pytest.mark.usefixtures("services")
def test_whenever_it_is_killed_a_training_comes_to_the_result_it_would_have_come_to(running_services):
    endpoint = running_services.stack.s3_endpoint
    write(S3ObjectStore(endpoint=endpoint), photos(40, 1), photos(16, 2))
    moments = {name: sorted(random.sample(range(1, PARAMETERS.epochs), 2)) for name in ("SIGKILL", "SIGTERM")}
    with ThreadPoolExecutor(3) as side_by_side:
        untouched = side_by_side.submit(lived, endpoint, "undisturbed")
        runs = {name: side_by_side.submit(_lives, endpoint, name, epochs) for name, epochs in moments.items()}
    for name, run in runs.items():
        *killed, last = run.result()
        assert [life.numbers for life in killed] == [None, None], f"{name} after {moments[name]}"
        assert last.numbers == untouched.result().numbers, f"{name} after {moments[name]}"
        for before, after in zip(killed, [*killed[1:], last], strict=True):
            again = before.last - after.first + 1
            assert again <= PARAMETERS.checkpoint_every_epochs, f"{name} after {moments[name]}"
