"""What an act says of itself, what a request that comes again gets, and the refusals word for word."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.errors import CanaryEnded, GiveUp, NotBlessed, StaleTransition, UnknownVersion
from pipeline.domain.ledger import PREVIOUS, Ledger, RollbackRequest
from pipeline.domain.models import Artifact, ModelType
from pipeline.domain.transitions import By, ChampionChange, Entry, Phase, TrialOf
from pipeline.domain.verification import VerificationPolicy
from tests.builders import MANIFEST_SHA256, NOW, a_blessing, a_model_version, a_performance
from tests.histories import a_history

LATER = NOW + timedelta(days=1)
# The request of the second act of a history: it promotes what it tried.
BY = By("kim", "why not", "request-2")
ANOTHER = By("kim", "why not", "another request")
NOBODY = By("", "", "r")
LOAD_TEST = VerificationPolicy().judge_performance(a_performance())
TAKEN_DOWN = ("promote v1.0.0", "promote v1.1.0", "take down to v1.0.0")


def version(name):
    return a_model_version(name, artifact=Artifact(f"s3://models/{name}/", MANIFEST_SHA256))


def promote(ledger, name="v1.1.0", by=BY):
    return ledger.promote(version(name), a_blessing(champion_version=ledger.champion, id="the verdict"), by, LATER)


def try_out(ledger, name="v1.1.0", by=BY):
    return ledger.start_canary(version(name), a_blessing(champion_version=ledger.champion, id="the verdict"), by, LATER)


def promote_canary(ledger, name="v1.1.0", by=BY):
    return ledger.promote_canary(name, by, LATER)


def abort_canary(ledger, by=BY):
    return ledger.abort_canary(TrialOf("v1.1.0"), by, LATER)


def force(ledger, name="v1.1.0", by=BY):
    return ledger.force(version(name), a_blessing(id="the verdict", accepted=False, checks=LOAD_TEST), by, LATER)


def roll_back(ledger, by=BY):
    return ledger.roll_back(RollbackRequest(PREVIOUS, LATER), by, LATER)


def take_down(ledger, by=BY):
    return ledger.roll_back(RollbackRequest(PREVIOUS, LATER, "v1.1.0"), by, LATER)


def clear_freeze(ledger, by=BY):
    return ledger.clear_freeze(by, LATER)


def retire(ledger, by=BY):
    return ledger.retire("v1.0.0", by, LATER)


def restore(ledger, by=BY):
    return ledger.restore("v1.0.0", by, LATER)


THREE = ("promote v1.0.0", "promote v1.1.0", "promote v1.2.0")


@pytest.mark.parametrize(
    ("history", "decide", "act_id", "about"),
    [
        (("promote v1.0.0",), promote, "promote:LAUNDRY:request-2", "v1.1.0"),
        (("promote v1.0.0",), try_out, "canary:LAUNDRY:v1.1.0:request-2", "v1.1.0"),
        (("promote v1.0.0", "try v1.1.0"), promote_canary, "promote:LAUNDRY:request-2", "v1.1.0"),
        (("promote v1.0.0", "try v1.1.0"), abort_canary, "act-2:aborted", "v1.1.0"),
        (("promote v1.0.0",), force, "forced:LAUNDRY:request-2", "v1.1.0"),
        (("promote v1.0.0", "promote v1.1.0"), roll_back, "rollback:LAUNDRY:request-2", "v1.0.0"),
        (("promote v1.0.0", "promote v1.1.0"), take_down, "rollback:LAUNDRY:request-2", "v1.0.0"),
        (TAKEN_DOWN, clear_freeze, "freeze-cleared:act-3", "v1.0.0"),
        (THREE, retire, "archive:LAUNDRY:v1.0.0:1", "v1.0.0"),
        ((*THREE, "archive v0.9.0", "archive v1.0.0"), restore, "restore:LAUNDRY:v1.0.0:1", "v1.0.0"),
        (
            (*THREE, "archive v1.0.0", "restore v1.0.0"),
            retire,
            "archive:LAUNDRY:v1.0.0:2",
            "v1.0.0",
        ),
    ],
)
def test_an_act_is_named_by_its_occasion_and_says_what_who_and_when(history, decide, act_id, about):
    act = decide(a_history(*history))
    assert (act.id, act.model_type, act.version, act.by, act.at) == (act_id, ModelType.LAUNDRY, about, BY, LATER)


def test_who_is_tried_or_forced_goes_by_a_verdict_and_beside_a_champion():
    ledger = a_history("promote v1.0.0")
    trial = try_out(ledger)
    assert (trial.beside, trial.blessing_id) == ("v1.0.0", "the verdict")
    assert abort_canary(a_history("promote v1.0.0", "try v1.1.0")).beside == "v1.0.0"
    assert force(ledger).blessing_id == "the verdict"


@pytest.mark.parametrize(
    ("history", "decide"),
    [
        (("promote v1.0.0",), promote),
        (("promote v1.0.0", "try v1.1.0"), promote_canary),
        (("promote v1.0.0",), force),
        (("promote v1.0.0", "promote v1.1.0"), roll_back),
        (("promote v1.0.0", "promote v1.1.0"), take_down),
        (("promote v1.0.0", "try v1.1.0"), abort_canary),
        (TAKEN_DOWN, clear_freeze),
        (THREE, retire),
        ((*THREE, "archive v1.0.0"), restore),
    ],
)
@pytest.mark.parametrize(
    "others",
    [
        (),
        ("promote v1.3.0",),
        ("promote v1.3.0", "promote v1.4.0", "take down to v1.3.0"),
        ("archive v1.0.0",),
        ("restore v1.0.0",),
        ("promote v1.3.0", "try v1.1.0"),
    ],
)
def test_a_request_that_comes_again_after_others_gets_what_it_did_then(history, decide, others):
    ledger = a_history(*history)
    did = decide(ledger)
    phase = Phase.SERVED if isinstance(did, ChampionChange) else Phase.NOTED
    # Theirs are requests of their own.
    meanwhile = [replace(e, act=replace(e.act, by=ANOTHER, id=f"later-{e.act.id}")) for e in a_history(*others).entries]
    assert decide(ledger.followed_by(Entry(phase, did, LATER), *meanwhile)) == did


def test_who_asked_for_files_that_somebody_else_brought_back_meanwhile_has_them():
    ledger = a_history(*THREE, "archive v1.0.0")
    asked = ledger.followed_by(Entry(Phase.REQUESTED, restore(ledger), LATER))
    there = asked.followed_by(Entry(Phase.NOTED, restore(asked, ANOTHER), LATER))
    assert (restore(there).by, restore(there, ANOTHER).by) == (ANOTHER, ANOTHER)
    with pytest.raises(UnknownVersion, match="at hand"):
        restore(there, By("kim", "why not", "a third one"))


@pytest.mark.parametrize("decide", [promote, promote_canary, force])
def test_a_request_that_served_one_version_is_not_about_another(decide):
    ledger = a_history("promote v1.0.0", "try v1.1.0")
    since = ledger.followed_by(Entry(Phase.SERVED, decide(ledger), LATER))
    with pytest.raises(StaleTransition) as refusal:
        decide(since, "v1.2.0")
    assert str(refusal.value) == "this request made v1.1.0 live before: ask for v1.2.0 in another one"


def test_whether_one_may_force_is_asked_anew_of_another_request_alone():
    ledger = a_history("promote v1.0.0")
    forced = ledger.followed_by(Entry(Phase.SERVED, force(ledger), LATER))
    forced.demand_forcible("v1.1.0", BY)
    with pytest.raises(StaleTransition, match=r"made v1\.1\.0 live before"):
        forced.demand_forcible("v1.2.0", BY)
    with pytest.raises(UnknownVersion, match=r"v1\.1\.0 serves already"):
        forced.demand_forcible("v1.1.0", ANOTHER)


def test_a_run_without_a_number_may_be_forced_as_long_as_nothing_is_frozen():
    a_history("promote v1.0.0").demand_forcible(None, BY)
    with pytest.raises(GiveUp, match="promotions are frozen"):
        a_history(*TAKEN_DOWN).demand_forcible(None, BY)


@pytest.mark.parametrize(
    ("history", "decide", "sentence"),
    [
        (
            ("promote v1.0.0", "try v1.1.0", "abort v1.1.0"),
            promote,
            "the canary of v1.1.0 was aborted by kim: because of 3. Try it as a canary again, or force-promote it by "
            "name",
        ),
        (
            ("promote v1.0.0",),
            roll_back,
            "v1.0.0 is the only LAUNDRY version left that served: no previous one. Name a version to go to it all the "
            "same",
        ),
        (
            ("promote v1.0.0", "try v1.1.0", "promote canary v1.1.0"),
            promote_canary,
            "v1.1.0 is not on trial: it served everybody since; nothing was promoted",
        ),
        (("promote v1.1.0",), force, "v1.1.0 serves already: nothing to promote"),
        (("promote v1.0.0", "archive v1.1.0"), force, "v1.1.0 is archived: restore it before it serves"),
        (TAKEN_DOWN, lambda ledger: clear_freeze(ledger, NOBODY), "clearing the freeze needs an actor and a reason"),
        (
            ("promote v1.0.0",),
            lambda one: force(one, by=NOBODY),
            "a forced promotion needs an actor and a reason",
        ),
    ],
)
def test_a_refusal_is_a_sentence(history, decide, sentence):
    with pytest.raises(GiveUp) as refusal:
        decide(a_history(*history))
    assert str(refusal.value) == sentence


def test_a_trial_that_a_new_champion_ended_does_not_begin_again_in_its_request():
    ledger = a_history("promote v1.0.0")
    over = ledger.followed_by(Entry(Phase.NOTED, try_out(ledger), LATER), *a_history("promote v1.2.0").entries)
    with pytest.raises(CanaryEnded) as refusal:
        try_out(over)
    assert str(refusal.value) == "this trial of v1.1.0 is over: v1.2.0 was made champion meanwhile"


def test_what_is_archived_is_said_to_be_before_its_verdict_is_looked_at():
    with pytest.raises(UnknownVersion, match=r"v1\.1\.0 is archived"):
        a_history("promote v1.0.0", "archive v1.1.0").promote(version("v1.1.0"), None, BY, LATER)


def test_a_long_name_is_cut_and_every_check_of_the_load_test_that_lacks_is_told():
    ledger = a_history("promote v1.0.0")
    with pytest.raises(NotBlessed) as refusal:
        ledger.demand_load_test("x" * 99, None)
    assert f"'{'x' * 80}' has no LAUNDRY verdict" in str(refusal.value)
    with pytest.raises(UnknownVersion, match=f"'{'x' * 40}' never served"):
        ledger.rollback_target("x" * 99)
    with pytest.raises(NotBlessed, match="was not measured; [a-z]"):
        ledger.demand_load_test("v1.1.0", a_blessing(accepted=False))


# The way to the champion


def test_who_goes_back_by_name_to_what_is_off_the_way_stands_where_it_first_served():
    ledger = a_history("promote v1.0.0", "promote v1.1.0", "roll back v1.0.0", "promote v1.2.0", "roll back v1.1.0")
    assert ledger.standing == ("v1.0.0", "v1.1.0")
    assert ledger.taken_down["v1.2.0"].version == "v1.1.0"
    assert ledger.previous == "v1.0.0"


def test_what_a_person_took_down_stays_down_whatever_is_promoted_beside_it():
    steps = ("promote v1.0.0", "promote v1.1.0", "force v1.0.0", "roll back v1.1.0", "promote v1.2.0")
    assert a_history(*steps, "roll back v1.1.0").previous is None


# What is open


def test_a_trial_goes_on_until_its_promotion_is_seen_to_serve():
    ledger = a_history("promote v1.0.0", "try v1.1.0")
    change = promote_canary(ledger)
    asked = ledger.followed_by(Entry(Phase.REQUESTED, change, LATER))
    assert asked.trial == ledger.trial
    assert asked.followed_by(Entry(Phase.SERVED, change, LATER)).trial is None


def test_an_abort_counts_until_another_trial_has_begun():
    ledger = a_history("promote v1.0.0", "try v1.1.0", "abort v1.1.0")
    archived = ledger.followed_by(*a_history("archive v1.1.0").entries)
    asked = ledger.followed_by(Entry(Phase.REQUESTED, try_out(ledger), LATER))
    for still in (ledger, archived, asked):
        assert still.aborted("v1.1.0").id == "act-3"


def test_a_failed_rollback_is_remembered_whatever_else_is_asked_or_fails():
    ledger = a_history("promote v1.0.0", "promote v1.1.0")
    failed = ledger.followed_by(Entry(Phase.FAILED, roll_back(ledger), LATER, "refused"))
    asked = failed.followed_by(Entry(Phase.REQUESTED, promote(ledger, "v1.2.0", ANOTHER), LATER))
    tried = failed.followed_by(Entry(Phase.FAILED, try_out(ledger, "v1.2.0"), LATER))
    for still in (failed, asked, tried):
        assert still.failed_rollback.detail == "refused"


def test_of_nothing_nothing_failed_or_is_incomplete():
    ledger = Ledger(ModelType.LAUNDRY)
    assert (ledger.failed_rollback, ledger.incomplete, ledger.trial_since) == (None, None, None)
