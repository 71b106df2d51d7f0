"""Figures of a whole selection, and their bounds."""

import pytest

from pipeline.domain.dataset import Manifest, Quarantined, Split
from pipeline.domain.quality import QualityPolicy, measure
from tests.builders import a_photo

LABELS = ("양호", "불량")
POLICY = QualityPolicy()


def photos(count, first=0, *, split=Split.TRAIN, defective=0.5, **fields):
    return [a_photo(first + n, split=split, label=LABELS[n < count * defective], **fields) for n in range(count)]


def a_manifest(*rows, quarantined=(), dataset_id="DS-2026-002"):
    return Manifest(dataset_id, "LAUNDRY", LABELS, None, None, tuple(rows), tuple(quarantined))


def out_of_bounds(manifest, previous=None, uses=0):
    """Sentences, hard ones in capitals' place first."""
    found = {}
    for one in measure(manifest, previous, uses, POLICY):
        if (one.minimum is not None and one.value < one.minimum) or (
            one.maximum is not None and one.value > one.maximum
        ):
            found[one.name] = (one.hard, one.sentence)
    return found


GOOD = (*photos(100), *photos(50, 1000, split=Split.VALIDATION), *photos(50, 2000, split=Split.HOLDOUT))


def aside(count, kind="unusable"):
    return [Quarantined(f"BAD-{n}", f"s3://tasks/{n}.jpg", "photo is empty (0 bytes)", kind) for n in range(count)]


def test_nothing_is_said_of_a_good_selection():
    assert out_of_bounds(a_manifest(*GOOD)) == {}


def test_unreadable_photos_are_a_warning_above_the_minimum_and_stop_below_with_numbers():
    few, many = (out_of_bounds(a_manifest(*GOOD, quarantined=aside(n))) for n in (3, 60))
    assert few == {"unusable_photos": (False, "3 of 203 photos cannot be used, e.g. BAD-0: photo is empty (0 bytes)")}
    assert many["unusable_share"] == (
        True,
        "60 of 260 photos cannot be used, e.g. BAD-0: photo is empty (0 bytes) (20% allowed)",
    )


def test_too_many_contradictions_stop_the_run():
    few, many = (out_of_bounds(a_manifest(*GOOD, quarantined=aside(n, "contradiction"))) for n in (2, 20))
    assert few.keys() == {"contradiction_photos"}
    assert many["contradiction_share"][0]


def test_near_duplicates_of_held_out_photos_are_only_mentioned():
    found = out_of_bounds(a_manifest(*GOOD, quarantined=aside(60, "near_duplicate")))
    assert found.keys() == {"near_duplicate_photos"}


@pytest.mark.parametrize(
    ("defective", "stops"), [(0.0, True), (0.05, True), (0.15, False)], ids=["one class missing", "rare", "thin"]
)
def test_a_class_that_is_missing_or_rare_stops_and_a_thin_one_is_mentioned(defective, stops):
    found = out_of_bounds(a_manifest(*photos(200, defective=defective), *GOOD[100:]))
    assert any(hard for hard, _ in found.values()) is stops
    assert all("training photos are 불량" in sentence for _, sentence in found.values())


def test_a_leak_stops_the_run():
    found = out_of_bounds(a_manifest(*GOOD, a_photo(0, split=Split.HOLDOUT)))
    assert found["leaks"][0] and "task TASK-00000 is in holdout, train" in found["leaks"][1]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("dark_share", {"brightness": 0.02}),
        ("overexposed_share", {"brightness": 0.99}),
        ("blurred_share", {"sharpness": 3.0}),
    ],
)
def test_dark_overexposed_and_blurred_photos_are_mentioned(name, fields):
    found = out_of_bounds(a_manifest(*GOOD, *photos(6, 5000, **fields)))
    assert found[name][0] is False and found[name][1].endswith("e.g. TASK-05000")


def test_sharpness_that_was_never_measured_says_nothing():
    assert "blurred_share" not in out_of_bounds(a_manifest(*photos(200, sharpness=None), *GOOD[100:]))


def test_near_duplicates_with_different_labels_are_named_for_a_person():
    pair = (a_photo(7000, cluster_id="c"), a_photo(7001, cluster_id="c", label="불량"))
    hard, sentence = out_of_bounds(a_manifest(*GOOD, *pair))["disputed_clusters"]
    assert not hard and sentence.endswith("TASK-07000 양호, TASK-07001 불량")


def test_many_near_duplicates_on_one_side_are_mentioned():
    burst = photos(40, 8000, cluster_id="burst", defective=0)
    assert out_of_bounds(a_manifest(*GOOD, *burst))["near_duplicates_share"][0] is False


# Drift


def natural(count, defective, **fields):
    return photos(count, 3000, split=Split.HOLDOUT, defective=defective, **fields)


def before(*rows):
    return a_manifest(*rows, dataset_id="DS-2026-001")


def test_class_shares_that_moved_are_mentioned_with_both_numbers():
    found = out_of_bounds(a_manifest(*photos(100), *natural(200, 0.6)), before(*natural(200, 0.3)))
    assert found["class_drift_1"] == (False, "60% of the natural sample are 불량, 30% in DS-2026-001")


def test_a_difference_that_may_be_chance_is_not_mentioned():
    assert "class_drift_1" not in out_of_bounds(a_manifest(*natural(20, 0.5)), before(*natural(20, 0.3)))


def test_the_share_among_chosen_training_photos_says_nothing_of_the_world():
    now, then = a_manifest(*photos(200, defective=0.9), *GOOD[100:]), before(*photos(200, defective=0.2), *GOOD[100:])
    assert not [name for name in out_of_bounds(now, then) if "drift" in name]


def test_darker_photos_than_last_time_are_mentioned():
    now, then = a_manifest(*GOOD[:100], *natural(200, 0.5, brightness=0.3)), before(*natural(200, 0.5))
    assert out_of_bounds(now, then)["brightness_drift"] == (
        False,
        "photos are 0.30 bright on average, 0.50 in DS-2026-001",
    )


def test_a_worn_holdout_is_mentioned():
    assert out_of_bounds(a_manifest(*GOOD), uses=50) == {}
    assert "judged 51 models" in out_of_bounds(a_manifest(*GOOD), uses=51)["holdout_uses"][1]
