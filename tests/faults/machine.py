"""Faults of the whole machine, of credentials, and of too many callers (rows 16, 26, 27 and 29)."""

import socket
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil

from faceserve import load_test
from include.stack.postgres import query
from tests.faults.messages import demand, stored
from tests.faults.world import PATIENCE_SECONDS, REPLICAS, World
from tests.tiny_model import grey_photo
from tests.waiting import until

_UNAVAILABLE = 75
# Callers with connections of their own.
_CROWD = 8
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def machine_restarted(world: World) -> str:
    """Everything ends at once, with a deployment and a drain on their way; then `up`."""
    world.send(*world.confirmations(5_000))
    before, champion = stored(world), world.champion
    with world.callers.silent():
        works = [world.hot_swap(world.new_version()), world.begin("accumulate")]
        until(lambda: stored(world) > before, "the drain to have begun", PATIENCE_SECONDS)
        everything = world.supervision.processes()
        for process in [*(psutil.Process(work.process.pid) for work in works), *everything]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everything, timeout=PATIENCE_SECONDS)
        statuses = [work.said().status for work in works]
        world.recover()
    assert world.broker.waiting() == 0
    ended = f"{len(everything)} processes and both commands ({statuses}) killed"
    return f"{ended}; {champion} served before, {world.champion} does now, and the queue is empty"


def overload(world: World) -> str:
    """Of ten times as many requests as were answered a second before."""
    with world.callers.silent():
        calm = _loaded(world, seconds=3.0, in_flight=2)
        rate = 10 * sum(one.code == "OK" for one in calm) / 3
        with ThreadPoolExecutor(_CROWD) as crowd:
            parts = [crowd.submit(_loaded, world, seconds=5.0, rate=rate / _CROWD) for _ in range(_CROWD)]
            flood = [one for part in parts for one in part.result()]
        after = _loaded(world, seconds=3.0, in_flight=2)
    codes = Counter(one.code for one in flood)
    took = sorted(one.milliseconds for one in flood if one.code == "OK")
    # What is beyond the calls of one connection waits at the client, until its own deadline; the others are told soon.
    assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"} and took, codes
    assert codes["RESOURCE_EXHAUSTED"], codes
    assert {one.code for one in after} == {"OK"}, Counter(one.code for one in after)
    p99_ms = took[len(took) * 99 // 100]
    return (
        f"{rate:.0f} requests a second: {dict(codes)}, p99 of the answered {p99_ms:.0f} ms; none is refused afterwards"
    )


def _loaded(world: World, *, seconds: float, rate: float = 0.0, in_flight: int = 4) -> list[load_test.Request]:
    photos = [grey_photo(20)]
    return load_test.run(load_test.Plan(world.stack.replicas, "laundry", photos, seconds, rate, in_flight))


def silent_callers(world: World, count: int) -> str:
    """They connect, some begin a request, and nobody goes on; half a minute of requests of others beside them."""
    name = REPLICAS[0]
    address, server = ("127.0.0.1", world.stack.port(name)), world.process(name)
    before_mb, answered = server.memory_info().rss / 1e6, world.callers.answers.total()
    sockets = []
    try:
        for number in range(count):
            with suppress(OSError):
                sockets.append(socket.create_connection(address, timeout=60))
                sockets[-1].sendall(_PREFACE[: number % (len(_PREFACE) + 1)])
        until(lambda: world.callers.answers.total() > answered + 100, "others to be answered", PATIENCE_SECONDS)
        grown_mb = server.memory_info().rss / 1e6 - before_mb
    finally:
        for one in sockets:
            one.close()
    assert len(sockets) > 0.99 * count, len(sockets)
    assert grown_mb < 500, grown_mb
    return (
        f"{len(sockets)} of {count} connections that say nothing or half: +{grown_mb:.0f} MB, everybody else answered"
    )


# Credentials


def wrong_credentials(world: World) -> str:
    """Each is refused by name, without its secret, and soon."""
    stack, wrong = world.stack, "not-the-password"

    def spoilt(url: str, secret: str) -> str:
        return url.replace(stack.secrets[secret], wrong)

    version = world.new_version()
    swap = ("hot-swap", "--version", version, "--reason", "the matrix")
    collect = ("collect", "--run-id", f"wrong-{world.number()}")
    cases: Mapping[str, tuple[tuple[str, ...], str]] = {
        "RETRAIN_MLOPS_DSN": (("accumulate",), spoilt(stack.dsn("mlops", "mlops"), "mlops")),
        "RETRAIN_HELPER_DSN": (collect, spoilt(stack.dsn("mlops_reader", "helper"), "mlops_reader")),
        "RETRAIN_AMQP_URL": (("accumulate",), spoilt(stack.amqp_url, "rabbitmq")),
        "RETRAIN_FACESERVE_TOKEN": (swap, wrong),
    }
    told = []
    for name, (command, value) in cases.items():
        begun = time.monotonic()
        said = world.run(*command, **{name: value})
        assert said.status in {1, _UNAVAILABLE} and wrong not in said.told + said.complained, said
        told.append(f"{name} “{said.sentence[:110]}” ({time.monotonic() - begun:.0f} s)")
    _demand_no_storm(world)
    told.append(_rotated(world))
    return "; ".join(told)


def _demand_no_storm(world: World) -> None:
    log = world.stack.log("postgres").read_text(errors="replace")
    for role in ("mlops", "mlops_reader"):
        tries = log.count(f'password authentication failed for user "{role}"')
        assert tries <= 3, f"{role} tried {tries} times"


def _rotated(world: World) -> str:
    """The password changes in the database first: commands say so until they get the new one."""
    admin, new = world.stack.dsn("postgres", "postgres"), "the-next-password"
    old = world.stack.secrets["mlops"]
    query(admin, "ALTER ROLE mlops PASSWORD %s", (new,))
    try:
        demand(world.run("accumulate"), _UNAVAILABLE, "try again: the mlops database is unavailable")
        renewed = world.run("accumulate", RETRAIN_MLOPS_DSN=world.stack.dsn("mlops", "mlops").replace(old, new))
        assert renewed.status == 0, renewed
    finally:
        query(admin, "ALTER ROLE mlops PASSWORD %s", (old,))
    return "a rotated password is refused until the setting follows"
