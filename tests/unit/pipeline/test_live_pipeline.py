"""What the pipeline says of a deployment that ended, and to whom."""

import signal
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from include.contract.tracing import OFF
from pipeline.adapters.run_traces import RunTraces
from pipeline.bootstrap import Fault, Pipeline, Place, RollbackRequest, end_on_sigterm
from pipeline.domain.errors import ClaimLost, GiveUp, ServiceUnavailable, TrainingInterrupted
from pipeline.domain.faces.watching import FaceWatchPolicy
from pipeline.domain.live_accuracy import LiveAccuracyPolicy
from pipeline.domain.models import ModelType
from pipeline.domain.transitions import By, ChampionChange, Entry, Kind, Phase
from pipeline.ports.bundles import Recognition
from pipeline.ports.events import Message
from pipeline.ports.face_watching import FaceMonitoring
from tests.builders import NOW, an_event
from tests.fakes.data import FakeInspector, FakePhotos
from tests.fakes.events import FakeDeadLetters, FakePublisher, FakeTroubles
from tests.fakes.faces import FakeFaceConfirmations, FakeFaceLooks
from tests.fakes.live import FakeEvidence
from tests.unit.pipeline.steps.live_world import World


class Desk:
    def __init__(self):
        self.world = World().live("first")
        self.looks = FakeFaceLooks()
        self.publisher, self.letters = FakePublisher(), FakeDeadLetters()
        w = self.world
        wiring = SimpleNamespace(
            versions=w.versions,
            transitions=w.transitions,
            fleet=w.fleet,
            outbox=w.outbox,
            troubles=FakeTroubles(w.outbox),
            clock=w.clock,
            event_publisher=self.publisher,
            dead_letters=self.letters,
            retraining_runs=w.runs,
            traces=RunTraces(None, OFF),
        )
        self.pipeline = Pipeline(wiring)
        self.live = LiveAccuracyPolicy()
        self.pipeline.__dict__["_kinds"] = SimpleNamespace(of=lambda model_type: SimpleNamespace(live=self.live))
        self.pipeline.__dict__["_live"] = SimpleNamespace(
            monitoring=lambda kind: w.monitoring(),
            deployment=w.deployment(),
            recognition=Recognition(FakeEvidence(w.confirmations), FakePhotos(), FakeInspector()),
            face_monitoring=FaceMonitoring(
                w.transitions, FakeFaceConfirmations(), self.looks, w.readings, w.outbox, w.clock
            ),
            face_watch=FaceWatchPolicy(),
        )

    def told(self):
        return [notice["subject"] for notice in self.pipeline.untold()]


@pytest.fixture
def desk():
    return Desk()


def test_a_run_whose_model_serves_was_deployed(desk):
    assert desk.pipeline.conclude_deployment("first") == "deployed"


def test_a_run_without_a_version_failed(desk):
    assert desk.pipeline.conclude_deployment("none") == "failed"


@pytest.mark.parametrize(("run", "outcome"), [("first", "deployed"), ("second", "failed")])
def test_a_run_by_hand_that_broke_off_was_deployed_where_its_model_serves(desk, run, outcome):
    desk.world.runs.begin(run, ModelType.LAUNDRY, at=desk.world.clock.now())
    with desk.pipeline.attended(run) as attendance:
        desk.pipeline.end_run(run, "failed", attendance)
    assert desk.world.runs.outcome(run) == outcome


@pytest.mark.parametrize("outcome", ["failed", "refused", "held"])
def test_a_run_that_another_process_took_over_unseen_keeps_the_claim_of_that_one(desk, outcome):
    """Its session broke, and its own end came before its next word."""
    runs = desk.world.runs
    runs.begin("second", ModelType.LAUNDRY, at=desk.world.clock.now())
    with desk.pipeline.attended("second") as first:
        runs.at_work.clear()
        with desk.pipeline.attended("second"):
            desk.pipeline.end_run("second", outcome, first)
            assert runs.holds("second")
        desk.pipeline.end_run("second", outcome, first)
    assert runs.outcome("second") == outcome


def test_a_session_that_broke_and_that_nobody_took_over_keeps_no_claim_alive(desk):
    class Broken:
        def __init__(self, attendance):
            self.attendance, self.broken = attendance, True

        def lives(self, *, at):
            if self.broken:
                self.broken = False
                raise ServiceUnavailable("the mlops database", "the connection is closed")
            return self.attendance.lives(at=at)

    desk.world.runs.begin("second", ModelType.LAUNDRY, at=desk.world.clock.now())
    with desk.pipeline.attended("second") as attendance:
        desk.pipeline.end_run("second", "failed", Broken(attendance))
    assert desk.world.runs.outcome("second") == "failed"


def test_nothing_stays_on_trial_of_a_run_that_ended(desk):
    desk.world.start(desk.world.candidate("second"), request="second")
    assert desk.pipeline.conclude_deployment("second") == "canary aborted"
    assert desk.world.trial() is None


def test_a_swap_that_failed_is_urgent_and_told_once(desk):
    version = desk.world.candidate("second")
    for _ in range(2):
        desk.pipeline.announce_failed_swap("LAUNDRY", version, "run-1", "replica-2 refused")
    assert [e.type for e in desk.world.outbox.pending()].count("HotSwapFailedEvent") == 1
    assert desk.told()[-1] == "URGENT: LAUNDRY v1.1.0 could not go live"


def failed_rollbacks(desk, request, asked_at=None, judged=None):
    for _ in range(2):
        asked = RollbackRequest("previous", asked_at or desk.world.clock.now(), judged)
        desk.pipeline.announce_failed_rollback("LAUNDRY", asked, request, "killed")
    return [e.payload["modelVersion"] for e in desk.world.outbox.pending() if e.type == "RollbackFailedEvent"]


@pytest.mark.parametrize("judged", [None, "v1.1.0"])
def test_a_rollback_that_failed_or_never_began_is_urgent_and_told_once(desk, judged):
    desk.world.live("second")
    assert failed_rollbacks(desk, "run-1", judged=judged) == ["v1.0.0"]
    assert desk.told()[-1] == "URGENT: LAUNDRY could not be rolled back to v1.0.0"


def test_a_rollback_that_served_is_no_failure_whatever_failed_after_it(desk):
    desk.world.live("second").roll_back(request="run-1")
    assert failed_rollbacks(desk, "run-1") == []


def test_a_rollback_that_another_one_overtook_is_no_failure(desk):
    asked_at = desk.world.live("second", "third").clock.now()
    desk.world.roll_back(request="faster")
    assert failed_rollbacks(desk, "run-1", asked_at=asked_at) == []
    assert failed_rollbacks(desk, "run-2", judged="v1.2.0") == []


def test_a_refusal_is_told_when_nobody_read_it(desk):
    """`v1.0.0` is the only version: there is nothing to go back to."""
    assert failed_rollbacks(desk, "kims") == []
    assert failed_rollbacks(desk, "the-monitors", judged="v1.0.0") == ["previous"]


def test_a_rollback_is_complete_when_the_registry_was_told_and_not_before(desk):
    def away(*args, **named):
        raise ServiceUnavailable("MLflow", "connection refused")

    registry = desk.world.live("second").registry
    mirror, registry.mirror = registry.mirror, away
    desk.world.roll_back()
    with pytest.raises(ServiceUnavailable, match="MLflow"):
        desk.pipeline.complete_rollback("LAUNDRY")
    registry.mirror = mirror
    assert desk.pipeline.complete_rollback("LAUNDRY")["champion"] == "v1.0.0"
    desk.world.demand_one_story("v1.0.0")
    registry.mirror = away
    assert desk.pipeline.complete_rollback("LAUNDRY") == {"champion": "v1.0.0", "missing": []}


def test_an_aborted_canary_is_not_a_failed_swap_too(desk):
    desk.world.start(desk.world.candidate("second"))
    desk.world.abort("v1.1.0")
    desk.pipeline.announce_failed_swap("LAUNDRY", "v1.1.0", "run-1", "the canary was aborted")
    assert "HotSwapFailedEvent" not in [e.type for e in desk.publisher.published]


def test_what_was_told_is_told_no_more_and_what_nobody_waits_for_is_not_told(desk):
    desk.world.start(desk.world.candidate("second"))
    assert desk.told() == ["LAUNDRY v1.0.0 is live"]
    assert [event.type for event in desk.world.outbox.untold()] == ["ModelDeployedEvent"]
    desk.pipeline.told([notice["id"] for notice in desk.pipeline.untold()])
    assert desk.told() == []


def test_a_broker_that_stays_away_is_told(desk, monkeypatch):
    def away():
        raise ServiceUnavailable("RabbitMQ", "no route")

    monkeypatch.setattr(desk.letters, "waiting", away)
    for _ in range(3):
        desk.pipeline.watch("LAUNDRY")
        desk.world.later(minutes=15)
    assert desk.told()[-1:] == ["RabbitMQ needs a person"]


def test_a_canary_that_nobody_judges_is_told(desk):
    desk.world.start(desk.world.candidate("second"))
    desk.world.later(days=4)
    for _ in range(3):
        desk.pipeline.watch("LAUNDRY")
        desk.world.later(minutes=15)
    assert desk.told().count("LAUNDRY needs a person") == 1


def test_waiting_dead_letters_are_told_once_a_day(desk):
    desk.letters.queue.dead = [("a message", "body is not JSON")] * 3
    for _ in range(3):
        desk.pipeline.watch("LAUNDRY")
    assert desk.told()[-1] == "dead letters wait: 3"
    assert desk.told().count("dead letters wait: 3") == 1


def test_whoever_looks_reads_what_is_urgent_and_reached_nobody(desk):
    desk.pipeline.announce_failed_swap("LAUNDRY", "v1.1.0", "run-1", "a replica is away")
    (said,) = desk.pipeline.watch("LAUNDRY")["troubles"]
    assert said.startswith("nobody was told yet: URGENT: LAUNDRY v1.1.0 ")
    desk.pipeline.told([notice["id"] for notice in desk.pipeline.untold()])
    assert desk.pipeline.watch("LAUNDRY")["troubles"] == []


def test_whoever_looks_reads_what_does_not_work_just_now(desk):
    assert desk.pipeline.watch("LAUNDRY")["troubles"] == desk.pipeline.watch("FACE")["troubles"] == []
    desk.pipeline.report_fault(
        Fault(Place("task_confirmed_intake", "drain"), -1, "run-1", "gone", "Mend it", "http://a")
    )
    desk.pipeline.report_pauses({"model_retention": True}, {"model_retention": "Old files stay"})
    for model_type in ("LAUNDRY", "FACE"):
        said = desk.pipeline.watch(model_type)["troubles"]
        assert [sentence.partition(" since ")[0] for sentence in said] == [
            "task_confirmed_intake fails at drain",
            "model_retention is paused",
        ]
    desk.pipeline.report_success(Place("task_confirmed_intake", "drain"), -1)
    desk.world.later(hours=1)
    desk.pipeline.report_pauses({"model_retention": True}, {"model_retention": "Old files stay"})
    assert len(desk.pipeline.watch("LAUNDRY")["troubles"]) == 1


def test_a_face_champion_is_looked_at_and_no_look_is_forgotten_by_looking(desk):
    act = ChampionChange(
        "act-1", ModelType.FACE, "v1.0.0", By("kim", "first", "r"), NOW, Kind.PROMOTE, None, "blessing"
    )
    desk.world.transitions.append(desk.world.transitions.ledger(ModelType.FACE), Entry(Phase.SERVED, act, NOW))
    for _ in range(2):
        said = desk.pipeline.watch("FACE")
        desk.world.later(days=31)
    assert (said["version"], said["state"], said["act"]) == ("v1.0.0", "unknown", False)
    assert said["wrongly_refused"] == {"share": None, "low": 0.0, "high": 1.0, "failed": 0, "checks": 0, "people": 0}
    assert len(desk.looks.looks) == 2


def test_storage_out_of_reach_keeps_nobody_from_watching_and_is_said(desk, caplog):
    class Away:
        def read(self, url):
            raise ServiceUnavailable("S3", "connection refused")

    desk.pipeline._live.recognition = Recognition(FakeEvidence(desk.world.confirmations), Away(), FakeInspector())
    desk.world.confirmations.store([an_event(confirmed_at=desk.world.clock.now())])
    assert desk.pipeline.watch("LAUNDRY")["state"] == "unknown"
    assert "may count more than once, 1 photos wait: S3 is unavailable: connection refused" in caplog.text


def test_a_broker_out_of_reach_keeps_nothing_from_happening(desk, caplog):
    def away(*args):
        raise ServiceUnavailable("RabbitMQ", "connection refused")

    desk.publisher.publish = desk.letters.waiting = away
    desk.pipeline.watch("LAUNDRY")
    desk.pipeline.announce_failed_swap("LAUNDRY", "v1.1.0", "run-1", "replica-2 refused")
    assert desk.world.outbox.pending()[-1].type == "HotSwapFailedEvent"
    assert "stay in the outbox" in caplog.text


def test_nothing_stands_between_a_decision_to_roll_back_and_the_rollback(desk):
    desk.world.hot_swap(desk.world.candidate("second"))
    desk.world.confirm(20, 130)
    desk.live = LiveAccuracyPolicy(matured_minutes=0)
    desk.letters.queue.dead = [("a message", "body is not JSON")]
    published = list(desk.publisher.published)
    seen = desk.pipeline.watch("LAUNDRY")
    assert (seen["act"], seen["target"]) == (True, "v1.0.0")
    assert desk.publisher.published == published
    assert not [subject for subject in desk.told() if "dead letter" in subject]


def test_the_history_has_canaries_and_freezes_between_the_champions(desk):
    desk.world.start(desk.world.candidate("second"))
    desk.world.abort("v1.1.0")
    rows = desk.pipeline.history(ModelType.LAUNDRY)
    assert [(row["kind"], row["version"]) for row in rows] == [
        ("promote", "v1.0.0"),
        ("canary_start", "v1.1.0"),
        ("canary_abort", "v1.1.0"),
    ]


def test_a_dead_letter_goes_back_or_for_ever_once_and_the_log_keeps_by_whom_and_why(desk, caplog):
    caplog.set_level("INFO", "pipeline.bootstrap.peoples_words")
    queue = desk.letters.queue
    queue.dead += [(Message(body, name, 0), "not JSON") for name, body in (("one", b"{"), ("two", b"["))]
    back, gone = (letter.id for letter in desk.letters.all())
    assert desk.pipeline.requeue_letter(back, "kim", "mended") == {"requeued": back}
    assert desk.pipeline.discard_letter(gone, "kim", "a test") == {"discarded": gone}
    assert [message.body for message in queue.waiting] == [b"{"] and queue.dead == []
    for act in (desk.pipeline.requeue_letter, desk.pipeline.discard_letter):
        with pytest.raises(GiveUp, match="no dead letter"):
            act(gone, "kim", "again")
    assert caplog.messages == [
        f"dead letter {back} went back, by kim: mended",
        f"dead letter {gone} went for ever, by kim: a test",
    ]


def test_a_run_that_was_silent_so_long_that_its_claim_went_ends_with_a_sentence(monkeypatch):
    desk = Desk()
    monkeypatch.setattr("pipeline.bootstrap.runs.SAYS_IT_LIVES_EVERY", timedelta(0))
    before = signal.getsignal(signal.SIGTERM)
    end_on_sigterm()
    try:
        desk.world.runs.begin("run-1", ModelType.LAUNDRY, at=NOW)
        with (
            desk.pipeline.attended("run-1") as attendance,
            pytest.raises(ClaimLost, match="run run-1 has no claim any more, or another process goes on with it"),
            desk.pipeline.said_to_live("run-1", attendance),
        ):
            desk.world.runs.end("run-1", at=NOW, outcome="died")
            threading.Event().wait(60)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_that_has_ended_is_not_ended_again_by_a_look_that_was_on_its_way(monkeypatch):
    desk, looks, over = Desk(), threading.Event(), threading.Event()

    def late(*, at):
        looks.set()
        assert over.wait(60)
        return False

    ended = []
    monkeypatch.setattr("pipeline.bootstrap.runs.signal.pthread_kill", lambda *of: ended.append(of))
    with desk.pipeline.said_to_live("run-1", SimpleNamespace(lives=late)):
        assert looks.wait(60)
        # The look is answered once the work is over and waits for it.
        threading.Timer(0.5, over.set).start()
    assert ended == []


def test_one_that_is_asked_to_end_says_what_it_always_said():
    desk = Desk()
    desk.world.runs.begin("run-1", ModelType.LAUNDRY, at=NOW)
    with (
        desk.pipeline.attended("run-1") as attendance,
        pytest.raises(TrainingInterrupted),
        desk.pipeline.said_to_live("run-1", attendance),
    ):
        raise TrainingInterrupted("asked to end")
