"""What a page is told of the models."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import GiveUp
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import Backlog, RetrainingDecision
from pipeline.domain.transitions import By
from pipeline.domain.troubles import Place, Trouble
from pipeline.steps.withhold import give_back, withhold
from tests.builders import NOW, a_face_confirmation
from tests.unit.pipeline.dashboard_world import Overlooked


@pytest.fixture
def seen():
    return Overlooked()


def overview(seen):
    told = seen.dashboard.overview("LAUNDRY")
    json.dumps(told)
    return told


def test_before_the_first_model_there_is_nothing_to_go_back_to(seen):
    told = overview(seen)
    assert (told["champion"], told["previous"], told["destinations"], told["seen"]) == (None, None, [], None)
    assert told["retraining"]["days"] is None


def test_who_serves_is_told_with_since_when_by_whom_and_why(seen):
    seen.world.live("first", "second")
    told = overview(seen)
    champion = told["champion"]
    assert {name: champion[name] for name in ("version", "before", "kind", "actor", "reason")} == {
        "version": "v1.1.0",
        "before": "v1.0.0",
        "kind": "promote",
        "actor": "DAG",
        "reason": "test",
    }
    assert champion["since"] == seen.world.ledger.reigns[-1].since.isoformat()
    assert told["previous"] == "v1.0.0"
    assert told["destinations"] == [{"version": "v1.0.0", "until": champion["since"], "why_not": None}]


def test_every_act_moves_the_position_that_a_click_names(seen):
    before = overview(seen.world.live("first", "second") and seen)["position"]
    seen.world.roll_back()
    assert overview(seen)["position"] > before


def test_a_freeze_is_told_with_who_was_taken_down_and_how_bad_it_was(seen):
    world = seen.world.live("first", "second")
    world.confirm(50, 100)
    world.later(hours=1)
    world.automatic()
    told = overview(seen)
    assert (told["freeze"]["before"], told["freeze"]["version"]) == ("v1.1.0", "v1.0.0")
    assert (told["freeze"]["kind"], told["freeze"]["id"]) == ("rollback_auto", world.ledger.freeze.id)
    assert (told["seen"]["version"], told["seen"]["state"]) == ("v1.1.0", "failing")
    assert "below 80%" in told["seen"]["decision"]


def test_what_stands_between_now_and_a_retraining_is_told_in_numbers(seen):
    seen.world.confirmations.waiting = Backlog(57, 12, NOW - timedelta(days=3))
    answer = RetrainingDecision(False, "too_few", "57 corrections, 100 needed", seen.world.confirmations.waiting)
    seen.sightings.decisions.record(ModelType.LAUNDRY, answer, at=NOW, asked_by="the intake")
    seen.world.runs.begin("run-7", ModelType.LAUNDRY, at=NOW)
    told = overview(seen)["retraining"]
    numbers = ("corrections", "since_last_try", "needed", "urgent", "days", "min_days")
    assert [told[name] for name in numbers] == [57, 12, 100, 300, 3.0, 7.0]
    assert told["answers"] == [
        {
            "at": NOW.isoformat(),
            "due": False,
            "rule": "too_few",
            "reason": "57 corrections, 100 needed",
            "asked_by": "the intake",
        }
    ]
    assert told["running"] == {"run_id": "run-7", "since": NOW.isoformat()}


def test_a_replica_that_missed_a_rollback_and_a_step_that_fails_are_told(seen):
    world = seen.world.live("first", "second")
    world.fleet.down.add("replica-2")
    world.roll_back()
    seen.troubles.keep(Trouble(Place("model_rollback"), NOW, NOW), None)
    told = overview(seen)
    assert "replica-2" in told["missing"]
    assert told["troubles"] == ["model_rollback is paused since 2026-05-04 12:00 UTC"]
    replicas = seen.dashboard.replicas("LAUNDRY")["replicas"]
    assert [(one["replica"], one["version"], bool(one["fault"])) for one in replicas] == [
        ("replica-1", "v1.0.0", False),
        ("replica-2", None, True),
    ]


def test_seven_days_are_told_when_they_are_over(seen):
    trained = seen.world.clock.now() - timedelta(days=6, hours=23)
    seen.world.confirmations.waiting = Backlog(57, 57, trained)
    told = overview(seen)["retraining"]
    assert (told["days"], told["min_days"]) == (6.9, 7)


def test_looks_are_told_with_the_changes_of_their_days(seen):
    world = seen.world.live("first")
    world.later(days=9)
    world.live("second")
    world.confirm(95, 5)
    world.later(hours=1)
    world.watch()
    told = seen.dashboard.sightings("LAUNDRY", 7)
    assert [(look["version"], look["accuracy"]) for look in told["looks"]] == [("v1.1.0", 0.95)]
    assert [(mark["kind"], mark["version"], mark["before"]) for mark in told["marks"]] == [
        ("promote", "v1.1.0", "v1.0.0")
    ]
    json.dumps(told)


def test_models_are_told_with_verdict_figures_and_report(seen):
    world = seen.world.live("first")
    world.accept("weak", against="v1.0.0", accepted=False)
    told = seen.dashboard.judged("LAUNDRY", 0)
    first, weak = sorted(told["judged"], key=lambda one: one["run_id"])
    assert (first["version"], first["status"], first["served"], first["accuracy"]) == ("v1.0.0", "ACTIVE", True, 0.94)
    assert (first["f1_score"], first["auc"], first["confusion"]) == (0.94, 0.98, ((50, 2), (3, 45)))
    assert first["report"].endswith("/verification-report.html")
    assert (weak["version"], weak["served"]) == (None, False)
    assert weak["verdict"]["verdict"] == "reject" and "holdout_accuracy" in weak["verdict"]["reasons"][0]
    json.dumps(told)


def test_a_canary_is_told_with_its_evidence_and_nothing_is_changed_by_looking(seen):
    assert seen.dashboard.canary("LAUNDRY") is None
    world = seen.world.live("first")
    version = world.candidate("second")
    world.start(version)
    world.confirm(8, 2, version=version)
    before, fleet = world.ledger, world.serving()
    told = seen.dashboard.canary("LAUNDRY")
    assert (told["version"], told["before"]) == ("v1.1.0", "v1.0.0")
    assert (told["canary"], told["decision"]) == ({"confirmed": 10, "agreed": 8}, "wait")
    assert [one["running"] for one in told["replicas"]] == [True, True]
    assert (world.ledger, world.serving()) == (before, fleet)


def test_dead_letters_are_told_with_their_reason(seen):
    assert (seen.dashboard.waiting_letters(), seen.dashboard.dead_letters()) == (0, [])
    seen.letters.queue.send(b"{", "message-1")
    for batch in seen.letters.queue.batches(max_messages=1, batch_size=1):
        seen.letters.queue.dead_letter(batch[0], "not JSON")
    assert seen.dashboard.waiting_letters() == 1
    assert [(one["reason"], one["bytes"]) for one in seen.dashboard.dead_letters()] == [("not JSON", 1)]


def test_what_is_set_aside_is_told_until_it_is_given_back(seen):
    world = seen.world.live("first", "second")
    world.confirm(0, 2, helper_id="H-1")
    assert seen.dashboard.voices("LAUNDRY") == [
        {"scope": "version", "name": "v1.1.0", "corrections": 2},
        {"scope": "version", "name": "v1.0.0", "corrections": 0},
        {"scope": "branch", "name": "H-1", "corrections": 2},
    ]
    by = By("kim", "poisoned", "run-1")
    one = withhold(seen.withholdings, world.transitions, world.clock, (ModelType.LAUNDRY, "version:v1.1.0"), by)
    (told,) = overview(seen)["withheld"]
    assert told == {
        **{"id": one.id, "scope": "version", "name": "v1.1.0", "corrections": 2},
        **{"at": one.at.isoformat(), "actor": "kim", "reason": "poisoned"},
    }
    lee = By("lee", "it was right", "run-2")
    kept = give_back(seen.withholdings, world.clock, one.id, lee)
    assert kept.given_back.actor == "lee"
    # The same request once more, because its answer was lost.
    assert give_back(seen.withholdings, world.clock, one.id, lee) == kept
    assert overview(seen)["withheld"] == []
    with pytest.raises(GiveUp, match="lee gave"):
        give_back(seen.withholdings, world.clock, one.id, by)
    with pytest.raises(GiveUp, match="nothing is set aside as 'unknown'"):
        give_back(seen.withholdings, world.clock, "unknown", by)


def test_of_a_face_model_the_way_to_its_next_retraining_is_told_by_its_own_policy(seen):
    seen.face_serves()
    wrong = {"ai_result": "different", "final_result": "same"}
    said = [a_face_confirmation(str(n), name, **wrong) for n, name in enumerate(["kim", "kim", "lee"])]
    seen.face_confirmations.store([*said, a_face_confirmation("right", "park")])
    answer = RetrainingDecision(False, "too_few", "3 corrections, 50 needed", Backlog(3, 3, None, people=2))
    for kind in (ModelType.FACE, ModelType.LAUNDRY):
        reason = f"{kind}: {answer.reason}"
        seen.sightings.decisions.record(kind, replace(answer, reason=reason), at=NOW, asked_by="kim")
    told = seen.dashboard.overview("FACE")["retraining"]
    json.dumps(told)
    assert (told["corrections"], told["needed"], told["people"], told["needed_people"]) == (3, 50, 2, 20)
    assert (told["urgent"], told["min_days"], told["running"]) == (None, 7.0, None)
    assert [one["reason"] for one in told["answers"]] == ["FACE: 3 corrections, 50 needed"]
    of_laundry = overview(seen)
    assert of_laundry["complete"] and of_laundry["retraining"]["needed_people"] is None
    assert of_laundry["retraining"]["urgent"] == 300


def test_of_a_face_model_both_rates_are_told_and_nothing_of_branch_managers(seen):
    assert seen.dashboard.overview("FACE")["rates"]["seen"] is None
    seen.face_serves()
    told = seen.dashboard.overview("FACE")
    json.dumps(told)
    assert (told["champion"]["version"], told["seen"], told["complete"]) == ("v1.1.0", None, False)
    rates = told["rates"]
    assert (rates["seen"]["state"], rates["seen"]["refused"]["share"]) == ("warn", 0.2)
    assert rates["seen"]["accepted"]["share"] is None
    assert rates["bars"]["refused"] == {"alert": 0.1, "most": 0.2, "margin": 0.1}
    assert overview(seen)["rates"] is None
    assert (seen.dashboard.voices("FACE"), seen.dashboard.worth("FACE")) == ([], {})
    (drawn,) = seen.dashboard.sightings("FACE", 7)["looks"]
    json.dumps(drawn)
    assert (drawn["version"], drawn["refused"]["low"], drawn["accepted"]["share"]) == ("v1.1.0", 0.11, None)
