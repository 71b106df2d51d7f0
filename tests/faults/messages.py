"""Faults of the way that confirmations take: broker, worker, databases, relay (rows 1-8, 25 and 28)."""

import json
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg2

from pipeline.domain.errors import ServiceUnavailable
from tests.broker import QUEUE
from tests.corpus.messages import messages
from tests.faults.world import Said, World
from tests.tiny_model import grey_photo
from tests.waiting import until

_UNAVAILABLE = 75


def broker_killed_while_draining(world: World, count: int) -> str:
    said, before = _struck_while_draining(world, count, lambda: world.kill("rabbitmq", "beam.smp"))
    demand(said, _UNAVAILABLE, "try again: RabbitMQ is unavailable")
    world.recover()
    return f"killed after {before} of {count}: “{said.sentence[:80]}…”; all stored after the next run of the intake"


def database_killed_mid_batch(world: World, count: int) -> str:
    said, before = _struck_while_draining(world, count, lambda: world.kill("postgres"))
    demand(said, _UNAVAILABLE, "try again: the mlops database is unavailable")
    world.recover()
    return f"killed after {before} of {count}: “{said.sentence[:80]}…”; all stored after the next run of the intake"


def _struck_while_draining(world: World, count: int, strike) -> tuple[Said, int]:
    """What the drain said, and how many were stored by then."""
    world.send(*world.confirmations(count))
    before = stored(world)
    drain = world.begin("accumulate")
    until(lambda: stored(world) > before, "the first batch to be stored")
    strike()
    return drain.said(), _stored_again(world) - before


def _stored_again(world: World) -> int:
    found: list[int] = []

    def answers() -> bool:
        try:
            found.append(stored(world))
        except ServiceUnavailable:
            return False
        return True

    until(answers, "the database to answer", 120)
    return found[-1]


def stored(world: World) -> int:
    return int(world.ask("SELECT count(*) FROM task_confirmations")[0][0])


def demand(said: Said, status: int, sentence: str) -> None:
    assert said.status == status and said.sentence.startswith(sentence), said


def broker_gone(world: World) -> str:
    tasks = [new_task(world) for _ in range(10)]
    with world.services.without("rabbitmq"):
        for word in ("양호", "불량"):
            for task in tasks:
                confirm(world, task, word)
        waits = world.unpublished()
        demand(world.run("accumulate"), _UNAVAILABLE, "try again: RabbitMQ is unavailable")
    world.recover()
    last = "SELECT DISTINCT ON (task_id) final_result FROM task_confirmations WHERE task_id LIKE 'H-%' "
    came = {word for (word,) in world.ask(f"{last} ORDER BY task_id, received_at DESC, confirmed_at DESC")}
    assert came == {"불량"}, came
    return (
        f"{2 * len(tasks)} words were taken meanwhile, {waits} waited in the outbox; the later word of each came last"
    )


def new_task(world: World) -> dict:
    """A photo that the Helper service has the AI's verdict on."""
    name = f"H-{world.number()}"
    url = f"s3://tasks/{name}.jpg"
    world.objects.write(url, grey_photo(20))
    return _post(world, "/helper/tasks", {"taskId": name, "helperId": "H-1", "photoUrl": url})


def confirm(world: World, task: dict, word: str) -> dict:
    ai = task["aiResult"]
    said = {"finalResult": word, "aiResult": ai, "corrected": word != ai, "correctionReason": None}
    return _post(world, f"/helper/tasks/{task['taskId']}/confirm", said)


def _post(world: World, path: str, fields: dict) -> dict:
    address = f"http://127.0.0.1:{world.stack.port('helper')}{path}"
    request = urllib.request.Request(address, json.dumps(fields).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def worker_killed(world: World, at: int, when: str) -> str:
    """At a port call of the intake: 3 stores a batch, 4 acknowledges it."""
    before = stored(world)
    world.send(*world.confirmations(200))
    killed = world.run(str(at), when, module="tests.faults.dying")
    assert killed.status == -9, killed
    kept = stored(world) - before
    until(lambda: world.broker.waiting() == 200, "the broker to take the messages back")
    counts = world.pipeline.accumulate()
    return f"killed with {kept} of 200 stored; the next drain found {counts['new']} new and knew {counts['duplicates']}"


def helper_database_locked(world: World) -> str:
    holder = psycopg2.connect(world.stack.dsn("helper_owner", "helper"))
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        said = world.run("collect", "--run-id", f"locked-{world.number()}")
    finally:
        holder.close()
    demand(said, _UNAVAILABLE, "try again: the Helper database is unavailable")
    return f"“{said.sentence}”"


@contextmanager
def _marking_waits(world: World):
    """The relay has published, and its mark waits for a lock that we hold."""
    holder = psycopg2.connect(world.stack.dsn("postgres", "helper"))
    holder.autocommit = True
    with holder.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION wait_there() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock(18); RETURN NEW; END $$;"
            "CREATE TRIGGER wait_there BEFORE UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION wait_there();"
            "SELECT pg_advisory_lock(18)"
        )
        try:
            yield cursor
        finally:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted;"
                "DROP TRIGGER wait_there ON outbox; DROP FUNCTION wait_there()"
            )
            holder.close()


def relay_killed_before_its_mark(world: World) -> str:
    task = new_task(world)
    with _marking_waits(world):
        confirm(world, task, "불량")
        until(lambda: world.broker.waiting() == 1, "the event to be published")
        world.kill("helper")
    until(lambda: world.broker.waiting() == 2, "the event to be published again", 120)
    counts = world.pipeline.accumulate()
    assert (counts["new"], counts["duplicates"]) == (1, 1), counts
    return "published twice, stored once"


def poison(world: World) -> str:
    odd = dict(messages())
    good = world.confirmations(len(odd))
    pairs = zip(good, odd.values(), strict=True)
    taken = world.broker.send(*(one for body, o in pairs for one in ((body, b"\0\0"), (o.body, o.properties))))
    assert taken == 2 * len(odd)
    world.sent += [*good, *(entry.body for entry in odd.values())]
    counts = world.pipeline.accumulate()
    refused = sum(entry.because is not None for entry in odd.values())
    assert (counts["dead_lettered"], counts["parked"]) == (refused, 0), counts
    return f"{len(odd)} odd messages between as many good ones: {refused} dead letters with reasons, the rest stored"


def events_out_of_time(world: World) -> str:
    now, champion = datetime.now(UTC), world.champion
    days = {"tomorrow": 1, "in a year": 365, "a year ago": -365, "yesterday": -1}
    at = {name: (now + timedelta(days=days)).isoformat() for name, days in days.items()}
    for moment in at.values():
        world.send(*world.confirmations(60, timestamp=moment, modelVersion=champion))
    counts = world.pipeline.accumulate()
    assert (counts["new"], counts["dead_lettered"]) == (120, 120), counts
    seen = world.run("watch")
    assert seen.status == 0 and world.champion == champion, seen
    decision = json.loads(seen.told.splitlines()[-1])
    assert not decision["act"], decision
    return f"120 from the future: dead letters; 120 late ones are stored; the monitor: “{decision['reason']}”"


def thundering_redelivery(world: World, count: int) -> str:
    world.send(*world.confirmations(count))
    with world.broker.channel() as channel:
        # A quorum queue gives a consumer 2,000 at most that it has not acknowledged; asked one by one it gives all.
        for _ in range(count):
            channel.basic_get(QUEUE)
    until(lambda: world.broker.waiting() == count, "all to be back in the queue", 120)
    begun = datetime.now(UTC)
    counts = world.pipeline.accumulate()
    seconds = (datetime.now(UTC) - begun).total_seconds()
    assert (counts["new"], counts["dead_lettered"], counts["parked"]) == (count, 0, 0), counts
    return (
        f"{count} unacknowledged came back at once and were drained in {seconds:.0f} s ({count / seconds:.0f} a second)"
    )
