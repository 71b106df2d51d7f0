"""The permanent split and the selection of photos."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.clusters import cluster_ids, sides_of_clusters
from pipeline.domain.dataset import Manifest, Source, Split
from pipeline.domain.leakage import leaks
from pipeline.domain.reasons import ReasonList
from pipeline.domain.selection import SelectionPolicy, select, spread
from tests.builders import NOW, a_photo

POLICY = SelectionPolicy(replay_per_correction=2.0, min_train_photos=0)

REASONS = ReasonList()


def _select(photos, policy=POLICY, since=None, missed=()):
    """All photos are of the natural sample."""
    return select(photos, policy, natural={p.task_id for p in photos}, since=since, missed=missed)


def test_a_cluster_stays_on_its_side_whatever_else_is_collected():
    before = {cluster: POLICY.split_of(cluster) for cluster in map(str, range(200))}
    assert {cluster: POLICY.split_of(cluster) for cluster in reversed(list(before))} == before


@pytest.mark.parametrize("side", [Split.TRAIN, Split.VALIDATION, Split.HOLDOUT])
def test_a_cluster_that_took_a_side_before_keeps_it_whatever_its_hash_says(side):
    clusters = [str(n) for n in range(50)]
    known = dict.fromkeys(clusters[:25], side)
    assert {POLICY.split_of(cluster, known) for cluster in clusters[:25]} == {side}
    assert [POLICY.split_of(c, known) for c in clusters[25:]] == [POLICY.split_of(c) for c in clusters[25:]]


def test_shares_of_the_split_are_as_configured():
    found = Counter(POLICY.split_of(f"{n:016x}") for n in range(10_000))
    assert abs(found[Split.HOLDOUT] / 10_000 - 0.20) < 0.02
    assert abs(found[Split.VALIDATION] / 10_000 - 0.16) < 0.02


def test_near_duplicates_share_a_cluster():
    first, near, far = 0xFFFF0000FFFF0000, 0xFFFF0000FFFF0003, 0x0000FFFF0000FFFF
    ids = cluster_ids([first, near, far])
    assert ids[0] == ids[1] != ids[2]


def test_a_new_near_duplicate_inherits_the_cluster_of_an_earlier_dataset():
    assert cluster_ids([0b111], known=[0b000]) == [f"{0:016x}"]


def test_all_corrections_of_the_training_split_are_selected():
    photos = [a_photo(n, corrected=True) for n in range(5)] + [a_photo(n + 100) for n in range(50)]
    chosen = _select(photos)
    assert sum(p.source is Source.CORRECTION for p in chosen) == 5
    assert sum(p.source is Source.REPLAY for p in chosen) == 10


def test_replay_evens_out_the_classes():
    corrections = [a_photo(n, corrected=True, label="불량") for n in range(10)]
    unchanged = [a_photo(n + 100) for n in range(50)] + [a_photo(n + 200, label="불량") for n in range(50)]
    labels = Counter(p.label for p in _select([*corrections, *unchanged]))
    assert labels == {"양호": 15, "불량": 15}


def test_replay_tops_up_to_the_least_number_of_training_photos():
    photos = [a_photo(0, corrected=True), *(a_photo(n + 100) for n in range(50))]
    assert len(_select(photos, SelectionPolicy(min_train_photos=30))) == 30


@given(months=st.lists(st.integers(0, 5), max_size=60), wanted=st.integers(0, 70))
def test_what_is_replayed_is_as_even_over_months_as_can_be_whatever_came_lately(months, wanted):
    photos = [
        replace(a_photo(n), confirmed_at=(NOW - timedelta(days=40 * ago)).isoformat()) for n, ago in enumerate(months)
    ]
    chosen = _select(photos, SelectionPolicy(min_train_photos=wanted))
    assert chosen == _select(photos[::-1], SelectionPolicy(min_train_photos=wanted))
    there, left = (Counter(p.confirmed_at[:7] for p in some) for some in (photos, chosen))
    assert sum(left.values()) == min(wanted, len(photos))
    for month, count in there.items():
        # No month has fewer than another one, unless that is all there is of it.
        assert left[month] == count or left[month] >= max(left.values(), default=0) - 1


def test_validation_and_holdout_keep_their_natural_frequency():
    held = [a_photo(n, split=Split.HOLDOUT, corrected=n % 7 == 0) for n in range(70)]
    chosen = _select(held)
    assert [p.task_id for p in chosen] == [p.task_id for p in held]
    assert {p.source for p in chosen} == {Source.EVALUATION}


def correction(number, days):
    """Confirmed so many days after `NOW`."""
    return a_photo(number, corrected=True, confirmed_at=(NOW + timedelta(days=days)).isoformat())


@pytest.mark.parametrize("new", [0, 4, 40])
@pytest.mark.parametrize(("limit", "learned"), [(0, 0), (5, 5), (500, 20)])
def test_earlier_corrections_have_a_budget_of_their_own_however_many_are_new(new, limit, learned):
    """As a multiple of the new ones, a second cycle kept 22 of 121, and a forced run without new ones none."""
    photos = [correction(n, days=1) for n in range(new)] + [correction(n, days=-1) for n in range(100, 120)]
    sources = Counter(p.source for p in _select(photos, SelectionPolicy(earlier_limit=limit), since=NOW))
    assert (sources[Source.CORRECTION], sources[Source.EARLIER_CORRECTION]) == (new, learned)


def test_no_reason_branch_or_month_is_crowded_out_by_a_common_one():
    common = [replace(correction(n, days=-1), correction_reason="얼룩", helper_id="A") for n in range(300)]
    rare = [
        replace(correction(400, days=-1), correction_reason="찢어짐", helper_id="A"),
        replace(correction(401, days=-1), correction_reason="얼룩", helper_id="B"),
        replace(correction(402, days=-99), correction_reason="얼룩", helper_id="A"),
    ]
    kept = spread([*common, *rare], 8, REASONS)
    assert len(kept) == 8
    assert {p.task_id for p in rare} <= {p.task_id for p in kept}


@given(
    kinds=st.lists(st.tuples(st.sampled_from(REASONS.names), st.sampled_from("AB"), st.integers(0, 3)), max_size=60),
    limit=st.integers(0, 70),
)
def test_what_is_kept_of_earlier_corrections_is_as_even_over_reasons_as_can_be(kinds, limit):
    photos = [
        replace(correction(n, days=-40 * months), correction_reason=reason, helper_id=branch)
        for n, (reason, branch, months) in enumerate(kinds)
    ]
    kept = spread(photos, limit, REASONS)
    assert kept == spread(photos[::-1], limit, REASONS)
    assert len(kept) == len({p.task_id for p in kept}) == min(limit, len(photos))
    there, left = Counter(p.correction_reason for p in photos), Counter(p.correction_reason for p in kept)
    for reason, count in there.items():
        # Nobody has fewer than another one, unless that is all there is of it.
        assert left[reason] == count or left[reason] >= max(left.values(), default=0) - 1


@given(
    kinds=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(REASONS.names), st.sampled_from("AB")), max_size=60),
    limit=st.integers(0, 70),
    unknown=st.sets(st.integers(0, 59)),
    order=st.randoms(),
)
def test_one_of_each_cluster_is_kept_before_a_second_of_any(kinds, limit, unknown, order):
    photos = [
        replace(correction(n, days=-1), cluster_id=str(cluster), correction_reason=reason, helper_id=branch)
        for n, (cluster, reason, branch) in enumerate(kinds)
    ]
    clusters = {p.task_id: p.cluster_id for n, p in enumerate(photos) if n not in unknown}
    kept = spread(photos, limit, REASONS, clusters)
    shown = [clusters.get(p.task_id, p.photo_url) for p in photos]
    left = Counter(clusters.get(p.task_id, p.photo_url) for p in kept)
    assert len(kept) == min(limit, len(photos))
    for cluster, count in Counter(shown).items():
        assert left[cluster] == count or left[cluster] >= max(left.values(), default=0) - 1
    order.shuffle(photos)
    assert spread(photos, limit, REASONS, clusters) == kept


def test_a_cluster_that_was_corrected_again_and_again_crowds_no_other_out():
    """As reported: of 66 clusters a budget of 60 took 18."""
    often = [replace(correction(n, days=-1), cluster_id=f"often {n % 6}", helper_id=f"H-{n}") for n in range(540)]
    once = [replace(correction(n, days=-1), cluster_id=f"once {n}", helper_id="H-0") for n in range(540, 600)]
    taken = [p for p in _select([*often, *once], SelectionPolicy(earlier_limit=66), since=NOW) if p.corrected]
    assert len({p.cluster_id for p in taken}) == len(taken) == 66


def test_people_who_say_the_same_in_other_words_crowd_nobody_out():
    wordy = [replace(correction(n, days=-1), correction_reason=f"커피를 {n}번 쏟음") for n in range(300)]
    rare = replace(correction(400, days=-1), correction_reason="옆이 찢어져 있음")
    assert rare in spread([*wordy, rare], 2, REASONS)


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(REASONS.names[:4]), st.integers(0, 2), st.booleans()), min_size=1, max_size=60
    ),
    limit=st.integers(0, 40),
    share=st.floats(0, 1),
    order=st.randoms(),
)
def test_kinds_that_the_champion_gets_wrong_have_their_share_of_earlier_corrections_and_no_more(
    kinds, limit, share, order
):
    photos = [
        replace(correction(n, days=-40 * months - 1), correction_reason=reason)
        for n, (reason, months, _) in enumerate(kinds)
    ]
    missed = {p.task_id for p, (_, _, wrong) in zip(photos, kinds, strict=True) if wrong}
    clusters = {p.task_id: p.cluster_id for p in photos}
    policy = SelectionPolicy(earlier_limit=limit, missed_share=share, min_train_photos=0)
    first = policy.of_missed_kinds(photos, clusters, missed)
    assert len(first) == len({p.task_id for p in first}) <= round(limit * share)
    wrong = Counter(kind_of(p) for p in photos if p.task_id in missed)
    often = Counter({kind: count for kind, count in wrong.items() if count > 2})
    there, taken_of = Counter(map(kind_of, photos)), Counter(map(kind_of, first))
    assert taken_of.keys() <= often.keys()
    # In proportion: none has more or less than its share, rounded, and all shares are given out.
    shares = {kind: round(limit * share) * count / often.total() for kind, count in often.items()}
    assert all(abs(taken_of[kind] - part) < 1 or taken_of[kind] == there[kind] for kind, part in shares.items())
    if all(there[kind] > part for kind, part in shares.items()) and often:
        assert len(first) == round(limit * share)
    ids = {p.task_id for p in first}
    taken = {p.task_id: p for p in _select(photos, policy, since=NOW, missed=ids) if p.corrected}
    # The budget stays what it is, and the others are chosen as if nobody knew.
    assert {task_id for task_id, p in taken.items() if p.source is Source.MISSED_CORRECTION} == ids
    others = spread([p for p in photos if p.task_id not in ids], limit - len(ids), REASONS, clusters)
    assert taken.keys() == ids | {p.task_id for p in others}
    order.shuffle(photos)
    assert policy.of_missed_kinds(photos, clusters, missed) == first


def kind_of(photo):
    return photo.correction_reason, photo.confirmed_at[:7]


def test_a_kind_that_the_champion_forgot_is_learned_again_although_the_budget_is_spent_on_others():
    known = [replace(correction(n, days=-1), helper_id=f"H-{n}", correction_reason="커피") for n in range(200)]
    forgot = [replace(correction(n, days=-1), helper_id="H-0", correction_reason="커피") for n in range(200, 230)]
    forgot = [replace(p, confirmed_at=(NOW - timedelta(days=60)).isoformat()) for p in forgot]
    policy, ids = SelectionPolicy(earlier_limit=40, min_train_photos=0), {p.task_id for p in forgot}

    def learned(missed):
        clusters = {p.task_id: p.cluster_id for p in (*known, *forgot)}
        first = {p.task_id for p in policy.of_missed_kinds([*known, *forgot], clusters, missed)}
        chosen = _select([*known, *forgot], policy, since=NOW, missed=first)
        return len({p.task_id for p in chosen if p.corrected} & ids)

    assert learned(missed=()) < 12 <= learned(missed=ids)


def test_what_is_missed_here_and_there_may_be_labelled_wrongly_and_is_chosen_as_if_nobody_knew():
    photos = [replace(correction(n, days=-1 - 40 * (n % 6)), correction_reason="커피") for n in range(60)]
    clusters, policy = {p.task_id: p.cluster_id for p in photos}, SelectionPolicy(earlier_limit=40)
    scattered = {p.task_id for p in photos[:12]}
    assert policy.of_missed_kinds(photos, clusters, scattered) == []
    assert policy.of_missed_kinds(photos, clusters, {*scattered, photos[12].task_id})


def test_one_photo_that_was_confirmed_again_and_again_makes_no_kind_that_the_champion_gets_wrong():
    """It is labelled wrongly each time."""
    policy = SelectionPolicy(earlier_limit=40)
    often = [
        replace(correction(n, days=-1), correction_reason="볼펜", photo_url="s3://tasks/one.jpg") for n in range(3)
    ]
    photos = [*often, *(replace(correction(n, days=-1), correction_reason="커피") for n in range(3, 40))]
    missed = {p.task_id for p in often}
    for one, clusters in ((photos, {}), (photos, {p.task_id: "one" for p in often})):
        assert policy.of_missed_kinds(one, clusters, missed) == []
    differ = {p.task_id: f"cluster-{n}" for n, p in enumerate(often)}
    assert policy.of_missed_kinds(photos, differ, missed)


@pytest.mark.parametrize(("limit", "kinds"), [(20, 13), (20, 12), (50, 31), (500, 301)])
def test_many_kinds_that_are_alike_share_all_that_the_missed_ones_have(limit, kinds):
    """As reported: each share rounded by itself came to nothing."""
    photos = [correction(3 * kind + n, days=-40 * kind - 1) for kind in range(kinds) for n in range(3)]
    policy = SelectionPolicy(earlier_limit=limit)
    assert len(policy.of_missed_kinds(photos, {}, {p.task_id for p in photos})) == round(limit * 0.3)


def test_a_correction_of_the_very_moment_of_the_last_training_is_an_earlier_one():
    chosen = _select([correction(1, days=0), correction(2, days=0.001)], since=NOW)
    assert [p.source for p in chosen] == [Source.EARLIER_CORRECTION, Source.CORRECTION]


def test_which_earlier_corrections_are_learned_again_is_a_matter_of_their_hash_not_of_their_age():
    photos = [correction(0, days=1), *(correction(n, days=-n / 100) for n in range(1, 40))]
    policy = SelectionPolicy(earlier_limit=1)
    (earlier,) = [p for p in _select(photos, policy, since=NOW) if p.source is Source.EARLIER_CORRECTION]
    assert earlier == next(p for p in _select(photos[::-1], policy, since=NOW) if p.source is not Source.CORRECTION)
    assert earlier.task_id not in {"TASK-00001", "TASK-00039"}


def test_a_held_out_correction_that_was_looked_for_judges_apart_from_the_natural_sample():
    held = [a_photo(n, split=Split.HOLDOUT, corrected=True, source=Source.CORRECTION) for n in (1, 2)]
    chosen = select(held, POLICY, natural={"TASK-00001"})
    assert [p.split for p in chosen] == [Split.HOLDOUT, Split.HELD_OUT_CORRECTIONS]
    assert {p.source for p in chosen} == {Source.EVALUATION}


def test_a_cluster_seen_only_as_a_held_out_correction_judges_from_then_on():
    beside = a_photo(2, cluster_id="b", split=Split.VALIDATION)
    looked_for = [a_photo(n, cluster_id=c, split=Split.HELD_OUT_CORRECTIONS) for n, c in ((1, "a"), (3, "b"))]
    photos = (looked_for[0], beside, looked_for[1], a_photo(4, cluster_id="c"))
    manifest = Manifest("DS-2026-001", "LAUNDRY", ("양호", "불량"), None, None, photos)
    assert sides_of_clusters(manifest) == {"a": Split.HOLDOUT, "b": Split.VALIDATION, "c": Split.TRAIN}


def test_the_selection_does_not_depend_on_the_order_of_the_rows():
    photos = [a_photo(n, corrected=n < 5, label="양호" if n % 3 else "불량") for n in range(80)]
    assert _select(photos) == _select(photos[::-1])


def test_one_cluster_on_two_sides_is_a_leak():
    photos = [a_photo(1, cluster_id="c"), a_photo(2, cluster_id="c", split=Split.HOLDOUT)]
    assert leaks(photos) == ["cluster c is in holdout, train"]


def test_the_same_bytes_on_two_sides_are_a_leak():
    photos = [a_photo(1, sha256="f" * 64), a_photo(2, sha256="f" * 64, split=Split.VALIDATION)]
    assert leaks(photos) == ["photo ffffffffffff is in train, validation"]


def test_a_manifest_survives_its_file():
    manifest = Manifest("DS-2026-001", "LAUNDRY", ("양호", "불량"), None, None, (a_photo(1), a_photo(2)))
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_manifest_written_before_a_fact_was_kept_is_still_read():
    manifest = Manifest("DS-2026-001", "LAUNDRY", ("양호", "불량"), None, None, (a_photo(1, helper_id="HELPER-1"),))
    fields = json.loads(manifest.to_json())
    for name in ("sharpness", "ai_result", "correction_reason", "helper_id"):
        del fields["photos"][0][name]
    (photo,) = Manifest.from_json(json.dumps(fields).encode()).photos
    assert (photo.task_id, photo.helper_id, photo.sharpness) == ("TASK-00001", "", None)
