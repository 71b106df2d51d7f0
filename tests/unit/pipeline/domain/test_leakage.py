"""Nothing a model is judged by may have been learned from."""

import random

import pytest

from pipeline.domain.clusters import NEAR_DUPLICATE_BITS, NearDuplicates, cluster_ids
from pipeline.domain.dataset import Manifest, Quarantined, Split
from pipeline.domain.errors import DatasetRefused
from pipeline.domain.leakage import HeldOut, demand_unseen, leaks, separate, without_contradictions
from tests.builders import a_photo

TRAIN, VALIDATION, HOLDOUT, CORRECTIONS = Split


def far(number):
    """Hashes that are far from each other."""
    return random.Random(number).getrandbits(64)


def photo(number, split=TRAIN, phash=None, **fields):
    return a_photo(number, split=split, phash=f"{far(number) if phash is None else phash:016x}", **fields)


def member(task_id="TASK-OLD", phash=0, **fields):
    values = {"cluster_id": "of-old", "sha256": "o" * 64, "phash": f"{phash:016x}", **fields}
    return HeldOut(task_id, **values)


def a_manifest(*photos):
    return Manifest("DS-2026-001", "LAUNDRY", ("양호", "불량"), None, None, photos)


def near(phash, bits):
    for bit in random.Random(bits).sample(range(64), bits):
        phash ^= 1 << bit
    return phash


# Near-duplicates


@pytest.mark.parametrize("bits", range(NEAR_DUPLICATE_BITS + 3))
def test_exactly_hashes_that_are_near_enough_are_found(bits):
    index = NearDuplicates(far(n) for n in range(200))
    for number in range(200):
        assert index.of(near(far(number), bits)) == ([number] if bits <= NEAR_DUPLICATE_BITS else [])


@pytest.mark.parametrize("bits", [*([bit] for bit in range(64)), (13, 26, 39, 52), (12, 25, 38, 51)], ids=str)
def test_wherever_the_bits_differ_a_near_hash_is_found(bits):
    index = NearDuplicates([far(1)])
    assert index.of(far(1) ^ sum(1 << bit for bit in bits)) == [0]


def test_looking_parts_up_finds_what_comparing_all_with_all_finds():
    rng = random.Random(5)
    hashes = [near(far(rng.randrange(60)), rng.randrange(6)) for _ in range(300)]
    founders, expected = [], []
    for value in hashes:
        found = next((f for f in founders if (f ^ value).bit_count() <= NEAR_DUPLICATE_BITS), None)
        if found is None:
            founders.append(found := value)
        expected.append(f"{found:016x}")
    assert cluster_ids(hashes) == expected


# Keeping sides apart


def test_a_training_photo_that_looks_like_a_held_out_one_is_set_aside_with_the_reason():
    train, judge = photo(1, phash=0b111), photo(2, HOLDOUT, phash=0)
    kept, aside = separate([train, judge, photo(3)], [])
    assert [p.task_id for p in kept] == ["TASK-00002", "TASK-00003"]
    assert [(q.task_id, q.kind) for q in aside] == [("TASK-00001", "near_duplicate")]
    assert aside[0].reason == "near-duplicate of the held-out photo of task TASK-00002"
    assert (aside[0].photo_url, aside[0].sha256) == (train.photo_url, train.sha256)


@pytest.mark.parametrize("other", [VALIDATION, HOLDOUT])
def test_the_reason_names_the_held_out_photo_whatever_it_judges(other):
    _, aside = separate([photo(1, phash=0xABC), photo(2, other, phash=0xABD)], [])
    assert [q.reason for q in aside] == ["near-duplicate of the held-out photo of task TASK-00002"]


def test_hashes_are_near_by_their_bits_not_by_their_letters():
    assert separate([photo(1, phash=0x10), photo(2, HOLDOUT, phash=0xFF0F)], [])[1] == []


def test_members_of_earlier_holdouts_count_even_when_they_are_not_in_this_dataset():
    _, aside = separate([photo(1, phash=0b1)], [member()])
    assert aside[0].reason.endswith("TASK-OLD")


@pytest.mark.parametrize(
    ("one", "other", "given_up"),
    [(TRAIN, VALIDATION, TRAIN), (TRAIN, HOLDOUT, TRAIN), (VALIDATION, HOLDOUT, VALIDATION)],
)
def test_training_gives_way_to_validation_and_both_to_the_holdout(one, other, given_up):
    photos = [photo(1, one, phash=0b1), photo(2, other, phash=0)]
    _, aside = separate(photos, [])
    assert {q.task_id for q in aside} == {p.task_id for p in photos if p.split is given_up}


def test_near_duplicates_on_one_side_stay():
    photos = [photo(1, phash=0), photo(2, phash=1)]
    assert separate(photos, []) == (photos, [])


def test_the_same_photo_with_one_label_twice_is_no_contradiction():
    photos = [photo(1, sha256="a" * 64), photo(2, sha256="a" * 64), photo(3, label="불량")]
    assert without_contradictions(photos) == (photos, [])


def test_the_same_photo_with_two_labels_is_set_aside_both_times_with_the_labels():
    photos = [photo(1, sha256="a" * 64), photo(2, sha256="a" * 64, label="불량"), photo(3, label="불량")]
    kept, aside = without_contradictions(photos)
    reason = "the same photo was confirmed as 불량 and as 양호"
    assert kept == photos[2:]
    assert aside == [Quarantined(p.task_id, p.photo_url, reason, "contradiction", p.sha256) for p in photos[:2]]


@pytest.mark.parametrize("other", [VALIDATION, HOLDOUT])
def test_held_out_corrections_may_stand_beside_what_else_is_held_out(other):
    assert leaks([photo(1, CORRECTIONS, cluster_id="c"), photo(2, other, cluster_id="c")]) == []


def test_held_out_corrections_may_not_stand_beside_training():
    found = leaks([photo(1, CORRECTIONS, cluster_id="c"), photo(2, cluster_id="c")])
    assert found == ["cluster c is in held_out_corrections, train"]


# What training asks


def test_training_on_training_photos_is_fine():
    demand_unseen(a_manifest(photo(1), photo(2, HOLDOUT)), [member()], ["TASK-00001"])


def test_an_image_of_a_held_out_photo_in_a_training_shard_stops_the_training():
    with pytest.raises(DatasetRefused, match="no training photos of DS-2026-001, e.g. TASK-00002: augment"):
        demand_unseen(a_manifest(photo(1), photo(2, HOLDOUT)), [], ["TASK-00001", "TASK-00002"])


@pytest.mark.parametrize("shared", [{"cluster_id": "of-old"}, {"sha256": "o" * 64}])
def test_a_photo_that_was_held_out_in_any_earlier_dataset_stops_the_training(shared):
    with pytest.raises(DatasetRefused, match="1 training photos of DS-2026-001 were held out, e.g. TASK-00001"):
        demand_unseen(a_manifest(photo(1, **shared)), [member()], ["TASK-00001"])


@pytest.mark.parametrize("split", [VALIDATION, HOLDOUT, CORRECTIONS])
def test_a_cluster_on_both_sides_of_the_manifest_stops_the_training(split):
    manifest = a_manifest(photo(1, cluster_id="c"), photo(2, split, cluster_id="c"))
    with pytest.raises(DatasetRefused, match="were held out"):
        demand_unseen(manifest, [], ["TASK-00001"])


@pytest.mark.parametrize("split", [VALIDATION, HOLDOUT, CORRECTIONS])
def test_the_same_bytes_on_both_sides_of_the_manifest_stop_the_training(split):
    manifest = a_manifest(photo(1, sha256="b" * 64), photo(2, split, sha256="b" * 64))
    with pytest.raises(DatasetRefused, match="were held out"):
        demand_unseen(manifest, [], ["TASK-00001"])


def test_a_refusal_names_five_photos_and_what_to_do():
    photos = [photo(n, cluster_id="of-old") for n in range(1, 8)]
    five = ", ".join(f"TASK-0000{n}" for n in range(1, 6))
    advice = "a model that learned them could not be judged; collect the dataset again"
    with pytest.raises(DatasetRefused, match=f"^7 training photos .* were held out, e.g. {five}: {advice}$"):
        demand_unseen(a_manifest(*photos), [member()], [p.task_id for p in photos])
    with pytest.raises(DatasetRefused, match=f"^7 photos in the training shards .* e.g. {five}: augment the dataset"):
        demand_unseen(a_manifest(), [], [p.task_id for p in photos])


def test_an_erased_member_without_a_hash_matches_nobody_by_it():
    demand_unseen(a_manifest(photo(1, sha256="")), [member(sha256="")], ["TASK-00001"])
