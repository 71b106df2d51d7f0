"""Numbers for whoever watches: what the records say, under the names that dashboards and alerts ask for."""

import itertools
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from pipeline.domain.backups import Safeguard
from pipeline.domain.checks import Check, Outcome
from pipeline.domain.faces.gate import FaceCheck
from pipeline.domain.faces.looks import FaceLook, SeenRate
from pipeline.domain.faces.watching import FaceState, FaceWatchPolicy
from pipeline.domain.facts import FAMILIES
from pipeline.domain.figures.production import MOST_BRANCHES, Branches
from pipeline.domain.live_accuracy import LabelTally, LiveAccuracyPolicy, Observation, Tally
from pipeline.domain.models import ModelType
from pipeline.domain.retraining import RetrainingDecision, RetrainingPolicy, RunOutcome
from pipeline.domain.transitions import Entry, Phase
from pipeline.domain.troubles import Place, Trouble
from pipeline.ports.bundles import Watching
from pipeline.ports.live import Look
from pipeline.steps.faces.tell_face_facts import tell_face_facts
from pipeline.steps.tell_facts import tell_facts
from pipeline.steps.tell_replicas import tell_replicas
from pipeline.steps.tell_safeguards import tell_safeguards
from tests.builders import NOW, a_backlog, a_blessing, a_model_version, a_training_result, a_validation, an_event
from tests.fakes.backups import FakeSafeguards
from tests.fakes.deployment import FakeTransitions, FakeVersions
from tests.fakes.events import FakeConfirmations, FakeDecisions, FakeOutbox, FakeRetrainingRuns, FakeTroubles
from tests.fakes.faces import FakeFaceLooks
from tests.fakes.facts import FakeTotals
from tests.fakes.live import FakeReadings
from tests.fakes.training import FakeTrainingRuns
from tests.fakes.verification import FakeBlessings
from tests.histories import a_history

A_FACE_LOOK = FaceLook(
    "v2.0.0",
    NOW,
    FaceState.WARN,
    "rather bad",
    SeenRate(20, 100, 40, 0.11, 0.33),
    SeenRate(0, 0, 0, 0, 1),
    "rather bad",
)
LAUNDRY, HOUR = ModelType.LAUNDRY, timedelta(hours=1)


class Records:
    """Everything the exporter reads; `facts` is what it would tell now."""

    def __init__(self, shown=10):
        self.outbox, self.versions, self.training = FakeOutbox(), FakeVersions(), FakeTrainingRuns()
        self.confirmations, self.decisions, self.runs = FakeConfirmations(), FakeDecisions(), FakeRetrainingRuns()
        self.blessings, self.readings = FakeBlessings(self.outbox), FakeReadings(self.outbox)
        self.transitions = FakeTransitions(self.versions, self.outbox, self.blessings)
        self.troubles, self.shown = FakeTroubles(self.outbox), shown
        self.safeguards, self.face_looks, self.backed_up_since = FakeSafeguards(), FakeFaceLooks(), None
        self.branches = Branches()

    def facts(self, family=None):
        watching = Watching(
            versions=self.versions,
            training_runs=self.training,
            blessings=self.blessings,
            transitions=self.transitions,
            confirmations=self.confirmations,
            runs=self.runs,
            troubles=self.troubles,
            totals=FakeTotals(self.confirmations, self.decisions, self.runs, self.readings, self.outbox),
            live=LiveAccuracyPolicy(),
            retraining=RetrainingPolicy(min_days=3),
            seconds_between_looks=1800,
            shown=self.shown,
        )
        told = [
            *tell_facts(watching, self.branches),
            *tell_face_facts(self.face_looks, FaceWatchPolicy()),
            *tell_safeguards(self.safeguards, self.backed_up_since),
            *tell_replicas(("a:1", "b:1"), ("b:1",), at_least=0),
        ]
        return {fact.labels: fact.value for fact in told if fact.family == family} if family else told

    def register(self, version, accuracy=0.94, **result):
        run_id = f"run-of-{version}"
        self.versions.register(a_model_version(version, run_id=run_id, accuracy=accuracy or 0.5))
        self.training.succeed(a_training_result(run_id, **result))
        checks = () if accuracy is None else (a_validation(accuracy),)
        self.blessings.grant(a_blessing(run_id, checks=checks), None)

    def look(self, agreed, confirmed, *, blind=(0, 0), version="v1.0.0"):
        tally = Tally((LabelTally("양호", confirmed, agreed),), NOW)
        seen = Observation(version, tally, tally, Tally((LabelTally("양호", blind[1], blind[0]),), NOW))
        reading = LiveAccuracyPolicy().judge(seen, NOW)
        self.readings.record(Look(LAUNDRY, NOW, seen, reading, {}, "looked"))

    def happened(self, *acts):
        self.append(a_history(*acts).entries)

    def append(self, entries):
        ledger = self.transitions.ledger(LAUNDRY)
        self.transitions.append(ledger, *entries)


@pytest.fixture
def records():
    return Records()


def test_every_fact_has_a_family_with_its_labels_and_no_two_say_the_same(records):
    """A whole life: whatever is told is one number under a name that is documented."""
    records.register("v1.0.0")
    records.register("v1.1.0")
    records.happened("promote v1.0.0", "try v1.1.0", "promote canary v1.1.0", "take down to v1.0.0")
    records.confirmations.waiting = a_backlog()
    records.confirmations.store([an_event("a", model_version="v1.0.0"), an_event("b", final_result="찢어짐")])
    records.decisions.record(LAUNDRY, RetrainingDecision(True, "urgent", "", a_backlog()), at=NOW, asked_by="x")
    records.look(190, 200, blind=(150, 160))
    for number in range(2, 6):
        records.register(f"v1.{number}.0", accuracy=0.9 + number / 100)
        records.look(180 + number, 200, version=f"v1.{number}.0")
    records.runs.begin("run-1", LAUNDRY, at=NOW)
    for place in (Place("model_rollback"), Place("model_rollback", "roll_back")):
        records.troubles.keep(Trouble(place, NOW, NOW), None)
    records.safeguards.note(Safeguard.BASE, NOW, "20260504")
    records.backed_up_since = NOW
    records.face_looks.record(A_FACE_LOOK)
    told = records.facts()
    assert all(len(fact.labels) == len(FAMILIES[fact.family].labels) for fact in told)
    names = [(fact.family, fact.labels) for fact in told]
    assert len(set(names)) == len(names)
    of_others = {
        *(
            "exporter_up",
            "exporter_scrape_seconds",
            "dead_letters",
            "confirmations_waiting",
            "airflow_healthy",
            "disk_free_ratio",
            "dag_files_unreadable",
            "airflow_oldest_run_timestamp_seconds",
            "airflow_history_seconds",
        ),
    }
    # Its trial is over.
    assert {family for family, _ in names} == set(FAMILIES) - of_others - {"canary_timestamp_seconds"}


def test_nothing_is_told_of_an_installation_without_models_but_that_there_is_nothing(records):
    assert records.facts("model_info") == {}
    assert records.facts("champion_info") == {}
    assert set(records.facts("deployments_total").values()) == {0}
    assert records.facts("promotions_frozen") == {("laundry",): 0, ("face",): 0}


def test_what_was_not_measured_has_no_number(records):
    records.register("v1.0.0", accuracy=None, loss=float("nan"), auc=float("nan"))
    assert records.facts("model_accuracy_ratio") == {("laundry", "v1.0.0", "train"): 0.95}
    assert records.facts("model_loss") == {("laundry", "v1.0.0", "validation"): 0.2}
    assert records.facts("model_auc_ratio") == {}


def test_what_verification_measured_of_any_kind_of_model_stands_beside_its_bar(records):
    checks = (
        Check(FaceCheck.TAR, Outcome.PASSED, 0.97, 0.95, 600, "recognised"),
        Check(FaceCheck.FPIR, Outcome.NOT_MEASURED, None, 0.01, 0, "no stranger was looked for"),
    )
    records.versions.register(a_model_version("v2.0.0", run_id="faces", model_type=ModelType.FACE))
    records.blessings.grant(a_blessing("faces", model_type="FACE", checks=checks), None)
    names = {check.name: ("face", "v2.0.0", check.name) for check in checks}
    assert records.facts("model_check_value") == {names[FaceCheck.TAR]: 0.97}
    assert records.facts("model_check_bar") == {names[FaceCheck.TAR]: 0.95, names[FaceCheck.FPIR]: 0.01}


def test_the_confusion_of_a_model_is_told_in_peoples_words(records):
    records.register("v1.0.0", confusion=((50, 2), (3, 45)))
    found = records.facts("model_confusion_photos")
    assert found["laundry", "v1.0.0", "양호", "불량"] == 2
    assert found["laundry", "v1.0.0", "불량", "양호"] == 3


def test_old_versions_leave_but_what_serves_stays():
    records = Records(shown=2)
    for number in range(5):
        records.register(f"v1.{number}.0")
    records.happened("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    records.confirmations.store([an_event(f"{n}", model_version=f"v1.{n}.0") for n in range(5)])
    shown = {labels[1] for labels in records.facts("model_info")}
    assert shown == {"v1.4.0", "v1.3.0", "v1.0.0"}
    assert {labels[1] for labels in records.facts("confirmations_total")} == {*shown, "other"}


def test_confirmations_of_versions_that_nobody_registered_are_one_series(records):
    records.register("v1.0.0")
    versions = ("v1.0.0", None, "v9.9.9", "'; DROP TABLE")
    records.confirmations.store([an_event(f"{n}", model_version=version) for n, version in enumerate(versions)])
    counted = records.facts("confirmations_total")
    assert {labels: stored for labels, stored in counted.items() if stored} == {
        ("laundry", "v1.0.0", "양호", "true"): 1,
        ("laundry", "other", "양호", "true"): 3,
    }
    assert counted["laundry", "v1.0.0", "불량", "false"] == 0


def test_the_bars_of_an_installation_are_told_beside_what_is_held_against_them(records):
    assert records.facts("training_interval_seconds")[("laundry",)] == 3 * 86400
    assert records.facts("monitor_interval_seconds") == {("laundry",): 1800, ("face",): 1800}


def test_what_never_happened_is_late_from_when_the_records_began_and_backups_only_where_they_are_ours(records):
    assert records.facts("records_begun_timestamp_seconds") == {(): NOW.timestamp()}
    assert records.facts("safeguard_expected_timestamp_seconds") == {}
    records.backed_up_since = NOW
    assert records.facts("safeguard_expected_timestamp_seconds") == {(kind,): NOW.timestamp() for kind in Safeguard}


@pytest.mark.parametrize(
    ("addresses", "out", "at_least", "expected"),
    [
        (("a:1", "b:1"), (), 0, 2),
        (("a:1", "b:1"), ("b:1",), 0, 1),
        (("dns:///all:1",), (), 0, None),
        (("dns:///all:1",), (), 3, 3),
        (("dns:///all:1",), ("10.0.0.1:1",), 3, 2),
        (("a:1",), ("a:1",), 0, 0),
    ],
)
def test_how_many_replicas_have_to_serve(addresses, out, at_least, expected):
    told = {fact.family: fact.value for fact in tell_replicas(addresses, out, at_least=at_least)}
    assert told.get("replicas_expected") == expected


# Deployments


def test_a_deployment_is_counted_once_for_each_outcome_whatever_was_tried(records):
    (served,) = a_history("promote v1.0.0").entries
    phases = (Phase.REQUESTED, Phase.UNCONFIRMED, Phase.REQUESTED, Phase.SERVED, Phase.INCOMPLETE, Phase.COMPLETED)
    records.append([Entry(phase, served.act, served.at) for phase in phases])
    counted = records.facts("deployments_total")
    promoted = {outcome: n for (model, kind, outcome), n in counted.items() if (model, kind) == ("laundry", "promote")}
    assert promoted == {"requested": 1, "unconfirmed": 1, "failed": 0, "done": 1}


def test_an_automatic_rollback_is_told_from_a_persons_and_freezes(records):
    records.happened("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0")
    counted = records.facts("deployments_total")
    assert counted["laundry", "rollback_auto", "done"] == 1
    assert counted["laundry", "rollback_manual", "done"] == 0
    assert records.facts("promotions_frozen")["laundry",] == 1
    assert records.facts("promotions_frozen_timestamp_seconds") == {("laundry",): (NOW + 3 * HOUR).timestamp()}
    assert records.facts("last_promotion_timestamp_seconds") == {("laundry",): (NOW + 2 * HOUR).timestamp()}
    assert records.facts("champion_info") == {("laundry", "v1.0.0"): 1}


def test_a_rollback_that_came_to_nothing_is_told_until_another_change(records):
    history = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    *before, back = history.entries
    records.append([*before, Entry(Phase.FAILED, back.act, back.at, "no replica answers")])
    assert records.facts("rollback_failed")["laundry",] == 1
    records.append([Entry(Phase.SERVED, back.act, back.at)])
    assert records.facts("rollback_failed")["laundry",] == 0


def test_a_canary_is_told_while_it_is_on_trial(records):
    records.happened("promote v1.0.0", "try v1.1.0")
    assert records.facts("canary_timestamp_seconds") == {("laundry", "v1.1.0"): (NOW + 2 * HOUR).timestamp()}
    records.append(a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0").entries[2:])
    assert records.facts("canary_timestamp_seconds") == {}


# Production


def test_three_confirmations_out_of_three_are_no_accuracy(records):
    records.look(3, 3)
    assert records.facts("live_accuracy_ratio") == {}
    assert records.facts("live_accuracy_high_ratio") == {}
    states = {labels[2]: value for labels, value in records.facts("live_accuracy_state").items()}
    assert states == {"unknown": True, "ok": False, "low": False, "failing": False}
    assert records.facts("live_confirmations")["laundry", "v1.0.0", "observed"] == 3


def test_live_accuracy_stands_with_its_interval_beside_the_blind_sample(records):
    records.register("v1.0.0", accuracy=0.95)
    records.look(180, 200, blind=(40, 50))
    assert records.facts("live_accuracy_ratio") == {("laundry", "v1.0.0", "observed"): 0.9}
    low, high = (records.facts(f"live_accuracy_{end}_ratio")["laundry", "v1.0.0", "blind"] for end in ("low", "high"))
    assert low < 0.8 < high
    assert records.facts("gate_vs_live_gap_ratio") == {("laundry", "v1.0.0"): pytest.approx(0.05)}


LIKED = [0.90, 0.92, 0.94, 0.96, 0.98]


@pytest.mark.parametrize(
    ("verified", "agreed", "told"),
    [
        (LIKED, [160, 165, 170, 175, 180], 1.0),
        (LIKED, [180, 175, 170, 165, 160], -1.0),
        (LIKED[:4], [160, 165, 170, 175], None),
        (LIKED, [170] * 5, None),
        ([0.9] * 5, [160, 165, 170, 175, 180], None),
    ],
    ids=["the same ones", "the others", "too few to tell", "life sees no difference", "the gate sees no difference"],
)
def test_whether_the_gate_likes_the_versions_that_people_agree_with_is_told_over_all_that_served(
    records, verified, agreed, told
):
    records.look(199, 200, version="v9.9.9")
    for number, (accuracy, right) in enumerate(zip(verified, agreed, strict=True)):
        records.register(f"v1.{number}.0", accuracy=accuracy)
        records.look(right, 200, version=f"v1.{number}.0")
    records.register("v1.9.0", accuracy=0.5)
    records.look(3, 3, version="v1.9.0")
    gaps = records.facts("gate_vs_live_gap_ratio")
    assert gaps == {
        ("laundry", f"v1.{n}.0"): pytest.approx(accuracy - right / 200)
        for n, (accuracy, right) in enumerate(zip(verified, agreed, strict=True))
    }
    found = records.facts("gate_vs_live_correlation")
    assert found == ({} if told is None else {("laundry",): pytest.approx(told)})


def test_both_rates_of_a_face_champion_stand_with_their_intervals_and_its_state(records):
    assert records.facts("face_rates_state") == {}
    records.face_looks.record(A_FACE_LOOK)
    states = {labels[2]: value for labels, value in records.facts("face_rates_state").items()}
    assert states == {"failing": False, "warn": True, "unknown": False, "ok": False}
    assert records.facts("face_rate_ratio") == {("face", "v2.0.0", "refused"): 0.2}
    ends = [records.facts(f"face_rate_{end}_ratio")["face", "v2.0.0", "refused"] for end in ("low", "high")]
    assert ends == [0.11, 0.33]
    people = records.facts("face_rate_people")
    seen = {"refused": 40, "accepted": 0, "unnamed": 0, "misnamed": 0}
    assert people == {("face", "v2.0.0", rate): count for rate, count in seen.items()}
    assert records.facts("live_accuracy_looked_timestamp_seconds") == {("face",): NOW.timestamp()}


def test_a_rate_of_too_few_people_is_told_by_its_interval_alone(records):
    few = replace(A_FACE_LOOK.refused, failed=1, checks=1, people=1)
    records.face_looks.record(replace(A_FACE_LOOK, accepted=few))
    assert records.facts("face_rate_ratio") == {("face", "v2.0.0", "refused"): 0.2}
    assert ("face", "v2.0.0", "accepted") in records.facts("face_rate_high_ratio")


# Retraining


def test_corrections_of_laundry_wait_for_no_other_model(records):
    assert {labels[0] for labels in records.facts("corrections_pending")} == {"laundry"}
    assert {labels[0] for labels in records.facts("corrections_untried")} == {"laundry"}


def test_corrections_stand_beside_what_is_needed(records):
    records.confirmations.waiting = a_backlog(corrections=150, since_last_try=20)
    assert records.facts("corrections_pending")["laundry",] == 150
    assert records.facts("corrections_untried")["laundry",] == 20
    assert records.facts("corrections_needed")["laundry", "urgent"] == 300


def test_refusals_in_a_row_end_with_a_deployment(records):
    for number, outcome in enumerate([RunOutcome.REFUSED, RunOutcome.DEPLOYED, RunOutcome.REFUSED, RunOutcome.REFUSED]):
        records.runs.begin(f"run-{number}", LAUNDRY, at=NOW)
        records.runs.end(f"run-{number}", at=NOW, outcome=outcome)
    assert records.facts("refusals_in_a_row")["laundry",] == 2
    assert records.facts("runs_ended")["laundry", "refused"] == 3
    records.runs.begin("run-9", LAUNDRY, at=NOW)
    records.runs.end("run-9", at=NOW, outcome="died: no run of the night is alive")
    assert records.facts("refusals_in_a_row")["laundry",] == 0
    assert records.facts("runs_ended")["laundry", "lost"] == 1


def test_a_paused_dag_and_a_failing_step_are_told_while_they_last(records):
    trouble = Trouble(Place("task_confirmed_intake"), NOW, NOW)
    records.troubles.keep(trouble, None)
    records.troubles.keep(Trouble(Place("model_rollback", "roll_back"), NOW, NOW), None)
    assert records.facts("dag_paused") == {("task_confirmed_intake",): 1}
    failing = records.facts("step_failing_timestamp_seconds")
    assert failing == {("model_rollback", "roll_back"): NOW.timestamp()}
    works = records.troubles.at(Place("model_rollback", "roll_back")).worked(-1, NOW + HOUR)
    records.troubles.keep(works, None)
    assert records.facts("step_failing_timestamp_seconds") == {}


def test_every_help_text_says_something_and_labels_are_not_repeated():
    for family in FAMILIES.values():
        assert len(family.help.split()) >= 4, family.name
        assert len(set(family.labels)) == len(family.labels)


def test_what_a_model_says_is_told_by_branch_whatever_people_say_of_it(records):
    records.register("v1.0.0")
    sure, unsure = ({"branchId": "강남점", "confidence": confidence} for confidence in (0.75, 0.25))
    records.confirmations.store(
        [
            an_event("a", model_version="v1.0.0", ai_result="불량", extra=sure),
            an_event("b", model_version="v1.0.0", ai_result="불량", corrected=False, extra=unsure),
            an_event("c", model_version="v1.0.0", ai_result="양호", extra={"branchId": "강남점"}),
            an_event("d", model_version="v0.1.0", ai_result="양호", extra=sure),
        ]
    )
    said = {labels[2:]: value for labels, value in records.facts("predictions_total").items() if value}
    assert said == {("강남점", "불량"): 2, ("강남점", "양호"): 1}
    assert records.facts("predictions_rated_total")["laundry", "v1.0.0", "강남점"] == 2
    assert records.facts("prediction_confidence_total")["laundry", "v1.0.0", "강남점"] == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_no_counter_falls_whichever_branches_grow_for_whichever_version(records, seed):
    """What falls is taken for a beginning anew, and all of it for news."""
    chance, before, number = Random(seed), {}, itertools.count()
    for version in ("v1.0.0", "v2.0.0"):
        records.register(version)
        for size in (5, 30, 45, 45):
            said = [
                an_event(
                    f"e{next(number)}", model_version=version, extra={"branchId": f"branch-{chance.randrange(size)}"}
                )
                for _ in range(60)
            ]
            records.confirmations.store(said)
            told = records.facts("predictions_total")
            assert {labels for labels, value in before.items() if told[labels] < value} == set()
            assert sum(told.values()) == sum(before.values()) + 60
            assert len({branch for _, _, branch, _ in told} - {"other", "none"}) <= MOST_BRANCHES
            before = told


def test_however_many_branches_there_are_few_have_series_and_none_is_mistaken_for_the_rest(records):
    records.register("v1.0.0")
    branches = ["other", "none", *(f"branch-{number:02d}" for number in range(40))]
    for times, branch in enumerate(branches, start=1):
        said = [an_event(f"{branch}-{n}", model_version="v1.0.0", extra={"branchId": branch}) for n in range(times)]
        records.confirmations.store(said)
    told = records.facts("predictions_total")
    assert {branch for _, _, branch, _ in told} == {"other", "none", *branches[-MOST_BRANCHES:]}
    assert sum(told.values()) == sum(range(1, len(branches) + 1))
    assert sum(value for (_, _, branch, _), value in told.items() if branch == "none") == 0
