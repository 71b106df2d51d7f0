"""Faults of the model servers and of the way to them (rows 17-24)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.proxy import Proxy
from tests.faults.world import MODEL, PATIENCE_SECONDS, REPLICAS, Running, Said, World
from tests.waiting import until

FIRST, SECOND = REPLICAS
_REFUSED, _UNAVAILABLE = 1, 75


def killed_while_serving(world: World) -> str:
    champion, first = world.champion, []
    for name in REPLICAS:
        world.kill(name)
        world.await_replica(name)
        back = world.status(name)
        first.append(back.version)
        answered = world.callers.replicas[back.replica]
        until(lambda a=answered, b=back: world.callers.replicas[b.replica] > a, f"{name} to be asked", PATIENCE_SECONDS)
    assert set(first) == {champion}, first
    return f"killed one after the other: the first version that each named again was {champion}"


@contextmanager
def _wired(world: World) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """A wire to the second replica's lifecycle port, and the settings of a pipeline that uses it."""
    with Proxy(world.stack.port(f"{SECOND}_lifecycle")) as wire:
        first = f"127.0.0.1:{world.stack.port(f'{FIRST}_lifecycle')}"
        yield wire, {"RETRAIN_FACESERVE_REPLICAS": json.dumps([first, f"127.0.0.1:{wire.port}"])}


def struck_in_prepare(world: World, strike: str) -> str:
    """The first replica prepares alone: the second is struck while it has the version still to prepare."""
    champion, version = world.champion, world.new_version()
    with _wired(world) as (wire, settings), _strikes(world, wire)[strike]() as act:
        swap = world.hot_swap(version, RETRAIN_PREPARE_TIMEOUT_SECONDS="30", **settings)
        _await_prepared(world, FIRST, version)
        act()
        said = swap.said()
    return _nobody_switched(world, champion, version, said)


def struck_between_activations(world: World, strike: str) -> str:
    """While the second prepares, the wire takes no other connection: what it is told next waits until the first has
    switched.
    """
    champion, version = world.champion, world.new_version()
    with _wired(world) as (wire, settings), _strikes(world, wire)[strike]() as act:
        swap = world.hot_swap(version, RETRAIN_ACTIVATE_TIMEOUT_SECONDS="10", **settings)
        _await_order_to_prepare(world, wire, version)
        wire.open.clear()
        until(
            lambda: world.status(FIRST).version == version or swap.process.poll() is not None,
            "the first to switch",
            PATIENCE_SECONDS,
        )
        act()
        said = swap.said()
    return _nobody_switched(world, champion, version, said)


def _await_prepared(world: World, name: str, version: str) -> None:
    with world.lifecycle(name) as client:
        for status in client.watch(MODEL, timeout_seconds=120):
            if version in {*status.prepared, status.version}:
                return


def _await_order_to_prepare(world: World, wire: Proxy, version: str) -> None:
    before = wire.connections
    while version not in (seen := world.status(FIRST)).prepared and seen.version != version:
        before = wire.connections
    until(lambda: wire.connections > before, "the second to be told to prepare", PATIENCE_SECONDS)


def _strikes(world: World, wire: Proxy) -> dict[str, Callable]:
    @contextmanager
    def killed():
        yield lambda: world.kill(SECOND)

    @contextmanager
    def cut():
        yield wire.cut

    @contextmanager
    def hung():
        process = world.process(SECOND)
        yield process.suspend
        process.resume()

    return {"killed": killed, "cut": cut, "hung": hung}


def _nobody_switched(world: World, champion: str, version: str, said: Said) -> str:
    assert said.status == _UNAVAILABLE and world.champion == champion, said
    assert world.status(FIRST).version == champion
    world.recover()
    assert set(world.serving().values()) == {champion}
    again = world.hot_swap(version).said()
    assert again.status == 0, again
    return f"“{said.sentence[:160]}”; {champion} served on; asked again, {version} went live"


def bad_artifact(world: World) -> str:
    champion, version = world.champion, world.new_version()
    path = f"s3://models/{version}/openvino/model.bin"
    body = bytearray(world.objects.read(path))
    body[len(body) // 2] ^= 1
    world.objects.write(path, bytes(body))
    said = world.hot_swap(version).said()
    assert said.status == _REFUSED and "sha256" in said.sentence and world.champion == champion, said
    return f"one bit of one file: “{said.sentence[:160]}”"


def state_file_damaged(world: World) -> str:
    champion = world.champion
    assert champion is not None
    folder = world.stack.folder("faceserve-2")
    damages = {
        "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
        "empty": lambda path: path.write_bytes(b""),
        "no JSON": lambda path: path.write_text("ceci n'est pas un état"),
        "of a later release": lambda path: path.write_text('{"format": 99}'),
    }
    for damage in damages.values():
        with world.services.without(SECOND):
            for path in (folder / f"{MODEL}.json", folder / f"{MODEL}.before.json"):
                if path.exists():
                    damage(path)
        world.await_replica(SECOND)
        assert world.status(SECOND).version == champion
    return f"{', '.join(damages)}, the one before it too: the registry was asked, {champion} serves"


def two_at_once(world: World) -> str:
    one, other = world.new_version(), world.new_version()
    deployments = _race(world.hot_swap(one), world.hot_swap(other), win=1)
    world.recover()
    rollbacks = _race(*(_roll_back(world, actor) for actor in ("kim", "lee")))
    world.recover()
    # So that there is a version to go back to.
    assert world.hot_swap(world.new_version()).said().status == 0
    mixed = _race(world.hot_swap(world.new_version()), _roll_back(world, "kim"))
    return f"deployments: {deployments}; rollbacks: {rollbacks}; one of each: {mixed}"


def _roll_back(world: World, actor: str) -> Running:
    return world.begin("roll-back", "--reason", "two at once", "--actor", actor)


def _race(*both: Running, win: int = 2) -> str:
    """At most so many are done; who is not says why."""
    said = [one.said() for one in both]
    assert 0 < sum(one.status == 0 for one in said) <= win, said
    assert all(one.status == 0 or one.sentence for one in said), said
    return " and ".join("done" if one.status == 0 else f"“{one.sentence[:120]}”" for one in said)
