"""A head that says what a correction may be about, learned from drawn features."""

import io
import json

import numpy as np
import pytest

from pipeline.domain.reasons import KnownReasons, ReasonList
from pipeline.learning import reasons
from tests.builders import a_photo

WIDTH, PHOTOS = 12, 90
REASONS = ReasonList(min_reason_photos=20)


def known(*, every=3, min_photos=20, said=("얼룩",)):
    """Every third photo has the reason, the others have nothing to complain about."""
    of = {f"TASK-{n}": tuple(said) if n % every == 0 else () for n in range(PHOTOS)}
    return KnownReasons(("얼룩", "찢어짐"), min_photos, of)


def drawn(*, shift=6.0, every=3, copies=2):
    """Features of each photo and of its copies, which are far off; the reason shows in the first of them."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(PHOTOS, WIDTH)).astype(np.float32) * 5
    features[::every, 0] += shift * 5
    rows = np.repeat(features, copies, axis=0)
    rows[1::copies] += 100
    return rows, [f"TASK-{n}" for n in range(PHOTOS) for _ in range(copies)]


def said(head, features):
    return 1 / (1 + np.exp(-(features @ head.weights + head.bias)))


def test_a_reason_that_shows_is_found_on_photos_and_one_that_nobody_named_is_not_learned():
    features, tasks = drawn()
    head = reasons.learn(features, tasks, known())
    assert head.names == ("얼룩",) and head.weights.shape == (WIDTH, 1) and head.weights.dtype == np.float32
    found = said(head, features[::2])[:, 0]
    assert found[::3].min() > found[1::3].max() > 0
    assert found[::3].mean() > 0.4 and found[1::3].mean() < 0.3


def test_what_photos_do_not_show_is_not_learned():
    features, tasks = drawn(shift=0)
    assert reasons.learn(features, tasks, known()) is None


@pytest.mark.parametrize(
    "changes", [{"min_photos": 31}, {"every": 1}, {"said": ()}], ids=["too few", "no other garments", "nobody said why"]
)
def test_a_reason_needs_photos_with_it_and_without_it(changes):
    features, tasks = drawn()
    assert reasons.learn(features, tasks, known(**changes)) is None


def test_a_few_garments_photographed_often_teach_no_reason():
    """Their copies would be told apart by what those garments are."""
    rng = np.random.default_rng(3)
    burst = np.repeat(rng.normal(size=(2, 64)), 10, axis=0) + 0.05 * rng.normal(size=(20, 64))
    features = np.vstack([rng.normal(size=(70, 64)), burst]).astype(np.float32)
    tasks = [f"TASK-{n}" for n in range(90)]
    of = {task: ("얼룩",) if n >= 70 else () for n, task in enumerate(tasks)}
    clusters = {task: f"garment {n % 2}" for n, task in enumerate(tasks) if n >= 70}
    for min_photos in (3, 20):
        assert reasons.learn(features, tasks, KnownReasons(("얼룩",), min_photos, of)) is not None
        assert reasons.learn(features, tasks, KnownReasons(("얼룩",), min_photos, of, clusters)) is None


def test_near_duplicates_are_kept_back_together():
    """Ten garments with the reason, ten times each, that have nothing in common: none tells anything of another."""
    rng = np.random.default_rng(3)
    burst = np.repeat(rng.normal(size=(10, 64)), 10, axis=0) + 0.05 * rng.normal(size=(100, 64))
    features = np.vstack([rng.normal(size=(200, 64)), burst]).astype(np.float32)
    tasks = [f"TASK-{n}" for n in range(300)]
    of = {task: ("얼룩",) if n >= 200 else () for n, task in enumerate(tasks)}
    clusters = {task: f"garment {n // 10}" for n, task in enumerate(tasks) if n >= 200}
    assert reasons.learn(features, tasks, KnownReasons(("얼룩",), 5, of)).aucs[0] > 0.9
    assert reasons.learn(features, tasks, KnownReasons(("얼룩",), 5, of, clusters)) is None


def test_photos_of_which_nobody_said_why_teach_nothing():
    features, tasks = drawn()
    features[2::6] = 1e3
    whole = known()
    some = KnownReasons(whole.names, 20, {t: r for t, r in whole.of.items() if int(t[5:]) % 3 != 1})
    head = reasons.learn(features, tasks, some)
    assert np.isfinite(head.weights).all() and said(head, features[::6])[:, 0].mean() > 0.4


def test_nothing_is_learned_of_nothing():
    assert reasons.learn(np.zeros((0, WIDTH), np.float32), [], KnownReasons()) is None


def test_the_file_has_what_a_server_needs_and_no_objects():
    features, tasks = drawn()
    head = reasons.learn(features, tasks, known())
    with np.load(io.BytesIO(head.to_bytes()), allow_pickle=False) as kept:
        assert kept["names"].tolist() == ["얼룩"]
        assert (kept["weights"] == head.weights).all() and (kept["bias"] == head.bias).all()


def test_people_are_told_how_many_photos_a_reason_has_and_how_well_it_is_told_apart():
    features, tasks = drawn()
    rows = json.loads(reasons.report(reasons.learn(features, tasks, known()), known()))
    assert [(row["reason"], row["photos"]) for row in rows] == [("얼룩", 30), ("찢어짐", 0)]
    assert rows[0]["auc"] > 0.9 and rows[1]["auc"] is None


def test_who_agrees_with_a_defect_does_not_say_what_it_is_and_who_agrees_with_a_good_garment_has_no_reason():
    photos = [
        a_photo(1, label="불량", corrected=True, reasons=("얼룩", "기타")),
        a_photo(2, label="불량", corrected=True, reasons=("기타",)),
        a_photo(3, label="불량", corrected=False),
        a_photo(4, label="양호", corrected=False),
        a_photo(5, label="양호", corrected=True, reasons=("무늬를 결함으로 봄",)),
    ]
    found = REASONS.known(photos).of
    expected = {photos[0]: ("얼룩",), photos[3]: (), photos[4]: ("무늬를 결함으로 봄",)}
    assert found == {photo.task_id: why for photo, why in expected.items()}
