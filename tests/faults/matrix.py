"""The thirty rows: what fails, how it is made to, and the scenario, or the tests that prove it elsewhere."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from tests.faults import airflow, machine, messages, replicas, storage
from tests.faults.invariants import breaches
from tests.faults.world import NotHere, World


@dataclass(frozen=True)
class Row:
    """`scenario` strikes, demands what the row expects, and returns what was seen. `tests` are those that go further
    than it, or stand for it.
    """

    number: int
    fault: str
    injected: str
    scenario: Callable[[World], str] | None = None
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a row; `wrong` is empty when the scenario saw what it had to see, `broken` by invariant. `not_here`
    says why this machine could not make the fault.
    """

    row: Row
    seen: str
    seconds: float
    wrong: str = ""
    broken: Mapping[str, list[str]] = field(default_factory=dict)
    not_here: str = ""

    @property
    def held(self) -> bool:
        """What this machine could not make did not hold, either: nobody saw it."""
        return not self.wrong and not self.not_here and not any(self.broken.values())


def _both(world: World, strike: str) -> str:
    prepare = replicas.struck_in_prepare(world, strike)
    return f"in prepare: {prepare}. Between activations: {replicas.struck_between_activations(world, strike)}"


MANY = 100_000
ROWS = (
    Row(
        1,
        "broker killed while draining",
        f"kill -9 of beam during a drain of {MANY:,} confirmations, supervised",
        partial(messages.broker_killed_while_draining, count=MANY),
    ),
    Row(
        2,
        "broker gone",
        "stopped, two words on each of ten tasks meanwhile, started",
        messages.broker_gone,
    ),
    Row(
        3,
        "worker killed between commit and acknowledgement",
        "kill -9 of itself before it acknowledges",
        partial(messages.worker_killed, at=4, when="before"),
    ),
    Row(
        4,
        "worker killed before commit",
        "kill -9 of itself before it stores",
        partial(messages.worker_killed, at=3, when="before"),
    ),
    Row(
        5,
        "mlops database killed mid-batch",
        "kill -9 of the postmaster during a drain of 20,000, supervised",
        partial(messages.database_killed_mid_batch, count=20_000),
    ),
    Row(6, "Helper database locked", "`LOCK TABLE tasks` held by somebody", messages.helper_database_locked),
    Row(
        7,
        "relay killed after publishing, before its mark",
        "its mark waits for a lock, then kill -9",
        messages.relay_killed_before_its_mark,
    ),
    Row(
        8,
        "poison messages",
        "the whole corpus between good messages",
        messages.poison,
        ("tests/integration/test_odd_messages.py",),
    ),
    Row(
        9,
        "S3 refuses, hangs, cuts short, hands out wrong bytes",
        "a proxy between S3 and a replica that prepares a model",
        storage.object_store_in_trouble,
    ),
    Row(
        10,
        "disk full while writing objects, state file, checkpoints",
        "a tmpfs of four megabytes, filled; checkpoints by the tests",
        storage.disk_full,
        (
            "tests/integration/test_fitting.py::test_storage_that_is_full_leaves_the_checkpoint_before_and_training_goes_on_from_it",
            "tests/unit/faceserve/rollout/test_state.py",
        ),
    ),
    Row(
        11,
        "augment killed at any moment",
        "kill -9 at six random moments, a world of photos of its own",
        None,
        ("tests/integration/test_datasets.py::test_killed_at_any_moment_and_run_again_it_is_the_same_dataset",),
    ),
    Row(
        12,
        "train killed by 9 and TERM",
        "each once at a random moment; twenty times by `python -m include.bench run resume-kill resume-term`",
        None,
        ("tests/integration/test_interruptions.py",),
    ),
    Row(
        13,
        "train out of memory, NaN",
        "steps and trainer that meet both",
        None,
        (
            "tests/unit/pipeline/steps/test_train.py",
            "tests/integration/test_training.py",
            "tests/dags/test_training.py",
        ),
    ),
    Row(
        14,
        "MLflow down at each call",
        "a proxy that ends the connection at the first, second … request; MLflow stopped",
        storage.registry_away_at_each_call,
    ),
    Row(
        15,
        "scheduler, triggerer, dag-processor, api-server killed",
        "kill -9 of each while a rollback's run is on its way, supervised",
        airflow.killed_during_a_rollback,
    ),
    Row(
        16,
        "whole machine restarted in the middle",
        "kill -9 of every process, with a deployment and a drain on their way, then `up`",
        machine.machine_restarted,
    ),
    Row(
        17,
        "replica killed in prepare",
        "kill -9 once the first replica has prepared, supervised",
        partial(replicas.struck_in_prepare, strike="killed"),
        ("tests/integration/test_fleet_faults.py",),
    ),
    Row(
        18,
        "replica killed between the two activations",
        "its orders wait on the wire until the other has switched, then kill -9",
        partial(replicas.struck_between_activations, strike="killed"),
    ),
    Row(19, "replica killed while serving, restarted", "kill -9, supervised", replicas.killed_while_serving),
    Row(
        20,
        "replica hung during prepare, and during activation",
        "SIGSTOP, SIGCONT after the command's end",
        partial(_both, strike="hung"),
    ),
    Row(
        21,
        "network cut between pipeline and one replica",
        "a proxy ends all connections and refuses new ones",
        partial(_both, strike="cut"),
    ),
    Row(
        22,
        "bad artifact",
        "a bit of a registered file turned; eighteen more kinds in the tests",
        replicas.bad_artifact,
        ("tests/integration/test_bad_artifacts.py", "tests/integration/test_vetting.py"),
    ),
    Row(
        23,
        "state file corrupt or from the future",
        "cut short, empty, no JSON, of a later format; the file before it likewise",
        replicas.state_file_damaged,
        ("tests/replica/test_coming_back.py",),
    ),
    Row(
        24,
        "two deployments, two rollbacks, a rollback during a deployment",
        "commands beside each other",
        replicas.two_at_once,
    ),
    Row(
        25,
        "events from the future or months late",
        "event times (no clock of the machine is turned: that would need libfaketime)",
        messages.events_out_of_time,
    ),
    Row(
        26,
        "ten times as many requests as can be answered",
        "a load generator at a fixed rate on both replicas",
        machine.overload,
    ),
    Row(
        27,
        "slow callers, abandoned streams, 5,000 connections",
        "connections that say nothing or half of it (the machine has no ports for more)",
        partial(machine.silent_callers, count=5_000),
        ("tests/replica/test_idle_callers.py",),
    ),
    Row(
        28,
        "thundering redelivery",
        f"{MANY:,} taken without acknowledgement, then the channel closes",
        partial(messages.thundering_redelivery, count=MANY),
    ),
    Row(
        29,
        "credentials wrong or rotated",
        "wrong passwords and token of four connections; a password changed in the database",
        machine.wrong_credentials,
    ),
    Row(
        30,
        "migration interrupted",
        "kill -9 while it waits for a table; before it is noted, for each migration",
        None,
        ("tests/integration/test_migrations.py",),
    ),
)


def played(row: Row, world: World) -> Outcome:
    """Strike, let everything recover, check the five invariants."""
    assert row.scenario is not None, f"row {row.number} has no scenario"
    begun = time.monotonic()
    seen = not_here = ""
    wrong: list[str] = []
    broken: Mapping[str, list[str]] = {}
    # Whatever was not expected, of the recovery too, is a result of the matrix: the other rows are still played.
    try:
        seen = row.scenario(world)
    except NotHere as error:
        not_here = str(error)
    except Exception as error:  # noqa: BLE001
        wrong.append(f"{type(error).__name__}: {error}")
    try:
        world.recover()
        broken = breaches(world)
    except Exception as error:  # noqa: BLE001
        wrong.append(f"did not recover: {type(error).__name__}: {error}")
    return Outcome(row, seen, time.monotonic() - begun, "; ".join(wrong), broken, not_here)
