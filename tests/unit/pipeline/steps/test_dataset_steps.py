"""Collect, validate, augment, assemble: from confirmed tasks to a dataset that is counted and checked."""

import dataclasses
import hashlib
import json
from collections import Counter
from datetime import timedelta

import pytest

from pipeline.adapters.data_report import HtmlDataReport
from pipeline.domain.dataset import Augmentation, Source, Split
from pipeline.domain.errors import DatasetRefused, ServiceUnavailable
from pipeline.domain.learned import Learned
from pipeline.domain.lineage import Erased
from pipeline.domain.live_accuracy import Period
from pipeline.domain.models import ModelType
from pipeline.domain.selection import SelectionPolicy
from pipeline.domain.withholding import GivenBack, Scope
from pipeline.ports.data import Validation
from pipeline.steps.assemble import assemble
from tests.builders import NOW, a_task, a_withheld, an_event
from tests.fakes.data import BYTES, FakeAugmenter, FakeObjects, FakeReviewer, FakeValidator
from tests.fakes.faults import Fault, Killed, every_fault, unavailable
from tests.unit.pipeline.steps.dataset_world import COPIES, POLICY, URI, World


@pytest.fixture
def world():
    return World()


def collected():
    world = World()
    world.collect()
    return world


def test_the_selection_has_every_training_correction_and_evaluation_photos_at_natural_frequency(world):
    assert world.collect() == "DS-2026-001"
    photos = world.manifest().photos
    training = [p for p in photos if p.split is Split.TRAIN]
    assert all(p.corrected for p in training if p.source is Source.CORRECTION)
    assert {p.source for p in training} == {Source.CORRECTION, Source.REPLAY}
    assert world.manifest().policy["min_train_photos"] == POLICY.min_train_photos
    evaluated = {p.task_id for p in photos if p.split is not Split.TRAIN}
    expected = {t.task_id for t in world.source.rows} - {p.task_id for p in training}
    assert evaluated <= expected and len(evaluated) > 5


def test_a_rerun_keeps_the_frozen_selection_though_more_was_confirmed(world):
    world.collect()
    before = dict(world.objects.bodies)
    world.source.rows.append(a_task(99, corrected=True))
    assert world.collect() == "DS-2026-001"
    assert world.objects.bodies == before


def test_another_run_gets_another_dataset(world):
    assert world.collect(run_id="run-1") != world.collect(run_id="run-2")


def test_only_corrections_since_the_champions_are_asked_for_but_the_sample_reaches_back(world):
    since = NOW.replace(hour=11, minute=45)
    world.collect(since=since)
    assert world.manifest().corrections_since == since.isoformat()


@pytest.mark.parametrize("body", [None, b"bad: not an image", b"bad: 0 bytes"])
def test_an_unusable_photo_is_quarantined_with_its_reason_and_the_others_stay(world, body):
    url = world.source.rows[0].photo_url
    world.photos.bodies.pop(url)
    if body:
        world.photos.bodies[url] = body
    world.collect()
    (quarantined,) = world.manifest().quarantined
    assert quarantined.photo_url == url
    assert quarantined.reason == (body.decode() if body else "no photo at its address")


def test_nothing_confirmed_is_refused_with_a_sentence(world):
    world.source.rows.clear()
    with pytest.raises(DatasetRefused, match="nothing to learn from"):
        world.collect()


@pytest.mark.parametrize("fault", every_fault(lambda fault: World().collect(fault)), ids=str)
def test_collecting_killed_at_any_call_ends_with_the_same_selection(fault):
    world, undisturbed = World(), collected()
    with pytest.raises(Killed):
        world.collect(fault)
    world.collect()
    assert world.objects.bodies == undisturbed.objects.bodies
    assert world.datasets == undisturbed.datasets


@pytest.mark.parametrize("failures", [("only one class",), ("only one class", "41 % of the photos are unusable")])
def test_one_hard_failure_is_enough_to_stop_the_run_and_every_one_is_named_and_the_report_kept(failures):
    world = collected()
    world.validator = FakeValidator(failures)
    with pytest.raises(DatasetRefused, match=rf"refused: {'; '.join(failures)} \(report: {URI}data-report.html\)$"):
        world.validate()
    assert world.datasets.holdout(ModelType.LAUNDRY) == []
    assert world.objects.exists(f"{URI}data-report.html")
    assert world.objects.exists(f"{URI}data-docs/index.html")


def test_warnings_are_reported_and_do_not_stop():
    world = collected()
    world.validator = FakeValidator(warnings=("few dark photos",))
    assert world.validate().found.warnings == ("few dark photos",)


def test_suspect_labels_are_listed_with_their_photos_and_stay_in_the_dataset():
    world = collected()
    before = world.manifest()
    one = before.photos[3].task_id
    world.reviewer = FakeReviewer((one,))
    done = world.validate()
    assert [s.task_id for s in done.suspects] == [one]
    assert f"1 of {len(before.photos)} labels look wrong, e.g. {one}" in done.found.warnings[0]
    assert json.loads(world.objects.read(f"{URI}data-report.html"))[-1] == [one]
    assert world.manifest() == before


def test_a_selection_that_was_frozen_by_an_earlier_version_is_validated_without_reviewing_labels():
    world = collected()
    world.objects.delete(f"{URI}descriptors.json")
    assert world.validate().found.failures == ()


def test_a_photo_that_vanished_is_missing_from_the_report_only():
    world = collected()
    gone = world.manifest().photos[3]
    world.reviewer = FakeReviewer((gone.task_id,))
    del world.photos.bodies[gone.photo_url]
    world.validate()
    assert json.loads(world.objects.read(f"{URI}data-report.html"))[-1] == []


@pytest.mark.parametrize("fault", every_fault(lambda fault: collected().validate(fault)), ids=str)
def test_validating_killed_at_any_call_ends_with_the_same_report(fault):
    world, undisturbed = collected(), collected()
    undisturbed.validate()
    with pytest.raises(Killed):
        world.validate(fault)
    world.validate()
    assert world.objects.bodies == undisturbed.objects.bodies


def test_drift_is_measured_against_the_last_complete_dataset():
    world = collected()
    world.validate()
    assert not [m for m in world.validator.measured if "drift" in m.name]
    world.prepare()
    world.collect(run_id="run-2")
    world.validate(uri="s3://datasets/DS-2026-002/")
    drift = {m.name: m for m in world.validator.measured if "drift" in m.name}
    assert drift.keys() == {"class_drift_0", "class_drift_1", "brightness_drift"}
    assert all(m.value == 0 and not m.hard for m in drift.values())


def test_a_last_dataset_without_its_manifest_is_said_and_does_not_stop():
    world = collected()
    world.prepare()
    world.collect(run_id="run-2")
    world.objects.delete(f"{URI}manifest.json")
    found = world.validate(uri="s3://datasets/DS-2026-002/").found
    assert found.warnings == ("the manifest of DS-2026-001 is gone: drift was not measured",)


def test_only_training_photos_are_multiplied_and_the_holdout_is_never_in_a_shard():
    world = collected()
    dataset = world.prepare()
    photos = world.manifest()
    shards = [json.loads(b)["images"] for uri, b in world.objects.bodies.items() if "/shards/" in uri]
    times = {}
    for task, _, _ in (image for shard in shards for image in shard):
        times[task] = times.get(task, 0) + 1
    assert {times[p.task_id] for p in photos.of(Split.TRAIN)} == {COPIES}
    assert {times[p.task_id] for p in photos.of(Split.VALIDATION)} == {1}
    assert not {p.task_id for p in photos.of(Split.HOLDOUT)} & set(times)
    assert dataset.train_count == len(photos.of(Split.TRAIN)) * COPIES
    assert dataset.image_count == dataset.train_count + dataset.validation_count == sum(times.values())


def test_a_leak_between_splits_is_refused():
    world = collected()
    manifest = world.manifest()
    train, held = manifest.of(Split.TRAIN)[0], manifest.of(Split.HOLDOUT)[0]
    leaking = tuple(dataclasses.replace(p, cluster_id=train.cluster_id) if p is held else p for p in manifest.photos)
    body = dataclasses.replace(manifest, photos=leaking).to_json()
    world.objects.write(f"{URI}manifest.json", body)
    with pytest.raises(DatasetRefused, match="leak between splits"):
        world.prepare()


@pytest.mark.parametrize("fault", every_fault(lambda fault: collected().prepare(fault)), ids=str)
def test_preparing_killed_at_any_call_ends_with_the_same_dataset(fault):
    world, undisturbed = collected(), collected()
    undisturbed.prepare()
    with pytest.raises(Killed):
        world.prepare(fault)
    world.prepare()
    assert world.objects.bodies == undisturbed.objects.bodies
    assert world.datasets == undisturbed.datasets


def test_the_object_store_gone_for_a_moment_is_worth_another_try():
    world = collected()
    with pytest.raises(ServiceUnavailable):
        world.augment(0, Fault(at=1, error=unavailable("S3")))
    assert world.augment(0).endswith("shards/train-00000.parquet")


# What goes into later datasets


SECOND = "s3://datasets/DS-2026-002/"
MIDDLE = NOW.replace(hour=11, minute=30)


def test_earlier_corrections_are_replayed_beside_the_new_ones(world):
    world.collect(since=MIDDLE, policy=SelectionPolicy(min_train_photos=0, earlier_limit=4))
    sources = Counter(p.source for p in world.manifest().of(Split.TRAIN))
    new, earlier = sources[Source.CORRECTION], sources[Source.EARLIER_CORRECTION]
    assert new > 2 and 0 < earlier <= 4
    assert sources[Source.REPLAY] == pytest.approx((new + earlier) * 3, abs=25)


def test_earlier_corrections_of_a_kind_that_the_champion_gets_wrong_come_first_and_are_called_so(world):
    earlier = world.source.earlier_corrections(until=MIDDLE, limit=99)
    ink = {task.task_id for task in earlier[::2]}
    rows = world.source.rows
    world.source.rows = [dataclasses.replace(t, correction_reason="볼펜") if t.task_id in ink else t for t in rows]
    world.said = {t.task_id: t.ai_result if t.task_id in ink else t.final_result for t in earlier}
    policy = SelectionPolicy(min_train_photos=0, sample_limit=1, history_limit=0, earlier_limit=len(earlier))
    world.collect(since=MIDDLE, policy=dataclasses.replace(policy, missed_share=0.5))
    learned = {p.task_id: p.source for p in world.manifest().of(Split.TRAIN)}
    missed = {task_id for task_id, source in learned.items() if source is Source.MISSED_CORRECTION}
    assert missed and missed == ink & learned.keys()
    page = HtmlDataReport().page(world.manifest(), Validation((), (), {}), (), {}).decode()
    assert f"{len(missed)} missed correction" in page


def test_what_people_say_now_is_what_the_champion_has_to_answer(world):
    """A correction may have been corrected since it was asked."""
    task = world.source.rows[0]
    assert Learned(None, {task.task_id: task.ai_result}).misses(task)
    assert not Learned(None, {task.task_id: task.ai_result}).misses(
        dataclasses.replace(task, final_result=task.ai_result)
    )
    assert not Learned(None, {}).misses(task)


def test_a_correction_beyond_the_natural_sample_makes_validation_and_holdout_no_harder(world):
    world.collect(policy=SelectionPolicy(sample_limit=20, history_limit=0, min_train_photos=0))
    sampled = {t.task_id for t in world.source.confirmed(limit=20)}
    manifest = world.manifest()
    assert {p.task_id for p in manifest.natural} <= sampled
    beyond = manifest.of(Split.HELD_OUT_CORRECTIONS)
    assert beyond and all(p.corrected and p.task_id not in sampled for p in beyond)


def test_members_of_the_holdout_judge_later_models_too(world):
    world.collect(policy=SelectionPolicy(min_train_photos=0))
    world.validate()
    first = {p.task_id for p in world.manifest().of(Split.HOLDOUT)}
    world.collect(run_id="run-2", policy=SelectionPolicy(sample_limit=5, history_limit=0, min_train_photos=0))
    assert first <= {p.task_id for p in world.manifest(SECOND).of(Split.HOLDOUT)}
    world.collect(run_id="run-3", policy=SelectionPolicy(sample_limit=5, history_limit=0, holdout_limit=1))
    third = {p.task_id for p in world.manifest("s3://datasets/DS-2026-003/").of(Split.HOLDOUT)}
    assert not first <= third


def test_a_cluster_keeps_its_side_when_the_shares_change(world):
    world.collect()
    before = {p.cluster_id: p.split for p in world.manifest().photos}
    world.collect(run_id="run-2", policy=SelectionPolicy(holdout_share=0.6, validation_share=0.1, min_train_photos=20))
    after = {p.cluster_id: p.split for p in world.manifest(SECOND).photos}
    assert {c: after[c] for c in before if c in after} == {c: before[c] for c in before if c in after}


def test_the_same_photo_with_two_labels_is_set_aside_for_a_person(world):
    one, other = world.source.rows[2], world.source.rows[3]
    world.photos.bodies[other.photo_url] = world.photos.bodies[one.photo_url]
    world.collect()
    aside = {q.task_id: q for q in world.manifest().quarantined}
    assert aside.keys() == {one.task_id, other.task_id}
    assert {q.reason for q in aside.values()} == {"the same photo was confirmed as 불량 and as 양호"}
    assert {q.kind for q in aside.values()} == {"contradiction"}


def test_a_photo_that_was_erased_is_never_taken_again_nor_is_a_copy_of_it(world):
    erased, copy = world.source.rows[0], world.source.rows[30]
    body = world.photos.bodies[erased.photo_url]
    world.photos.bodies[copy.photo_url] = body
    world.erasures.record(Erased(erased.task_id, (hashlib.sha256(body).hexdigest(),), "a person", "asked", NOW))
    world.collect()
    assert not {erased.task_id, copy.task_id} & {p.task_id for p in world.manifest().photos}


def test_shards_stay_the_same_when_the_settings_change_after_collecting(world):
    world.collect()
    world.prepare()
    shards = {uri: body for uri, body in world.objects.bodies.items() if "/shards/" in uri}
    assert world.collect(augmentation=Augmentation(copies=2, photos_per_slice=3, seed=9)) == "DS-2026-001"
    world.prepare()
    assert {uri: body for uri, body in world.objects.bodies.items() if "/shards/" in uri} == shards


@pytest.mark.parametrize("confirmed", [30, 60, 120], ids=["fewer", "as many", "more"])
def test_a_number_that_a_restored_database_gives_again_is_made_of_the_photos_of_now(world, confirmed):
    """The buckets are newer than the dump: the dataset of that number lies there, and the database knows nothing."""
    world.collect(run_id="lost")
    world.prepare(run_id="lost")
    world.restore_database()
    world.confirm(range(1000, 1000 + confirmed))
    assert world.collect(run_id="run-2") == "DS-2026-001"
    dataset = world.prepare(run_id="run-2")
    of_now = World()
    of_now.confirm(range(1000, 1000 + confirmed))
    of_now.collect(run_id="run-2")
    assert dataset == of_now.prepare(run_id="run-2")
    shards = [uri for uri in of_now.objects.bodies if "/shards/" in uri]
    assert [world.objects.read(uri) for uri in shards] == [of_now.objects.read(uri) for uri in shards]


def test_a_shard_that_is_missing_is_made_by_whoever_assembles():
    world, whole = collected(), collected()
    whole.prepare()
    assemble(world.images(), "run-1", URI)
    assert world.objects.bodies == whole.objects.bodies


def test_a_dataset_without_one_of_its_shards_is_not_assembled():
    class Losing(FakeObjects):
        def write(self, uri, body, content_type=BYTES):
            if "/shards/" not in uri:
                super().write(uri, body, content_type)

    world = collected()
    world.objects = Losing(world.objects.bodies)
    with pytest.raises(DatasetRefused, match="train-00000.parquet is missing: run augment"):
        assemble(world.images(), "run-1", URI)


def test_only_a_few_photos_are_in_memory_at_once():
    world = collected()
    photos, alive, peak = world.photos, 0, 0

    class Counting:
        def read(self, url):
            nonlocal alive, peak
            alive += 1
            peak = max(peak, alive)
            return photos.read(url)

    class Consuming(FakeAugmenter):
        def shard(self, photos, *, augmentation, labels):
            nonlocal alive
            seen = []
            for photo in photos:
                seen.append(photo)
                alive -= 1
            return super().shard(seen, augmentation=augmentation, labels=labels)

    manifest = dataclasses.replace(world.manifest(), augmentation=Augmentation(photos_per_slice=1000))
    world.objects.write(f"{URI}manifest.json", manifest.to_json())
    world.photos, world.augmenter = Counting(), Consuming()
    world.augment(0)
    assert len(manifest.of(Split.TRAIN)) > 20 and peak <= 9


def test_a_browser_shows_everything_that_people_open_of_a_dataset():
    world = collected()
    world.validate()
    world.prepare()
    assert world.objects.saved_only() == []


def test_a_dataset_belongs_to_the_run_that_made_it():
    world = collected()
    assert world.prepare().run_id == world.datasets.get("DS-2026-001").run_id == "run-1"


# What people set aside


def set_aside(world, scope, name, **changes):
    return world.withholdings.withhold(a_withheld(scope, name, **changes))


def told(world, number, reviewer):
    world.withholdings.confirmations.store(
        [an_event(str(number), task_id=f"TASK-{number:05d}", extra={"reviewerId": reviewer})]
    )


def in_manifest(world):
    manifest = world.manifest()
    withheld = {row.task_id: row.reason for row in manifest.quarantined if row.kind == "withheld"}
    return {photo.task_id for photo in manifest.photos}, withheld


def test_no_dataset_takes_what_a_reviewer_said_that_was_set_aside_and_says_so(world):
    for number in (0, 1, 3):
        told(world, number, "lee")
    told(world, 6, "park")
    set_aside(world, Scope.REVIEWER, "lee")
    world.collect()
    photos, withheld = in_manifest(world)
    assert set(withheld) == {"TASK-00000", "TASK-00001", "TASK-00003"} and not photos & set(withheld)
    assert set(withheld.values()) == {"reviewer lee was set aside by kim: guessed"}
    assert "TASK-00006" in photos


def test_no_dataset_takes_what_was_said_while_a_bad_version_served_until_it_is_given_back(world):
    times = Period(NOW - timedelta(minutes=10, seconds=1), NOW - timedelta(minutes=4))
    one = set_aside(world, Scope.VERSION, "v1.1.0", periods=(times,))
    world.collect()
    assert set(in_manifest(world)[1]) == {f"TASK-{number:05d}" for number in range(4, 11)}
    world.withholdings.give_back(one.id, GivenBack("kim", "it was right", NOW))
    world.collect(run_id="run-2")
    assert [row for row in world.manifest("s3://datasets/DS-2026-002/").quarantined if row.kind == "withheld"] == []


def test_a_branch_that_is_set_aside_takes_nobodys_place(world):
    """The newest tasks are all of that branch: older ones are asked for instead."""
    world.source.rows = [
        dataclasses.replace(task, helper_id="H-1" if number < 40 else "H-2")
        for number, task in enumerate(world.source.rows)
    ]
    set_aside(world, Scope.BRANCH, "H-1")
    few = dataclasses.replace(POLICY, sample_limit=10, history_limit=0, correction_limit=3)
    world.collect(policy=few)
    photos, withheld = in_manifest(world)
    assert len(withheld) == 40 and photos and photos <= {f"TASK-{number:05d}" for number in range(40, 60)}


def test_when_everything_is_set_aside_the_refusal_says_by_whom(world):
    set_aside(world, Scope.VERSION, "v1.1.0", periods=(Period(NOW - timedelta(days=9), NOW),))
    with pytest.raises(DatasetRefused, match=r"time of v1\.1\.0 was set aside by kim: guessed"):
        world.collect()
