"""A fault each minute, in a random order: until half-time to one half of the programs, then to the other.

So each program lives half of the time unharmed, and what it loses slowly can be seen.
"""

import time
from collections.abc import Callable, Iterator, Mapping
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


_HUNG = {f"{name} hangs for {_HUNG_SECONDS:.0f} s": name for name in REPLICAS}


def kinds(world: World) -> dict[str, Callable[[], object]]:
    """What may be done to the world, by what people would say happened."""
    killed = {said: partial(world.kill, *which) for said, which in _KILLED.items()}
    return {**killed, **{said: partial(_hang, world, name) for said, name in _HUNG.items()}}


def _hang(world: World, name: str) -> None:
    with world.hung(name):
        time.sleep(_HUNG_SECONDS)


def in_turn(harmed: Mapping[str, str], chance: Random, first_half: Callable[[], bool]) -> Iterator[str]:
    """For ever: what is to happen; `harmed` says to which program."""
    programs = sorted(set(harmed.values()))
    first = set(chance.sample(programs, len(programs) // 2))
    while True:
        is_first = first_half()
        for said in chance.sample(sorted(harmed), len(harmed)):
            if (harmed[said] in first) == is_first == first_half():
                yield said


class Strikes:
    """`strike` makes one fault, and waits until everything runs again; `struck` has what was done so far."""

    def __init__(self, world: World, chance: Random, half_seconds: float) -> None:
        self._world, self._kinds = world, kinds(world)
        half_time = time.monotonic() + half_seconds
        harmed = {**{said: program for said, (program, _) in _KILLED.items()}, **_HUNG}
        self._next = in_turn(harmed, chance, lambda: time.monotonic() < half_time)
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
