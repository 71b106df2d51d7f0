"""The stack's real programs with one model live, asked all the time: what the faults of the matrix strike."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from include.contract.lifecycle_client import FaceserveError, LifecycleClient
from include.contract.manifest import MANIFEST
from include.contract.signature import SIGNATURE, sign
from include.stack import runner
from include.stack.layout import REPOSITORY, environment
from include.stack.postgres import query
from include.stack.signing_keys import SigningKeys
from include.stack.supervision import Supervision
from pipeline.adapters.dead_letters import RabbitDeadLetters
from pipeline.adapters.mlflow_registry import MlflowModelRegistry
from pipeline.adapters.s3 import S3ObjectStore
from pipeline.bootstrap import Pipeline
from pipeline.domain.models import Artifact, ModelType
from tests.accepted import accepted_version
from tests.broker import EXCHANGE, QUEUE, Broker
from tests.builders import event_body
from tests.contract.test_tables import Tables
from tests.faults.callers import Callers
from tests.services import Services, running
from tests.tiny_model import manifest_sha256, tiny_artifact
from tests.waiting import until

if TYPE_CHECKING:
    from mlflow import MlflowClient

LAUNDRY, MODEL = ModelType.LAUNDRY, "laundry"
PROGRAMS = ("postgres", "rabbitmq", "s3", "mlflow", "faceserve", "helper")
REPLICAS = ("faceserve_1", "faceserve_2")
# What only has to end: a busy machine takes its time.
PATIENCE_SECONDS = 240


class NotHere(Exception):
    """This machine cannot make the fault; the text says what it would need."""


@dataclass(frozen=True)
class Said:
    """A command of the pipeline after its end: its words, its exit status (negative: the signal that ended it), what
    it told.
    """

    words: tuple[str, ...]
    status: int
    told: str
    complained: str

    @property
    def sentence(self) -> str:
        """The last line of its complaints."""
        return (self.complained.strip().splitlines() or [""])[-1]


class Running:
    """A command that was begun; `said` waits for its end."""

    def __init__(self, words: tuple[str, ...], process: "subprocess.Popen[str]", kept: list[Said]) -> None:
        self.words, self.process, self._kept = words, process, kept

    def kill(self) -> None:
        self.process.kill()

    def said(self) -> Said:
        told, complained = self.process.communicate(timeout=PATIENCE_SECONDS)
        said = Said(self.words, self.process.returncode, told, complained)
        self._kept.append(said)
        return said


class World:
    """`sent` are the messages that the broker confirmed, `said` is what every command of the pipeline came to."""

    def __init__(self, services: Services, callers: Callers) -> None:
        self.services, self.stack, self.callers = services, services.stack, callers
        self.supervision = Supervision(self.stack)
        self.tables, self.broker = Tables(services.mlops), Broker(services)
        self.letters = RabbitDeadLetters(self.broker.url, exchange=EXCHANGE, queue=QUEUE)
        self.registry = MlflowModelRegistry(f"http://127.0.0.1:{self.stack.port('mlflow')}")
        self.objects = S3ObjectStore(endpoint=self.stack.s3_endpoint)
        self.sent: list[bytes] = []
        self.said: list[Said] = []
        self._numbers, self._versions = itertools.count(1), itertools.count()

    # People and training

    def number(self) -> int:
        """One that nothing else has."""
        return next(self._numbers)

    def confirmations(self, count: int, **fields: object) -> list[bytes]:
        """Bodies of as many confirmations, each of a task of its own."""
        names = (f"TASK-{self.number():07d}" for _ in range(count))
        return [event_body(taskId=name, photoUrl=f"s3://tasks/{name}.jpg", **fields) for name in names]

    def send(self, *bodies: bytes) -> None:
        """Until the broker has confirmed each; many from several senders, since each waits for its confirmations."""
        senders = 8 if len(bodies) > 1000 else 1
        with ThreadPoolExecutor(senders) as pool:
            list(pool.map(self._publish, (bodies[number::senders] for number in range(senders))))
        self.sent += bodies

    def _publish(self, bodies: Sequence[bytes]) -> None:
        self.broker.publish(*((body, None) for body in bodies))

    def artifact(self, version: str, **changes: object) -> Artifact:
        files = tiny_artifact(sharpness=4 + int(version.split(".")[1]), **changes)
        uri = f"s3://models/{version}/"
        files |= {SIGNATURE: sign(files[MANIFEST], SigningKeys.of_stack(self.stack.root).private)}
        for path, body in files.items():
            self.objects.write(f"{uri}{path}", body)
        return Artifact(uri, manifest_sha256(files))

    def new_version(self) -> str:
        """One that verification accepted against the champion of now."""
        version = f"v1.{next(self._versions)}.0"
        return accepted_version(self.tables, self.registry, version, self.artifact(version))

    # The pipeline

    def begin(self, *command: str, module: str = "pipeline", **variables: str) -> Running:
        """A process of the pipeline with the stack's settings; `variables` replace some."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *command],
            cwd=REPOSITORY,
            env={**os.environ, **environment(self.stack), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return Running(command, process, self.said)

    def run(self, *command: str, module: str = "pipeline", **variables: str) -> Said:
        return self.begin(*command, module=module, **variables).said()

    def hot_swap(self, version: str, **variables: str) -> Running:
        return self.begin("hot-swap", "--version", version, "--reason", "the matrix", **variables)

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline.from_env()

    # What serves

    @property
    def mlflow(self) -> "MlflowClient":
        # The registry's adapter has switched MLflow's telemetry off by now.
        from mlflow import MlflowClient

        return MlflowClient(f"http://127.0.0.1:{self.stack.port('mlflow')}")

    @property
    def champion(self) -> str | None:
        return self.tables.transitions.ledger(LAUNDRY).champion

    @property
    def previous(self) -> str | None:
        return self.tables.transitions.ledger(LAUNDRY).previous

    @contextmanager
    def lifecycle(self, name: str) -> Iterator[LifecycleClient]:
        address = f"127.0.0.1:{self.stack.port(f'{name}_lifecycle')}"
        with LifecycleClient(address, token=self.stack.secrets["faceserve"], timeout_seconds=60) as client:
            yield client

    def status(self, name: str):
        with self.lifecycle(name) as client:
            return client.status(MODEL)

    def serving(self) -> dict[str, str | None]:
        return {name: self.status(name).version for name in REPLICAS}

    def await_replica(self, name: str) -> None:
        """It listens before it has loaded what it served."""
        until(lambda: self._version(name), f"{name} to serve", PATIENCE_SECONDS)

    def _version(self, name: str) -> str | None:
        try:
            return self.status(name).version
        except FaceserveError:
            return None

    # Faults

    def process(self, name: str, program: str = "") -> psutil.Process:
        """The program `name` of the stack, or the one called `program` below it."""
        top = psutil.Process(self.supervision.pid(name))
        family = [top, *top.children(recursive=True)]
        return next(p for p in family if p.name() == program) if program else top

    def kill(self, name: str, program: str = "") -> None:
        """SIGKILL, as a crash or the kernel does it; the supervisor starts it again."""
        process = self.process(name, program)
        process.kill()
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, f"{name} to die")

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        process = self.process(name)
        process.send_signal(signal.SIGSTOP)
        until(lambda: process.status() == psutil.STATUS_STOPPED, f"{name} to stop")
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    # Afterwards

    def recover(self) -> None:
        """What runs by itself in production: programs come back, outboxes and queue are emptied, `reconcile` once."""
        runner.up(self.stack.root, lambda text: None, PROGRAMS)
        for name in REPLICAS:
            self.await_replica(name)
        until(lambda: not self.unpublished(), "the Helper service to publish", PATIENCE_SECONDS)
        until(self._drained, "the queue to be empty", PATIENCE_SECONDS)
        self.pipeline.reconcile(str(LAUNDRY))
        self.pipeline.publish_events()

    def _drained(self) -> bool:
        self.pipeline.accumulate()
        return self.broker.waiting() == 0

    def unpublished(self) -> int:
        return int(self.ask_helper("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0])

    def ask(self, question: str) -> list[tuple]:
        """Of the database of the pipeline."""
        with self.services.owner.transaction() as cursor:
            cursor.execute(question)
            return list(cursor.fetchall()) if cursor.description else []

    def ask_helper(self, question: str) -> list[tuple]:
        return query(self.stack.dsn("helper_owner", "helper"), question)


@contextmanager
def world(root: Path) -> Iterator[World]:
    """With `v1.0.0` on both replicas, and this process's settings those of the stack."""
    with running(root, PROGRAMS) as services:
        # `running` puts this process's variables back at its end.
        os.environ |= {k: v for k, v in environment(services.stack).items() if k.startswith("RETRAIN_")}
        made = World(services, Callers(services.stack.replicas))
        first = made.hot_swap(made.new_version()).said()
        assert first.status == 0, first
        with made.callers:
            yield made
