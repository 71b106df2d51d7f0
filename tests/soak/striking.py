"""A fault each minute: every kind once, in a random order, then all once more."""

import time
from collections.abc import Iterator
from functools import partial
from random import Random

from include.stack import runner
from tests.faults.world import PROGRAMS, REPLICAS, World

SERVICES = (*PROGRAMS, "exporter")
_HUNG_SECONDS = 3.0
_KILLED = {
    "the broker is killed": ("rabbitmq", "beam.smp"),
    "PostgreSQL is killed": ("postgres", ""),
    "S3 is killed": ("s3", ""),
    "MLflow is killed": ("mlflow", ""),
    "the Helper service is killed": ("helper", ""),
    "the exporter is killed": ("exporter", ""),
    **{f"{name} is killed": (name, "") for name in REPLICAS},
}


def kinds(world: World):
    """What may be done to the world, by what people would say happened."""
    killed = {said: partial(world.kill, *which) for said, which in _KILLED.items()}
    return killed | {f"{name} hangs for {_HUNG_SECONDS:.0f} s": partial(_hang, world, name) for name in REPLICAS}


def _hang(world: World, name: str) -> None:
    with world.hung(name):
        time.sleep(_HUNG_SECONDS)


def in_turn(names: list[str], chance: Random) -> Iterator[str]:
    while True:
        yield from chance.sample(names, len(names))


class Strikes:
    """`strike` makes one fault, and waits until everything runs again; `struck` has what was done so far."""

    def __init__(self, world: World, chance: Random) -> None:
        self._world, self._kinds = world, kinds(world)
        self._next = in_turn(list(self._kinds), chance)
        self.struck: list[str] = []

    def strike(self) -> None:
        name = next(self._next)
        self.struck.append(name)
        self._kinds[name]()
        self.mend()

    def mend(self) -> None:
        runner.up(self._world.stack.root, lambda text: None, SERVICES)
        for name in REPLICAS:
            self._world.await_replica(name)
