"""A real training process with its checkpoints in a real S3, ended at a random moment; the bench ends it twice."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.bench.training.dataset import photos, write
from include.bench.training.one_run import PARAMETERS
from include.bench.training.resuming import Kill, Life, lived
from pipeline.adapters.s3 import S3ObjectStore

pytestmark = pytest.mark.integration


def _lives(endpoint: str, kills: list[tuple[str, int]]) -> list[Life]:
    """Of one run: one that ends by each of `kills`, signal and epoch, and one that nobody ends."""
    killed = [lived(endpoint, "run", Kill(signal, epoch, 0.01)) for signal, epoch in kills]
    return [*killed, lived(endpoint, "run")]


@pytest.mark.slow
@pytest.mark.usefixtures("services")
def test_whenever_it_is_killed_a_training_comes_to_the_result_it_would_have_come_to(running_services):
    endpoint = running_services.stack.s3_endpoint
    write(S3ObjectStore(endpoint=endpoint), photos(40, 1), photos(16, 2))
    kills = [(random.choice(["SIGKILL", "SIGTERM"]), random.randrange(1, PARAMETERS.epochs))]
    with ThreadPoolExecutor(2) as side_by_side:
        untouched = side_by_side.submit(lived, endpoint, "undisturbed")
        *killed, last = side_by_side.submit(_lives, endpoint, kills).result()
    assert [life.numbers for life in killed] == [None], kills
    assert last.numbers == untouched.result().numbers, kills
    for before, after in zip(killed, [*killed[1:], last], strict=True):
        again = before.last - after.first + 1
        assert again <= PARAMETERS.checkpoint_every_epochs, kills
