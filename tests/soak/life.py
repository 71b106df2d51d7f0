"""What goes on all the time: people confirm, models change, faces come and go, photos are forgotten, people look on."""

import itertools
import time
import urllib.request
from collections import deque
from random import Random

from include.contract.client import FaceserveClient
from pipeline.bootstrap.dashboard import Dashboard
from tests.broker import EXCHANGE
from tests.faults.messages import confirm, new_task
from tests.faults.world import LAUNDRY, REPLICAS, Said, World
from tests.soak.tally import Act, Later, Refused
from tests.tiny_model import coloured_photo
from tests.waiting import until

FACE, _THRESHOLD = "face", 0.999
_BY = ("soak", "the soak")
_BATCH, _CORRECTED_SHARE = 20, 0.08
_MOST_ENROLLED = 20
_EVERYWHERE_SECONDS = 60.0
_SHADES = (10, 60, 110, 160, 210, 250)
# Of what a command of the pipeline ends with.
_DONE, _REFUSED = 0, 1


class Life:
    """All acts of one soak; `pending` are messages that the broker has not confirmed yet."""

    def __init__(self, world: World, seed: int) -> None:
        # Each as in a process of its own.
        self._intake, self._people, self._models, self._monitor = (world.pipeline for _ in range(4))
        self._world, self._dashboard = world, Dashboard.from_env()
        self._chance, self._requests = Random(seed), itertools.count(1)
        self.pending: list[bytes] = []
        self._tasks: deque[str] = deque(maxlen=200)
        self._enrolled: deque[tuple[str, bytes]] = deque()
        self._photos = [coloured_photo(r, g, b) for r in _SHADES for g in _SHADES for b in _SHADES if r != g != b]

    def acts(self) -> list[Act]:
        return [
            Act("confirmations", 1.0, self.confirm_many),
            Act("a task of the Helper service", 2.0, self.confirm_one),
            Act("intake", 1.0, self._intake.accumulate),
            Act("change of models", 5.0, self.change_models),
            Act("monitor", 20.0, self.monitor),
            Act("retention", 120.0, self.retain),
            Act("a photo is forgotten", 15.0, self.forget_a_photo),
            Act("somebody is enrolled, somebody withdrawn", 3.0, self.enrol_and_withdraw),
            Act("dashboard", 2.0, self.look_at_the_dashboard),
            Act("exporter", 5.0, self.scrape),
        ]

    # People

    def confirm_many(self) -> None:
        champion = self._world.champion
        for body in self._world.confirmations(_BATCH, modelVersion=champion, **self._word()):
            self.pending.append(body)
        self.publish_pending()

    def _word(self) -> dict[str, object]:
        corrected = self._chance.random() < _CORRECTED_SHARE
        return {"aiResult": "양호", "finalResult": "불량" if corrected else "양호", "corrected": corrected}

    def publish_pending(self) -> None:
        """A message counts as sent once the broker has confirmed it, and goes once more until then."""
        with self._world.broker.channel() as channel:
            channel.confirm_delivery()
            while self.pending:
                channel.basic_publish(EXCHANGE, "TaskConfirmedEvent", self.pending[0], mandatory=True)
                self._world.sent.append(self.pending.pop(0))

    def confirm_one(self) -> None:
        task = new_task(self._world)
        confirm(self._world, task, self._chance.choice(("양호", "불량")))
        self._tasks.append(task["taskId"])

    def forget_a_photo(self) -> None:
        if self._tasks:
            self._people.erase_photo(self._tasks.popleft(), actor="soak", reason="a customer asked")

    # Models

    def change_models(self) -> None:
        """In turn: a promotion, a canary that is promoted, one that is aborted, a rollback."""
        number = next(self._requests)
        if (trial := self._world.tables.transitions.ledger(LAUNDRY).trial) is not None:
            self._models.abort_canary(str(LAUNDRY), trial.version, *_BY, f"soak-left-{number}")
        acts = (self._promote, self._try_and_promote, self._try_and_abort, self._roll_back)
        acts[number % len(acts)](f"soak-{number}")

    def _promote(self, request: str) -> None:
        _demand(self._world.hot_swap(self._world.new_version()).said())

    def _try_and_promote(self, request: str) -> None:
        version = self._on_trial(request)
        self._models.promote_canary(str(LAUNDRY), version, *_BY, request)

    def _try_and_abort(self, request: str) -> None:
        version = self._on_trial(request)
        self._models.abort_canary(str(LAUNDRY), version, *_BY, f"{request}-end")

    def _on_trial(self, request: str) -> str:
        version = self._world.new_version()
        self._models.start_canary(str(LAUNDRY), version, *_BY, request)
        until(lambda: self._answers_or_ended(version), f"{version} to answer", _EVERYWHERE_SECONDS)
        self._models.judge_canary(str(LAUNDRY), version)
        return version

    def _answers_or_ended(self, version: str) -> bool:
        """A trial ends by itself where its replica was killed twice."""
        if self._world.callers.answers[version]:
            return True
        return self._world.tables.transitions.ledger(LAUNDRY).trial is None

    def _roll_back(self, request: str) -> None:
        _demand(self._world.run("roll-back", "--actor", "soak", "--reason", "the soak"))

    def monitor(self) -> None:
        self._monitor.reconcile(str(LAUNDRY))
        self._monitor.watch(str(LAUNDRY))
        self._monitor.publish_events()

    def retain(self) -> None:
        self._monitor.retire(str(LAUNDRY), "soak", f"retention-{time.time_ns()}")
        self._monitor.prune(str(LAUNDRY))

    # Faces

    def serve_a_face_model(self) -> None:
        """Faces have no ledger here: the model is told to each replica, and stays."""
        files = self._world.artifact("f1.0.0", model_type="FACE", threshold=_THRESHOLD)
        for name in REPLICAS:
            with self._world.lifecycle(name) as client:
                client.prepare(FACE, "v1.0.0", files.uri, files.manifest_sha256, timeout_seconds=60)
                client.activate(FACE, "v1.0.0")

    def enrol_and_withdraw(self) -> None:
        """Whoever is enrolled at one replica is known to both, and whoever is withdrawn to neither."""
        number = next(self._requests)
        name, photo = f"person-{number}", self._photos[number % len(self._photos)]
        with self._world.lifecycle(self._chance.choice(REPLICAS)) as client:
            client.enroll(FACE, name, photo)
        self._enrolled.append((name, photo))
        self._until_known(name, photo, known=True)
        if len(self._enrolled) > _MOST_ENROLLED:
            self._withdraw_the_first()

    def _withdraw_the_first(self) -> None:
        name, photo = self._enrolled[0]
        with self._world.lifecycle(self._chance.choice(REPLICAS)) as client:
            client.withdraw(FACE, name)
        self._enrolled.popleft()
        self._until_known(name, photo, known=False)

    def _until_known(self, name: str, photo: bytes, *, known: bool) -> None:
        for address in self._world.stack.replicas:
            with FaceserveClient([address]) as client:
                deadline = time.monotonic() + _EVERYWHERE_SECONDS
                while (name in {m.identity for m in client.compare(FACE, photo, count=100)}) != known:
                    if time.monotonic() > deadline:
                        raise AssertionError(f"{name} is {'not known' if known else 'still known'} at {address}")
                    time.sleep(0.1)

    # Who looks on

    def look_at_the_dashboard(self) -> None:
        board = self._dashboard
        board.overview(str(LAUNDRY))
        board.sightings(str(LAUNDRY), 7)
        board.judged(str(LAUNDRY), 0)
        board.replicas(str(LAUNDRY))
        board.canary(str(LAUNDRY))

    def scrape(self) -> None:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self._world.stack.port('exporter')}/metrics", timeout=60
        ) as got:
            got.read()


def _demand(said: Said) -> None:
    if said.status == _REFUSED:
        raise Refused(said.sentence)
    if said.status != _DONE:
        raise Later(said.sentence)
