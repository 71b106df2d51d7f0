"""What must hold after every fault (include/reliability.md), read off databases, queues, registry and replicas.

One sentence for each breach. Messages are counted by what was sent, not by what the intake says that it took.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache

from pipeline.domain.event_bounds import InvalidEvent
from pipeline.domain.events import parse_task_confirmed
from pipeline.domain.history import History
from pipeline.domain.models import Status
from pipeline.domain.transitions import Phase
from tests.builders import BUCKETS
from tests.faults.world import LAUNDRY, MODEL, REPLICAS, Said, World

# Of the command line: done, refused, done but not everywhere, try again.
_HONEST = {0, 1, 3, 75}
_ENDED = {"promoted", "aborted", "replaced"}
_BEGINNINGS = ("try again: ", "refused: ", "done, but not everywhere: ")


def breaches(world: World) -> dict[str, list[str]]:
    """By invariant; an empty list where it holds."""
    return {name: list(look(world)) for name, look in INVARIANTS.items()}


def _nothing_lost(world: World) -> Iterator[str]:
    stored = {key for (key,) in world.ask("SELECT key FROM task_confirmations")}
    letters = {letter.body: letter.reason for letter in world.letters.all()}
    told = [(name, body) for name, body in (*_of_the_helper(world), *(("a message", body) for body in world.sent))]
    for name, body in told:
        if key_of(body) not in stored and not letters.get(body):
            yield f"{name} is neither stored nor a dead letter with a reason: {body[:100]!r}"
    if waiting := world.broker.waiting():
        yield f"{waiting} messages are left in the queue"
    if pending := world.unpublished():
        yield f"{pending} events of the Helper service were never published"


def _of_the_helper(world: World) -> Iterator[tuple[str, bytes]]:
    for event_id, payload in world.ask_helper("SELECT id, payload FROM outbox WHERE published_at IS NOT NULL"):
        yield f"event {event_id} of the Helper service", json.dumps(payload, ensure_ascii=False).encode()


@cache
def key_of(body: bytes) -> str | None:
    """By which the pipeline knows it; None for what is no confirmation."""
    try:
        return parse_task_confirmed(body, now=datetime.now(UTC), photo_buckets=BUCKETS).key
    except InvalidEvent:
        return None


def _nothing_twice(world: World) -> Iterator[str]:
    sent = {key_of(body) for body in world.sent} | {key_of(body) for _, body in _of_the_helper(world)}
    rows = world.ask("SELECT key, task_id, confirmed_at FROM task_confirmations")
    for key, *_ in rows:
        if key not in sent:
            yield f"{key} is stored, and nobody sent it"
    twice = [what for what, times in Counter((task, at) for _, task, at in rows).items() if times > 1]
    yield from (f"the word on {task} of {at} is stored more than once" for task, at in twice)
    ((counted,),) = world.ask("SELECT coalesce(sum(stored), 0) FROM confirmation_totals")
    if counted != len(rows):
        yield f"the totals count {counted} confirmations, and {len(rows)} are stored"
    ((shown,),) = world.ask(
        "SELECT count(*) - count(DISTINCT (dataset_id, sha256)) FROM dataset_photos WHERE sha256 <> ''"
    )
    if shown:
        yield f"{shown} photos are in a dataset more than once"


def _service(world: World) -> Iterator[str]:
    """Every request was answered, by a version that verification accepted and the log knew of."""
    yield from (f"a request was refused: {refusal[:200]}" for refusal in world.callers.refusals)
    known = {entry.act.version for entry in world.tables.transitions.ledger(LAUNDRY).entries}
    for version in set(world.callers.answers) - {""}:
        rows = world.ask(f"SELECT run_id FROM model_versions WHERE version = '{version}'")
        blessing = world.tables.blessings.of_run(rows[0][0]) if rows else None
        if version not in known or blessing is None or not blessing.approved:
            yield f"{version} answered, which was never accepted and asked for"
    if world.callers.answers[""]:
        yield "a request was answered by no version"


def _one_truth(world: World) -> Iterator[str]:
    ledger = world.tables.transitions.ledger(LAUNDRY)
    rows = world.tables.versions.all(LAUNDRY)
    active = [row.version for row in rows if row.status is Status.ACTIVE]
    if active != [ledger.champion]:
        yield f"the log says {ledger.champion}, the rows {active}"
    aliases = aliases_of(world)
    wanted = {"champion": ledger.champion, "previous": ledger.previous}
    if (named := {alias: aliases.get(alias) for alias in wanted}) != wanted:
        yield f"the log says {wanted}, MLflow {named}"
    yield from _replicas(world, ledger)
    if ledger.unsettled or ledger.incomplete:
        yield f"not settled: {ledger.unsettled or ledger.incomplete}"


def _replicas(world: World, ledger: History) -> Iterator[str]:
    trial = ledger.trial.version if ledger.trial else None
    for name in REPLICAS:
        status = world.status(name)
        on_trial = status.canary.version if status.canary and status.canary.verdict not in _ENDED else None
        if (status.version, on_trial) != (ledger.champion, trial):
            yield f"the log says {ledger.champion} and on trial {trial}, {name} {status.version} and {on_trial}"


def aliases_of(world: World) -> Mapping[str, str]:
    """Our version numbers by MLflow's alias."""
    found = world.mlflow.get_registered_model(MODEL).aliases
    return {alias: world.mlflow.get_model_version(MODEL, n).tags["retraining.version"] for alias, n in found.items()}


def _honest(world: World) -> Iterator[str]:
    served = {e.act.version for e in world.tables.transitions.ledger(LAUNDRY).entries if e.phase is Phase.SERVED}
    for said in world.said:
        yield from _dishonest(said, served)
    yield from (f"a dead letter without a reason: {one.body[:100]!r}" for one in world.letters.all() if not one.reason)


def _dishonest(said: Said, served: set[str]) -> Iterator[str]:
    # A negative status is our own signal: who is killed says nothing.
    if said.status > 0 and (said.status not in _HONEST or not said.sentence.startswith(_BEGINNINGS)):
        yield f"{' '.join(said.words)} ended with {said.status} and no sentence: {said.complained[-300:]}"
    if said.status == 0 and said.words[0] in {"hot-swap", "roll-back"}:
        version = json.loads(said.told.splitlines()[-1])["version"]
        if version not in served:
            yield f"{' '.join(said.words)} reports success, and {version} never served"


INVARIANTS: Mapping[str, Callable[[World], Iterator[str]]] = {
    "I1": _nothing_lost,
    "I2": _nothing_twice,
    "I3": _service,
    "I4": _one_truth,
    "I5": _honest,
}
