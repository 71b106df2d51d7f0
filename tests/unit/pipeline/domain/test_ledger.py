"""What the history of a model type allows: each sequence that once put a wrong model live, and its neighbours."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import (
    CanaryEnded,
    GiveUp,
    NotBlessed,
    PromotionFrozen,
    StaleTransition,
    TakenDown,
    UnknownVersion,
)
from pipeline.domain.ledger import PREVIOUS, Ledger, RollbackRequest
from pipeline.domain.models import Artifact, ModelType, Status
from pipeline.domain.transitions import By, Entry, Kind, Phase, TrialOf
from pipeline.domain.verification import VerificationPolicy
from tests.builders import MANIFEST_SHA256, NOW, a_blessing, a_model_version, a_performance
from tests.histories import a_history

LATER = NOW + timedelta(days=1)
BY = By("kim", "why not", "a new request")
# Of the trial that the second act of a history began.
ITS_OWN = By("kim", "98/100 right", "request-2")
LOAD_TEST = VerificationPolicy().judge_performance(a_performance())


def version(name):
    return a_model_version(name, artifact=Artifact(f"s3://models/{name}/", MANIFEST_SHA256))


def promote(ledger, name, against=..., by=BY, **blessing):
    against = ledger.champion if against is ... else against
    return ledger.promote(version(name), a_blessing(champion_version=against, **blessing), by, LATER)


def try_out(ledger, name, by=BY):
    return ledger.start_canary(version(name), a_blessing(champion_version=ledger.champion), by, LATER)


def force(ledger, name, by=BY):
    return ledger.force(version(name), a_blessing(accepted=False, checks=LOAD_TEST), by, LATER)


def roll_back(ledger, target=PREVIOUS, by=BY, at=LATER, judged=None):
    return ledger.roll_back(RollbackRequest(target, at, judged), by, LATER)


# Going live


def test_a_promotion_names_who_was_champion_who_asks_and_the_verdict():
    change = promote(a_history("promote v1.0.0"), "v1.1.0", id="blessing:run-7")
    assert (change.kind, change.version, change.from_version) == (Kind.PROMOTE, "v1.1.0", "v1.0.0")
    assert (change.by, change.at, change.blessing_id) == (BY, LATER, "blessing:run-7")


def test_the_same_request_gets_the_act_it_made_then_whatever_happened_since():
    ledger = Ledger(ModelType.LAUNDRY)
    first = promote(ledger, "v1.0.0")
    ledger = ledger.followed_by(Entry(Phase.SERVED, first, LATER), *a_history("promote v1.1.0").entries)
    assert ledger.champion == "v1.1.0"
    assert promote(ledger, "v1.0.0") == first


def test_one_request_is_about_one_version():
    ledger = Ledger(ModelType.LAUNDRY)
    ledger = ledger.followed_by(Entry(Phase.SERVED, promote(ledger, "v1.0.0"), LATER))
    with pytest.raises(StaleTransition, match=r"made v1\.0\.0 live before"):
        promote(ledger, "v1.1.0")


def test_promoted_rolled_back_and_promoted_again_by_another_request_it_serves_again():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    assert promote(ledger, "v1.1.0").version == "v1.1.0"


@pytest.mark.parametrize(
    ("history", "error", "complaint"),
    [
        (("promote v1.0.0", "promote v1.1.0"), UnknownVersion, "v1.1.0 serves already"),
        (("promote v1.0.0", "archive v1.1.0"), UnknownVersion, "v1.1.0 is archived: restore it"),
        (("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0"), PromotionFrozen, "since v1.1.0 was rolled back"),
        (
            ("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0", "clear freeze v1.0.0"),
            TakenDown,
            "taken down automatically .because of 3.: only force",
        ),
        (("promote v1.0.0", "try v1.1.0", "abort v1.1.0"), TakenDown, "aborted by kim: because of 3"),
    ],
)
def test_what_may_not_go_live_is_refused_with_a_sentence(history, error, complaint):
    with pytest.raises(error, match=complaint):
        promote(a_history(*history), "v1.1.0")


@pytest.mark.parametrize("way", [promote, try_out])
def test_only_what_verification_accepted_for_these_very_files_and_this_champion_goes_live(way):
    ledger, target = a_history("promote v1.0.0"), version("v1.1.0")
    decide = ledger.promote if way is promote else ledger.start_canary
    for blessing, complaint in (
        (None, "not accepted"),
        (a_blessing(accepted=False), "not accepted"),
        (a_blessing(accepted=False, held=True), "not accepted"),
        (a_blessing(artifact_manifest_sha256="b" * 64), "other files"),
    ):
        with pytest.raises(NotBlessed, match=complaint):
            decide(target, blessing, BY, LATER)
    with pytest.raises(StaleTransition, match=r"against champion v0\.9\.0, but v1\.0\.0 serves now"):
        decide(target, a_blessing(champion_version="v0.9.0"), BY, LATER)


def test_only_how_the_last_trial_ended_counts():
    ledger = a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0")
    assert ledger.aborted("v1.1.0") is not None
    assert a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0", "try v1.1.0").aborted("v1.1.0") is None


def test_an_aborted_version_may_be_tried_again_and_then_promoted():
    ledger = a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0")
    assert try_out(ledger, "v1.1.0").version == "v1.1.0"
    ledger = a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0", "try v1.1.0", "promote canary v1.1.0")
    assert ledger.champion == "v1.1.0" and ledger.aborted("v1.1.0") is None


# Canary


def test_a_share_is_given_beside_the_champion():
    trial = try_out(a_history("promote v1.0.0"), "v1.1.0")
    assert (trial.version, trial.beside) == ("v1.1.0", "v1.0.0")
    with pytest.raises(StaleTransition, match="promote it in full"):
        try_out(a_history(), "v1.0.0")


def test_only_a_canary_on_trial_can_be_promoted():
    trial = a_history("promote v1.0.0", "try v1.1.0")
    change = trial.promote_canary("v1.1.0", ITS_OWN, LATER)
    assert (change.kind, change.from_version, change.blessing_id) == (Kind.CANARY_PROMOTE, "v1.0.0", "blessing")
    with pytest.raises(CanaryEnded, match=r"v1\.2\.0 is not on trial: it was never tried"):
        trial.promote_canary("v1.2.0", ITS_OWN, LATER)


@pytest.mark.parametrize(
    ("ended_by", "complaint"),
    [
        ("abort v1.1.0", "its trial was aborted by kim .because of 3."),
        ("promote v1.2.0", "v1.2.0 was made champion meanwhile"),
        ("promote canary v1.1.0", "it served everybody since"),
    ],
)
def test_an_approval_that_comes_after_the_trial_promotes_nothing(ended_by, complaint):
    ledger = a_history("promote v1.0.0", "try v1.1.0", ended_by)
    assert ledger.trial is None
    with pytest.raises(CanaryEnded, match=complaint):
        ledger.promote_canary("v1.1.0", ITS_OWN, LATER)


def test_a_trial_that_somebody_wants_to_end_is_over_although_replicas_still_try_it():
    ledger = a_history("promote v1.0.0", "try v1.1.0")
    abort = ledger.abort_canary(TrialOf("v1.1.0"), BY, LATER)
    wanted = ledger.followed_by(Entry(Phase.REQUESTED, abort, LATER))
    assert wanted.trial is None and wanted.unsettled == (abort,)
    with pytest.raises(CanaryEnded):
        wanted.promote_canary("v1.1.0", ITS_OWN, LATER)
    assert wanted.abort_canary(TrialOf("v1.1.0"), By("lee", "me too", "another"), LATER) == abort


def test_a_run_promotes_and_ends_the_trial_that_it_began_and_not_the_next_one_of_the_same_version():
    ledger = a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0", "try v1.1.0")
    with pytest.raises(CanaryEnded, match=r"kim began another trial of it \(request-4\); nothing was promoted"):
        ledger.promote_canary("v1.1.0", ITS_OWN, LATER)
    assert ledger.abort_canary(TrialOf("v1.1.0", "request-2"), ITS_OWN, LATER) is None
    own = By("kim", "98/100 right", "request-4")
    assert ledger.promote_canary("v1.1.0", own, LATER).version == "v1.1.0"
    assert ledger.abort_canary(TrialOf("v1.1.0", "request-4"), own, LATER).trial_id == "act-4"
    assert ledger.abort_canary(TrialOf("v1.1.0"), BY, LATER).trial_id == "act-4"


def test_a_trial_that_was_only_asked_for_can_be_aborted_and_does_not_begin_again_by_itself():
    ledger = a_history("promote v1.0.0")
    start = try_out(ledger, "v1.1.0")
    asked = ledger.followed_by(Entry(Phase.REQUESTED, start, LATER))
    abort = asked.abort_canary(TrialOf("v1.1.0"), By("lee", "no", "another"), LATER)
    ended = asked.followed_by(Entry(Phase.REQUESTED, abort, LATER), Entry(Phase.NOTED, abort, LATER))
    assert ended.unsettled == ()
    with pytest.raises(CanaryEnded, match="this trial of v1.1.0 is over"):
        try_out(ended, "v1.1.0")


def test_one_is_tried_at_a_time_and_the_same_request_goes_on():
    ledger = a_history("promote v1.0.0")
    ledger = ledger.followed_by(Entry(Phase.NOTED, try_out(ledger, "v1.1.0"), LATER))
    assert try_out(ledger, "v1.1.0") == ledger.trial
    assert ledger.trial_since == LATER
    for other in ("v1.1.0", "v1.2.0"):
        with pytest.raises(CanaryEnded, match=r"v1\.1\.0 is on trial already"):
            try_out(ledger, other, By("lee", "too", "another"))


def test_there_is_nothing_to_abort_but_the_trial():
    assert a_history("promote v1.0.0").abort_canary(TrialOf("v1.1.0"), BY, LATER) is None
    assert a_history("promote v1.0.0", "try v1.1.0").abort_canary(TrialOf("v1.2.0"), BY, LATER) is None


# Going back


def test_previous_twice_goes_two_steps_back_never_forth():
    steps = ["promote v1.0.0", "promote v1.1.0", "promote v1.2.0"]
    assert roll_back(a_history(*steps)).version == "v1.1.0"
    assert roll_back(a_history(*steps, "roll back v1.1.0")).version == "v1.0.0"
    with pytest.raises(UnknownVersion, match="no previous one"):
        roll_back(a_history(*steps, "roll back v1.1.0", "roll back v1.0.0"))


def test_forth_again_is_named_and_previous_then_goes_where_one_came_from():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "roll back v1.1.0")
    assert ledger.standing == ("v1.0.0", "v1.1.0")
    assert roll_back(ledger).version == "v1.0.0"


def test_what_a_far_step_back_jumped_over_is_not_previous():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "promote v1.3.0", "roll back v1.1.0")
    assert (ledger.previous, ledger.sound_target) == ("v1.0.0", "v1.0.0")


def test_what_a_person_put_back_is_sound_again_what_the_monitor_took_down_is_not():
    put_back = ("roll back v1.0.0", "roll back v1.1.0", "promote v1.2.0")
    assert a_history("promote v1.0.0", "promote v1.1.0", *put_back).sound_target == "v1.1.0"
    forced = ("take down to v1.0.0", "clear freeze v1.0.0", "force v1.1.0", "promote v1.2.0")
    assert a_history("promote v1.0.0", "promote v1.1.0", *forced).sound_target == "v1.0.0"


def test_going_forth_takes_nothing_down():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "roll back v1.1.0")
    assert set(ledger.taken_down) == {"v1.1.0"}
    assert ledger.sound_target == "v1.0.0"


def test_a_version_that_served_twice_is_gone_back_to_where_it_served_last():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "force v1.0.0", "promote v1.2.0", "roll back v1.0.0")
    assert ledger.standing == ("v1.0.0", "v1.1.0", "v1.0.0")
    assert roll_back(ledger).version == "v1.1.0"


def test_an_automatic_rollback_goes_to_the_newest_version_that_nobody_took_down():
    """v1 → v2 → v3, a person goes back to v2, v2 fails: not v3 again, and not the oldest either."""
    ledger = a_history("promote v0.9.0", "promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "roll back v1.1.0")
    assert ledger.sound_target == "v1.0.0"
    change = roll_back(ledger, "v1.0.0", judged="v1.1.0")
    assert (change.kind, change.version) == (Kind.ROLLBACK_AUTO, "v1.0.0")
    assert roll_back(ledger, judged="v1.1.0").version == "v1.0.0"
    with pytest.raises(TakenDown, match=r"v1\.2\.0 was taken down by kim .because of 5."):
        roll_back(ledger, "v1.2.0", judged="v1.1.0")


def test_a_person_may_go_where_the_monitor_may_not_by_name_alone():
    taken_down = ("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0", "clear freeze v1.0.0")
    ledger = a_history(*taken_down, "force v1.1.0", "promote v1.2.0")
    assert ledger.previous == "v1.0.0"
    assert roll_back(ledger, "v1.1.0").version == "v1.1.0"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [("v1.1.0", "serves already"), ("v9.9.9", "never served"), ("'; DROP TABLE", "never served")],
)
def test_a_target_that_makes_no_sense_is_refused(target, complaint):
    with pytest.raises(UnknownVersion, match=complaint):
        roll_back(a_history("promote v1.0.0", "promote v1.1.0"), target)
    with pytest.raises(UnknownVersion, match="nothing to roll back to"):
        roll_back(a_history(), target)


def test_the_monitor_means_the_reign_it_judged_not_a_later_one_of_the_same_version():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "force v1.1.0")
    since = ledger.reigns[-1].since
    with pytest.raises(StaleTransition, match="after this rollback was asked for"):
        roll_back(ledger, "v1.0.0", judged="v1.1.0", at=since - timedelta(minutes=1))
    assert roll_back(ledger, "v1.0.0", judged="v1.1.0", at=since).kind is Kind.ROLLBACK_AUTO


def test_what_was_archived_is_no_target_before_it_is_restored():
    steps = ["promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "archive v1.1.0"]
    ledger = a_history(*steps)
    assert ledger.sound_target == "v1.0.0"
    with pytest.raises(UnknownVersion, match=r"v1\.1\.0 is archived: restore it"):
        roll_back(ledger)
    assert roll_back(a_history(*steps, "restore v1.1.0")).version == "v1.1.0"


def test_two_people_who_ask_at_once_take_one_step_back():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    since = ledger.reigns[-1].since
    with pytest.raises(StaleTransition, match=r"v1\.0\.0 serves since .*, after this rollback was asked for"):
        roll_back(ledger, at=since - timedelta(seconds=1))
    with pytest.raises(UnknownVersion):
        roll_back(ledger, at=since)
    # Whoever names a version means it.
    assert roll_back(ledger, "v1.1.0", at=since - timedelta(hours=9)).version == "v1.1.0"


def test_an_approval_is_for_the_version_that_the_question_named_instead_of_the_one_that_served_then():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "promote v1.2.0")
    allowed = RollbackRequest("v1.0.0", LATER, instead_of="v1.1.0")
    with pytest.raises(StaleTransition, match=r"about v1\.1\.0, but v1\.2\.0 serves"):
        ledger.roll_back(allowed, BY, LATER)
    assert (
        ledger.roll_back(RollbackRequest("v1.0.0", LATER, instead_of="v1.2.0"), BY, LATER).kind is Kind.ROLLBACK_MANUAL
    )


@pytest.mark.parametrize(
    ("history", "judged", "error", "complaint"),
    [
        (("promote v1.0.0", "promote v1.1.0"), "v1.0.0", StaleTransition, "about v1.0.0, but v1.1.0 serves"),
        (
            ("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0"),
            "v1.0.0",
            PromotionFrozen,
            "a person has to look",
        ),
        (
            ("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0", "clear freeze v1.0.0", "force v1.1.0"),
            "v1.1.0",
            TakenDown,
            "rolled back automatically once, and a person put it back",
        ),
        (("promote v1.0.0",), "v1.0.0", UnknownVersion, "no sound version served before v1.0.0"),
    ],
)
def test_the_monitor_acts_once_and_only_on_the_champion_it_judged(history, judged, error, complaint):
    with pytest.raises(error, match=complaint):
        roll_back(a_history(*history), judged=judged)


def test_a_rollback_is_possible_while_promotions_are_frozen():
    ledger = a_history("promote v0.9.0", "promote v1.0.0", "promote v1.1.0", "take down to v1.0.0")
    assert roll_back(ledger).version == "v0.9.0"


# Freeze and force


def test_a_freeze_ends_by_a_persons_word_and_a_later_one_needs_another():
    frozen = a_history("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0")
    first = frozen.clear_freeze(BY, LATER)
    again = a_history(
        *("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0", "clear freeze v1.0.0"),
        *("promote v1.2.0", "take down to v1.0.0"),
    ).clear_freeze(BY, LATER)
    assert first.version == again.version == "v1.0.0"
    assert first.id != again.id
    assert frozen.clear_freeze(BY, LATER, frozen.freeze.id) == first
    assert frozen.freeze.from_version == "v1.1.0"


@pytest.mark.parametrize("meant", ["", "another"])
def test_a_click_on_one_freeze_clears_no_other(meant):
    frozen = a_history("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0")
    with pytest.raises(GiveUp, match=f"not this freeze was meant, which is '{frozen.freeze.id}'"):
        frozen.clear_freeze(BY, LATER, meant)


@pytest.mark.parametrize(("actor", "reason"), [("", "why"), ("kim", "  ")])
def test_nobody_clears_a_freeze_or_forces_without_a_name_and_a_reason(actor, reason):
    nobody = By(actor, reason, "request")
    with pytest.raises(GiveUp, match="needs an actor and a reason"):
        a_history("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0").clear_freeze(nobody, LATER)
    with pytest.raises(GiveUp, match="needs an actor and a reason"):
        force(a_history("promote v1.0.0"), "v1.1.0", nobody)


def test_what_no_database_keeps_does_not_keep_an_emergency_from_happening():
    by = By("k\0m", "half \ud83d a pair", "이유")
    assert (by.actor, by.reason, by.request_id) == ("k?m", "half ? a pair", "이유")


def test_what_is_not_frozen_cannot_be_cleared():
    with pytest.raises(GiveUp, match="not frozen"):
        a_history("promote v1.0.0").clear_freeze(BY, LATER)


def test_force_skips_the_verdict_and_what_was_taken_down_but_neither_freeze_nor_load_test():
    taken_down = a_history("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0", "clear freeze v1.0.0")
    assert force(taken_down, "v1.1.0").kind is Kind.FORCED
    with pytest.raises(PromotionFrozen):
        force(a_history("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0"), "v1.1.0")
    with pytest.raises(NotBlessed, match="load test"):
        taken_down.force(version("v1.1.0"), a_blessing(accepted=False), BY, LATER)
    with pytest.raises(NotBlessed, match="has no LAUNDRY verdict"):
        taken_down.force(version("v1.1.0"), a_blessing(model_type="FACE"), BY, LATER)


# Files and rows


def test_what_is_needed_stays_at_hand():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "try v1.3.0")
    assert ledger.needed == {
        "v1.1.0": "previous: what a rollback brings back",
        "v1.2.0": "champion",
        "v1.3.0": "canary",
    }
    for needed in ledger.needed:
        with pytest.raises(GiveUp, match=f"{needed} stays at hand"):
            ledger.retire(needed, BY, LATER)
    assert ledger.retire("v1.0.0", BY, LATER).version == "v1.0.0"


def test_what_is_being_deployed_and_what_the_monitor_would_bring_back_stay_too():
    ledger = a_history("promote v0.9.0", "promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "roll back v1.1.0")
    deployed = ledger.followed_by(Entry(Phase.REQUESTED, promote(ledger, "v1.2.0"), LATER))
    assert deployed.needed["v1.2.0"] == "being deployed"
    archived = ("promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "archive v1.1.0")
    assert a_history(*archived).needed["v1.0.0"] == "what an automatic rollback brings back"


def test_a_version_is_archived_restored_and_archived_again_each_time_by_an_act_of_its_own():
    steps = ["promote v1.0.0", "promote v1.1.0", "promote v1.2.0", "archive v1.0.0"]
    with pytest.raises(GiveUp, match="archived already"):
        a_history(*steps).retire("v1.0.0", BY, LATER)
    with pytest.raises(UnknownVersion, match="at hand"):
        a_history(*steps[:3]).restore("v1.0.0", BY, LATER)
    first, second = a_history(*steps), a_history(*steps, "restore v1.0.0", "archive v1.0.0")
    assert first.restore("v1.0.0", BY, LATER).id != second.restore("v1.0.0", BY, LATER).id
    restored = a_history(*steps, "restore v1.0.0")
    assert restored.retire("v1.0.0", BY, LATER).id != a_history(*steps[:3]).retire("v1.0.0", BY, LATER).id


def test_rows_follow_from_the_history():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "archive v1.0.0", "promote v1.2.0", "try v1.3.0")
    rows = ledger.rows
    assert {v: row.status for v, row in rows.items()} == {
        "v1.0.0": Status.ARCHIVED,
        "v1.1.0": Status.RETIRED,
        "v1.2.0": Status.ACTIVE,
        "v1.3.0": Status.CANARY,
    }
    assert (rows["v1.2.0"].previous_version, rows["v1.2.0"].deployed_at) == ("v1.1.0", ledger.reigns[-1].since)
    assert rows["v1.3.0"].deployed_at is None


# What is open


def asked_for(name, *history):
    ledger = a_history(*history)
    change = promote(ledger, name)
    return ledger.followed_by(Entry(Phase.REQUESTED, change, LATER)), change


def test_an_intent_is_open_until_it_is_seen_to_serve_or_to_fail():
    ledger, change = asked_for("v1.1.0", "promote v1.0.0")
    assert ledger.unsettled == (change,) and ledger.champion == "v1.0.0"
    unknown = ledger.followed_by(Entry(Phase.UNCONFIRMED, change, LATER))
    assert unknown.is_open(change)
    for phase in (Phase.FAILED, Phase.SERVED):
        assert unknown.followed_by(Entry(phase, change, LATER)).unsettled == ()


def test_a_later_change_overtakes_what_is_open_but_no_restore():
    ledger, change = asked_for("v1.1.0", "promote v1.0.0", "archive v0.9.0")
    restore = ledger.restore("v0.9.0", BY, LATER)
    both = ledger.followed_by(Entry(Phase.REQUESTED, restore, LATER))
    overtaken = both.followed_by(*a_history("promote v1.2.0").entries)
    assert both.open_intents == (change, restore)
    assert overtaken.open_intents == (restore,) and overtaken.unsettled == ()


def test_a_rollback_stays_incomplete_until_the_last_replica_is_back_or_something_else_serves():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0")
    change = ledger.changes[-1]
    missing = ledger.followed_by(Entry(Phase.INCOMPLETE, change, LATER, "replica-2 does not answer"))
    assert missing.incomplete.detail == "replica-2 does not answer"
    assert missing.followed_by(Entry(Phase.COMPLETED, change, LATER)).incomplete is None
    assert missing.followed_by(*a_history("promote v1.2.0").entries).incomplete is None
    assert ledger.incomplete is None


def test_a_failed_rollback_is_remembered_until_one_succeeds():
    ledger = a_history("promote v1.0.0", "promote v1.1.0")
    failed = ledger.followed_by(Entry(Phase.FAILED, roll_back(ledger), LATER, "refused"))
    assert failed.failed_rollback.detail == "refused"
    assert failed.followed_by(Entry(Phase.SERVED, roll_back(ledger), LATER)).failed_rollback is None
    assert ledger.followed_by(Entry(Phase.FAILED, promote(ledger, "v1.2.0"), LATER)).failed_rollback is None


def test_the_registry_is_behind_each_change_of_champion_until_it_was_seen_to_name_it():
    assert not Ledger(ModelType.LAUNDRY).registry_is_behind
    ledger = a_history("promote v1.0.0", "promote v1.1.0")
    mirrored = ledger.followed_by(Entry(Phase.MIRRORED, ledger.changes[-1], LATER))
    tried = mirrored.followed_by(a_history("promote v1.0.0", "try v1.2.0").entries[-1])
    assert ledger.registry_is_behind and not mirrored.registry_is_behind and not tried.registry_is_behind
    assert mirrored.followed_by(Entry(Phase.SERVED, roll_back(mirrored), LATER)).registry_is_behind


def test_reigns_follow_each_other_without_a_gap():
    first, second = a_history("promote v1.0.0", "try v1.1.0", "promote canary v1.1.0").reigns
    assert (first.version, first.until, second.until) == ("v1.0.0", second.since, None)
    assert replace(first, until=None).since < second.since
