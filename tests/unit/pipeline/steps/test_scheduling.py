"""Whether a retraining starts, who holds the claim, and how it ended."""

from contextlib import suppress
from datetime import timedelta

import pytest

from pipeline.domain.cheap_hours import CheapHours
from pipeline.domain.errors import GiveUp, RunBusy, ServiceUnavailable
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import LONGEST_RUN, LONGEST_SILENCE, Asker, RetrainingPolicy, RunOutcome, Try
from pipeline.domain.transitions import By
from pipeline.ports.bundles import Scheduling
from pipeline.steps.announce_skipped import announce_skipped
from pipeline.steps.answer_held import approve, refuse
from pipeline.steps.begin_run import Begun, begin_run
from pipeline.steps.consider import consider
from pipeline.steps.finish_run import finish_run
from pipeline.steps.release_claim import release_claim
from pipeline.steps.resume_run import resume_run
from tests.builders import a_backlog, a_blessing, a_holdout, a_model_version, an_asker, an_event
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.events import (
    FakeClock,
    FakeConfirmations,
    FakeDecisions,
    FakeOutbox,
    FakePublisher,
    FakeRetrainingRuns,
)
from tests.fakes.faults import Fault, Killed, every_fault
from tests.fakes.live import FakeLiveMetrics
from tests.fakes.verification import FakeBlessings
from tests.histories import a_history

LAUNDRY = ModelType.LAUNDRY
NO_FAULT = Fault()


class World:
    """A model type with 150 corrections waiting, unless told otherwise."""

    def __init__(self, **backlog):
        self.confirmations, self.decisions = FakeConfirmations(waiting=a_backlog(**backlog)), FakeDecisions()
        self.runs, self.outbox, self.publisher = FakeRetrainingRuns(), FakeOutbox(), FakePublisher()
        self.blessings, self.clock = FakeBlessings(self.outbox), FakeClock()
        self.ledger, self.versions = a_history("promote v1.0.0"), FakeVersions()
        self.versions.register(a_model_version("v1.0.0", run_id="run-of-v1.0.0"))

    def scheduling(self, fault=NO_FAULT):
        bundle = Scheduling(
            confirmations=self.confirmations,
            metrics=FakeLiveMetrics(self.confirmations),
            decisions=self.decisions,
            runs=self.runs,
            versions=self.versions,
            blessings=self.blessings,
            transitions=FakeTransitions(ledgers={LAUNDRY: self.ledger}),
            outbox=self.outbox,
            publisher=self.publisher,
            clock=self.clock,
            policy=RetrainingPolicy(cheap=CheapHours("00:00", "24:00")),
        )
        return fault.on_ports(bundle, but=("clock",))

    def confirm(self, task_id, wrong, *, hours_ago, version):
        at = self.clock.now() - timedelta(hours=hours_ago)
        self.confirmations.store([an_event(task_id, corrected=wrong, model_version=version, confirmed_at=at)])

    def begin(self, run_id="run-1", fault=NO_FAULT, **asked):
        return begin_run(self.scheduling(fault), run_id, LAUNDRY, an_asker(**asked))

    def holder(self):
        claim = self.runs.claim(LAUNDRY)
        return claim.run_id if claim else None

    def finish(self, fault=NO_FAULT, deployment=RunOutcome.DEPLOYED):
        return finish_run(self.scheduling(fault), "run-1", conclude_deployment=lambda run_id: deployment)


def begun(**backlog):
    world = World(**backlog)
    world.begin()
    return world


@pytest.mark.parametrize(("corrections", "answer"), [(150, (True, "threshold")), (20, (False, "too_few"))])
def test_the_answer_is_recorded_with_who_asked_whether_due_or_not(corrections, answer):
    world = World(corrections=corrections)
    decision_id, decision = consider(world.scheduling(), LAUNDRY, Asker("task_confirmed_intake"))
    ((_, recorded, asked_by),) = world.decisions.recorded
    assert (decision_id, recorded, asked_by) == ("decision-1", decision, "task_confirmed_intake")
    assert (decision.due, decision.rule) == answer


@pytest.mark.parametrize(("corrected", "rule"), [(6, "too_soon"), (30, "urgent")])
def test_urgent_is_what_people_correct_beyond_what_the_champions_verdict_promised(corrected, rule):
    world = World(corrections=300, since_last_try=300)
    world.clock.at = world.ledger.reigns[-1].since + timedelta(hours=40)
    world.confirmations.waiting = a_backlog(
        corrections=300, since_last_try=300, last_trained_at=world.ledger.reigns[-1].since
    )
    world.blessings.grant(a_blessing("run-of-v1.0.0", checks=(a_holdout(0.94),)), None)
    for n in range(100):
        # Before the window all were wrong, as were those of another version within it.
        said = {"v1.0.0": n < corrected, "v0.9.0": True}
        for version, wrong in said.items():
            world.confirm(f"{version}-{n}", wrong, hours_ago=1, version=version)
        world.confirm(f"old-{n}", True, hours_ago=25, version="v1.0.0")
    _, decision = consider(world.scheduling(), LAUNDRY, Asker("task_confirmed_intake"))
    assert decision.rule == rule
    assert f"of 100 verdicts of v1.0.0 confirmed within 24 hours {corrected} were corrected" in decision.reason


def test_a_due_run_claims_its_model_type_and_a_second_one_is_told_to_stay_away():
    world = World()
    assert world.begin("run-1").due and world.holder() == "run-1"
    second = world.begin("run-2", forced_by="kim")
    assert (second.due, second.rule) == (False, "running")
    assert second.reason.startswith("a retraining is already running: run-1, since 20")
    assert world.holder() == "run-1"


def test_of_two_that_begin_at_the_same_moment_one_claims():
    world = World()
    world.decisions.record = lambda *args, **named: world.runs.begin("faster", LAUNDRY, at=world.clock.now())
    slower = world.begin()
    assert not slower.due and slower.reason.startswith("a retraining is already running: faster, since 20")


def test_a_claim_of_a_run_that_must_be_dead_keeps_nobody_away():
    world = begun()
    world.clock.at += LONGEST_RUN + timedelta(hours=1)
    assert world.begin("run-2").due and world.holder() == "run-2"
    assert world.runs.ended == {"run-1": "lease expired: no retraining takes as long"}


def test_a_claim_of_a_run_whose_dag_has_no_run_that_lives_is_taken_over():
    world = begun()
    second = world.begin("run-2", idle="the night")
    assert second.due and world.holder() == "run-2"
    assert world.runs.ended == {"run-1": "died: no run of the night is alive"}


@pytest.mark.parametrize("idle", [None, "command line"])
def test_a_claim_of_whom_nobody_was_asked_stays_and_the_refusal_names_who_has_it_and_what_frees_it(idle):
    world = begun()
    second = world.begin("run-2", forced_by="kim", idle=idle)
    assert not second.due and world.holder() == "run-1"
    assert second.reason.endswith(
        "if it is dead, python -m pipeline release-claim run-1 --actor YOU --reason WHY frees the model type"
    )


def test_a_run_by_hand_that_was_killed_keeps_nobody_away_for_longer_than_it_may_be_silent():
    world = begun()
    with world.runs.attended("run-1") as attendance:
        attendance.lives(at=world.clock.now())
    assert not world.begin("run-2", forced_by="kim").due
    world.clock.at += LONGEST_SILENCE + timedelta(seconds=1)
    assert world.begin("run-2", forced_by="kim").due and world.holder() == "run-2"
    assert world.runs.ended["run-1"].startswith("died: nothing was heard of it since")


def test_a_run_that_goes_on_is_still_known_by_who_began_it():
    world = begun()
    world.runs.end("run-1", at=world.clock.now(), outcome="held")
    resume_run(world.scheduling(), "run-1", LAUNDRY)
    assert world.begin("run-2", idle="the night").due


def test_a_person_releases_the_claim_of_a_run_that_is_dead():
    world = begun()
    release_claim(world.scheduling(), "run-1", actor="kim", reason="its machine is gone")
    assert world.runs.ended == {"run-1": "released by kim: its machine is gone"}
    assert world.begin("run-2").due


@pytest.mark.parametrize(
    ("run_id", "reason", "complaint"),
    [("run-2", "dead", "run-2 holds no claim"), ("run-1", " ", "needs an actor and a reason")],
)
def test_only_a_claim_that_is_held_is_released_for_a_reason(run_id, reason, complaint):
    world = begun()
    with pytest.raises(GiveUp, match=complaint):
        release_claim(world.scheduling(), run_id, actor="kim", reason=reason)
    assert world.holder() == "run-1"


def test_a_run_that_is_not_due_claims_nothing_unless_somebody_forces_it():
    world = World(corrections=20)
    assert world.begin().rule == "too_few" and world.holder() is None
    forced = world.begin(forced_by="kim")
    assert (forced.due, forced.reason) == (True, "forced by kim")


def test_a_run_that_ended_without_a_verdict_and_was_cleared_by_a_person_begins_again():
    world = begun()
    world.runs.end("run-1", at=world.clock.now(), outcome="failed")
    world.confirmations.waiting = a_backlog(in_vain=Try("run-1", world.clock.now(), "failed", 0))
    assert world.begin("run-2").rule == "tried_in_vain"
    assert world.begin("run-1").due and world.holder() == "run-1"


def test_a_run_that_holds_the_claim_goes_on_whatever_the_policy_says_by_now():
    world = begun()
    world.confirmations.waiting = a_backlog(corrections=0)
    assert world.begin() == world.begin() == Begun(True, "claimed", "run-1 goes on", "run-1")
    assert len(world.decisions.recorded) == 1


@pytest.mark.parametrize(("began", "again"), [("a dag", "command line"), ("command line", "a dag")])
def test_a_run_is_not_begun_beside_itself_elsewhere_until_it_is_dead(began, again):
    world = World()
    assert world.begin(by=began).due
    beside = world.begin(by=again, forced_by="kim")
    assert (beside.due, beside.rule) == (False, "running") and "release-claim run-1" in beside.reason
    world.clock.at += LONGEST_RUN + timedelta(hours=1)
    assert world.begin(by=again, forced_by="kim").due


def test_what_waits_is_counted_since_the_champion_learned():
    world = begun()
    assert world.confirmations.asked == (LAUNDRY, "v1.0.0")


def test_a_run_names_the_recorded_decision_that_it_follows():
    world = World()
    begun = world.begin()
    ((model_type, decision, asked_by),) = world.decisions.recorded
    assert begun == Begun(True, decision.rule, decision.reason, "decision-1")
    assert (model_type, asked_by) == (LAUNDRY, "the night")


@pytest.mark.parametrize("fault", every_fault(lambda fault: World().begin(fault=fault)), ids=str)
def test_killed_at_any_call_the_run_begins_when_it_is_tried_again(fault):
    world = World()
    with pytest.raises(Killed):
        world.begin(fault=fault)
    assert world.begin().due and world.holder() == "run-1"


def test_a_run_whose_model_serves_ends_well_and_gives_its_claim_back():
    world = begun()
    assert world.finish() == "deployed"
    assert world.runs.ended == {"run-1": "deployed"}


@pytest.mark.parametrize(
    ("blessing", "outcome"),
    [
        ({"accepted": False}, "refused"),
        ({"accepted": False, "held": True}, "held"),
        ({"accepted": True}, "canary aborted"),
        (None, "canary aborted"),
    ],
)
def test_any_other_end_fails_the_run_after_all_is_told_and_released(blessing, outcome):
    world = begun()
    if blessing is not None:
        world.blessings.granted["run-1"] = a_blessing(**blessing)
    announce_skipped(world.scheduling(), "run-0", LAUNDRY, "waits in the outbox")
    with pytest.raises(GiveUp, match=f"run-1 ended without a deployment: {outcome}"):
        world.finish(deployment=RunOutcome.CANARY_ABORTED)
    assert world.runs.ended == {"run-1": outcome} and world.outbox.pending() == []


@pytest.mark.parametrize("outcome", [RunOutcome.DEPLOYED, RunOutcome.UNCONFIRMED])
def test_what_a_person_made_serve_was_not_refused(outcome):
    world = begun()
    world.blessings.granted["run-1"] = a_blessing(accepted=False)
    with suppress(GiveUp):
        world.finish(deployment=outcome)
    assert world.runs.ended == {"run-1": outcome}


def test_a_run_whose_model_serves_after_all_was_deployed():
    world = begun()
    with pytest.raises(GiveUp):
        world.finish(deployment=RunOutcome.FAILED)
    world.finish()
    assert world.runs.ended == {"run-1": "deployed"}


def test_a_run_ends_while_the_broker_is_away_and_what_happened_waits():
    world = begun()
    world.publisher = Away()
    announce_skipped(world.scheduling(), "run-0", LAUNDRY, "waits in the outbox")
    assert world.finish() == "deployed"
    assert len(world.outbox.pending()) == 1


class Away:
    def publish(self, event):
        raise ServiceUnavailable("RabbitMQ", "connection refused")


@pytest.mark.parametrize("fault", every_fault(lambda fault: begun().finish(fault)), ids=str)
def test_killed_at_any_call_the_run_is_released_when_it_is_tried_again(fault):
    world = begun()
    with pytest.raises(Killed):
        world.finish(fault)
    world.finish()
    assert world.runs.ended == {"run-1": "deployed"}


def test_a_held_run_that_a_person_refused_ends_as_refused():
    world = begun()
    world.blessings.granted["run-1"] = a_blessing(accepted=False, held=True)
    refuse("run-1", By("kim", "a leak", "refusal"), blessings=world.blessings, clock=world.clock)
    with pytest.raises(GiveUp, match="refused"):
        world.finish(deployment=RunOutcome.FAILED)
    assert world.runs.ended == {"run-1": "refused"}


def test_a_held_run_that_was_approved_goes_on_with_a_claim_and_ends_as_what_it_became():
    world = begun()
    world.blessings.granted["run-1"] = a_blessing(accepted=False, held=True)
    with pytest.raises(GiveUp, match="held"):
        world.finish(deployment=RunOutcome.FAILED)
    approve("run-1", By("kim", "looked at it", "approval"), blessings=world.blessings, clock=world.clock)
    for _ in range(2):
        resume_run(world.scheduling(), "run-1", LAUNDRY)
    assert world.holder() == "run-1" and world.begin("run-2", forced_by="lee").rule == "running"
    assert world.finish() == "deployed" and world.runs.ended == {"run-1": "deployed"}


@pytest.mark.parametrize("goes_on", ["begun again", "its task cleared"])
def test_a_dead_claim_keeps_no_approved_run_away_either(goes_on):
    world = begun()
    world.runs.end("run-1", at=world.clock.now(), outcome="held")
    world.blessings.granted["run-1"] = a_blessing(accepted=False, held=True)
    approve("run-1", By("kim", "looked at it", "approval"), blessings=world.blessings, clock=world.clock)
    world.begin("run-2", forced_by="lee")
    world.clock.at += LONGEST_RUN + timedelta(hours=1)
    if goes_on == "begun again":
        assert world.begin().rule == "approved"
    else:
        resume_run(world.scheduling(), "run-1", LAUNDRY)
    assert world.holder() == "run-1"
    assert world.runs.ended["run-2"] == "lease expired: no retraining takes as long"


@pytest.mark.parametrize("ended", ["held", "failed"])
def test_a_run_whose_model_may_go_live_goes_on_when_it_is_begun_again_although_its_corrections_are_tried(ended):
    world = World(since_last_try=0)
    world.begin(forced_by="lee")
    world.blessings.granted["run-1"] = a_blessing(accepted=False, held=True)
    world.runs.end("run-1", at=world.clock.now(), outcome=ended)
    assert (world.begin().rule, world.holder()) == ("tried", None)
    approve("run-1", By("kim", "looked at it", "approval"), blessings=world.blessings, clock=world.clock)
    world.begin("run-2", forced_by="lee")
    assert (world.begin().rule, world.holder()) == ("running", "run-2")
    world.runs.end("run-2", at=world.clock.now(), outcome="refused")
    assert (world.begin().due, world.holder()) == (True, "run-1")


@pytest.mark.parametrize("ended", ["refused", "canary aborted", "unconfirmed"])
def test_a_run_whose_trial_ended_it_asks_the_policy_like_any_other(ended):
    world = World(since_last_try=0)
    world.begin(forced_by="lee")
    world.blessings.granted["run-1"] = a_blessing()
    world.runs.end("run-1", at=world.clock.now(), outcome=ended)
    assert world.begin().rule == "tried"


def test_airflow_does_not_go_on_with_a_run_that_a_process_works_at_by_hand_until_that_one_ends_or_dies():
    world = begun()
    with world.runs.attended("run-1") as by_hand:
        by_hand.lives(at=world.clock.now())
        with pytest.raises(RunBusy, match="goes on with it by hand, .*: clear this task when that has ended"):
            resume_run(world.scheduling(), "run-1", LAUNDRY)
    world.clock.at += LONGEST_SILENCE + timedelta(seconds=1)
    resume_run(world.scheduling(), "run-1", LAUNDRY)
    assert world.holder() == "run-1"


def test_a_run_that_had_ended_waits_for_the_one_that_began_since():
    world = begun()
    world.runs.end("run-1", at=world.clock.now(), outcome="held")
    world.begin("run-2")
    with pytest.raises(RunBusy, match="already running: run-2, since .*: clear this task when it has ended"):
        resume_run(world.scheduling(), "run-1", LAUNDRY)
    assert world.holder() == "run-2" and world.runs.ended == {"run-1": "held"}


@pytest.mark.parametrize("forced", [{}, {"forcedFor": "run-0 was refused"}])
def test_a_run_without_work_says_why_once(forced):
    world, forced_for = World(), forced.get("forcedFor")
    for _ in range(2):
        announce_skipped(world.scheduling(), "run-1", LAUNDRY, "12 corrections, 100 needed", forced_for=forced_for)
    (event,) = world.publisher.published
    assert event.id == "skipped:run-1"
    assert {name: value for name, value in event.payload.items() if name != "at"} == {
        "eventType": "RetrainingSkippedEvent",
        "modelType": "LAUNDRY",
        "runId": "run-1",
        "reason": "12 corrections, 100 needed",
        **forced,
    }
