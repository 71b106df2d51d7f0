"""A canary's verdict, and which versions stay at hand."""

import hashlib
from datetime import timedelta

import pytest

from pipeline.domain.errors import ArchiveDamaged, GiveUp
from pipeline.domain.live_accuracy import LabelTally, Tally
from pipeline.domain.models import Artifact
from pipeline.domain.retention import RetentionPolicy, archive_uri, demand_whole, listed_files
from pipeline.domain.rollout import CanaryPolicy, CanarySeen, replaced_by, thrown_out, unasked
from tests.builders import NOW, a_model_version

HEALTHY = CanarySeen("replica-1", "v2.0.0", "inconclusive", "", 500, 0)


def tally(agreed, confirmed):
    return Tally((LabelTally("양호", confirmed, agreed),))


def judged(canary, stable=(900, 1000), seen=(HEALTHY,), hours=1.0):
    return CanaryPolicy().judge(tally(*canary), tally(*stable), seen, started=NOW, now=NOW + timedelta(hours=hours))


@pytest.mark.parametrize(
    ("canary", "hours", "decision"),
    [
        ((0, 0), 1, "wait"),
        ((98, 99), 1, "wait"),
        ((98, 100), 1, "promote"),
        # As good as the champion, and that does not rule out five points yet.
        ((90, 100), 1, "wait"),
        ((360, 400), 1, "promote"),
        ((70, 100), 1, "abort"),
        # Harm beyond doubt ends it early, a few bad ones do not.
        ((5, 30), 1, "abort"),
        ((6, 10), 1, "wait"),
        ((90, 100), 72, "abort"),
        ((30, 30), 72, "abort"),
        ((0, 0), 72, "abort"),
    ],
)
def test_a_canary_is_promoted_when_it_is_proven_not_worse(canary, hours, decision):
    verdict = judged(canary, hours=hours)
    assert verdict.decision == decision
    assert verdict.reason


def test_looking_as_good_is_no_proof_that_it_is():
    """27 of 30 against 258 of 270 was once promoted: "no evidence of harm (difference -21.3 % to +1.7 %)"."""
    policy = CanaryPolicy(min_confirmations=25)
    verdict = policy.judge(tally(27, 30), tally(258, 270), (HEALTHY,), started=NOW, now=NOW)
    assert verdict.decision == "wait"
    assert verdict.reason == (
        "27/30 right of the canary against 258/270 right of the champion: 2.03 times likelier if it is 5 points worse "
        "than if it is as good; 25 confirmations and 20 times are needed"
    )


def test_a_canary_that_is_not_proven_by_its_deadline_is_left_to_a_person():
    assert judged((90, 100), hours=72).reason == (
        "90/100 right of the canary against 900/1000 right of the champion: 2.79 times likelier if it is as good than "
        "if it is 5 points worse; 100 confirmations and 20 times are needed: not proven within 72 hours; try again, "
        "or force-promote it"
    )


def test_a_wider_margin_is_proven_sooner():
    assert CanaryPolicy(margin=0.15).judge(tally(90, 100), tally(900, 1000), (), started=NOW, now=NOW).decision == (
        "promote"
    )


@pytest.mark.parametrize("said", ["aborted", "roll back"])
def test_a_replica_that_saw_errors_ends_the_canary(said):
    broken = CanarySeen("replica-2", "v2.0.0", said, "3 errors in a row", 60, 3)
    verdict = judged((99, 100), seen=(HEALTHY, broken))
    assert (verdict.decision, verdict.reason) == ("abort", "replica-2: 3 errors in a row")


def test_while_somebody_is_asked_about_what_was_proven_only_harm_ends_it():
    asked, late = CanaryPolicy().after_proof(), NOW + timedelta(days=9)
    assert judged((30, 30), hours=9 * 24).decision == "abort"
    assert asked.judge(tally(30, 30), tally(900, 1000), (HEALTHY,), started=NOW, now=late).decision == "wait"
    assert asked.judge(tally(5, 60), tally(900, 1000), (HEALTHY,), started=NOW, now=late).decision == "abort"


def test_one_look_that_is_bad_by_chance_is_no_fall_below_the_floor():
    """In one look alone 59 of 88 would be surely below 80 %; in one of many, chance often says so."""
    assert judged((59, 88), stable=(65, 100)).decision == "wait"
    verdict = judged((45, 90), stable=(50, 100))
    assert (verdict.decision, verdict.reason.endswith("surely below 80%")) == ("abort", True)


def test_what_is_proven_waits_for_a_replica_that_cannot_be_asked_and_harm_does_not():
    away = unasked("replica-2", "does not answer (UNAVAILABLE)")
    verdict = judged((99, 100), seen=(HEALTHY, away))
    assert verdict.decision == "wait"
    assert verdict.reason.endswith("not worse, proven, but replica-2 does not answer (UNAVAILABLE)")
    broken = CanarySeen("replica-1", "v2.0.0", "aborted", "3 errors in a row", 60, 3)
    assert judged((99, 100), seen=(away, broken)).decision == "abort"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("promoted", "as asked"),
        ("replaced", "v1.9.0 was activated"),
        # So says a replica of an earlier release.
        ("aborted", "v1.9.0 was activated"),
        ("aborted", replaced_by("v1.9.0")),
    ],
)
def test_a_trial_that_another_version_ended_tells_nothing_of_harm(said, reason):
    ended = CanarySeen("replica-2", "v2.0.0", said, reason, 0, 0)
    assert (ended.running, ended.harm) == (False, False)
    assert judged((99, 100), seen=(HEALTHY, ended)).decision != "abort"


@pytest.mark.parametrize(
    "reason", ["", "3 errors in a row", "since v1.9.0 was activated all fail", "v1 was activated late"]
)
def test_any_other_reason_of_an_abort_is_harm(reason):
    ended = CanarySeen("replica-2", "v2.0.0", "aborted", reason, 0, 0)
    assert thrown_out("v2.0.0", [HEALTHY, ended]) == ended
    assert thrown_out("v1.9.0", [HEALTHY, ended]) is None


def versions(count):
    return [a_model_version(f"v1.{n}.0") for n in range(count)]


def test_the_newest_stay_and_the_oldest_goes_first():
    plan = RetentionPolicy(10).select(versions(12), {})
    assert plan.archive == ("v1.0.0", "v1.1.0")
    assert len(plan.kept) == 10
    assert plan.kept["v1.11.0"] == plan.kept["v1.2.0"] == "among the newest 10"


def test_newer_is_by_number_not_by_letter():
    plan = RetentionPolicy(2).select(reversed(versions(12)), {})
    assert plan.kept.keys() == {"v1.11.0", "v1.10.0"}
    assert plan.archive == tuple(f"v1.{n}.0" for n in range(10))


def test_a_patch_of_an_earlier_minor_is_as_new_as_it_is():
    patch = a_model_version("v1.2.1", trained_at=NOW + timedelta(days=1))
    plan = RetentionPolicy(2).select([*versions(5), patch], {})
    assert (list(plan.kept), plan.archive) == (["v1.2.1", "v1.4.0"], ("v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"))


def test_what_is_needed_stays_whatever_its_age():
    plan = RetentionPolicy(2).select(versions(5), {"v1.0.0": "champion", "v1.2.0": "canary"})
    assert plan.archive == ("v1.1.0",)
    assert plan.kept["v1.0.0"] == "champion"


def test_a_manifest_lists_its_files_with_their_checksums():
    manifest = b'{"files": {"model.bin": "abc"}, "labels": []}'
    assert listed_files(manifest, hashlib.sha256(manifest).hexdigest()) == {"model.bin": "abc"}


def test_a_manifest_that_is_not_the_registered_one_is_not_believed():
    with pytest.raises(ArchiveDamaged, match=r"manifest\.json is not what was recorded"):
        listed_files(b'{"files": {}}', "a" * 64)


def test_other_bytes_than_promised_are_refused():
    with pytest.raises(ArchiveDamaged, match=r"model\.bin is not what was recorded"):
        demand_whole("model.bin", b"tampered", "a" * 64)


@pytest.mark.parametrize(
    "prefix",
    ["s3://models/", "s3://models/LAUNDRY/run-1/../", "models/archive/", "s3://models/archive", "", "s3:///x/"],
)
def test_an_archive_that_is_no_other_place_is_refused_before_anything_is_removed(prefix):
    artifact = Artifact("s3://models/LAUNDRY/run-1/", "a" * 64)
    with pytest.raises(GiveUp, match="RETRAIN_ARCHIVE_URI"):
        archive_uri(prefix, artifact)


def test_the_archive_keeps_the_path():
    artifact = Artifact("s3://models/LAUNDRY/run-1/", "a" * 64)
    assert archive_uri("s3://cold/archive/", artifact) == "s3://cold/archive/LAUNDRY/run-1/"
