"""Good photos plus any odd one still become a dataset: the odd one is set aside by name, and nothing else changes."""

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.data_report import HtmlDataReport
from pipeline.adapters.patient_objects import PatientPhotoStore
from pipeline.domain.dataset import Split
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.domain.models import ModelType
from pipeline.learning.photos import PillowPhotoInspector
from tests.builders import NOW, a_task
from tests.corpus.fuzz import PHOTO_BODIES, drawn, mangled
from tests.corpus.photos import JPEG, PHOTOS, PNG, ROWS, WEBP, encoded
from tests.fakes.data import FakeReviewer
from tests.unit.pipeline.steps.dataset_world import LABELS, URI, World

# Pillow warns of big headers; here they are meant.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

ODD = 9999


class Inspector:
    """The real one; neighbours are looked at once."""

    fingerprint = staticmethod(cache(PillowPhotoInspector().fingerprint))


@cache
def neighbour(number):
    return encoded(of=np.random.default_rng(number).integers(0, 256, (9, 9, 3), np.uint8).repeat(12, 0).repeat(12, 1))


class Photos:
    """Some photos that S3 fails on, whatever it says of them."""

    def __init__(self, bodies, faults=()):
        self.bodies, self.faults = bodies, dict(faults)

    def read(self, url):
        if url in self.faults:
            raise self.faults[url]
        if url not in self.bodies:
            raise PhotoMissing(f"no photo at {url}")
        return self.bodies[url]


def a_world(*odd, body=None, faults=()):
    """Thirty good tasks, and odd ones with `body` as their photo."""
    world = World()
    world.source.rows = [a_task(n, corrected=n % 3 == 0, label=LABELS[n % 2]) for n in range(30)]
    world.photos = Photos({t.photo_url: neighbour(n) for n, t in enumerate(world.source.rows)}, faults)
    world.source.rows += odd
    if body is not None:
        world.photos.bodies |= {t.photo_url: body for t in odd}
    world.inspector, world.reporter = Inspector(), HtmlDataReport()
    world.reviewer = FakeReviewer(tuple(t.task_id for t in odd))
    return world


@cache
def without_any():
    world = a_world()
    world.collect()
    return world.manifest()


def demand_a_dataset(world, odd, reason):
    """`reason` is None when the odd one may be used. Its report is written whichever it is."""
    assert world.collect() == "DS-2026-001"
    world.validate()
    world.prepare()
    manifest, (aside,) = world.manifest(), [[q for q in world.manifest().quarantined if q.task_id == odd.task_id]]
    if reason is None:
        assert odd.task_id in {p.task_id for p in manifest.photos} | {q.task_id for q in aside if q.kind != "unusable"}
    else:
        assert re.search(reason, aside[0].reason)
        assert manifest.photos == without_any().photos
        assert manifest.corrections_through == without_any().corrections_through
        assert aside[0] in world.datasets.set_aside("DS-2026-001")
        assert odd.task_id not in {m.task_id for m in world.datasets.holdout(ModelType.LAUNDRY)}
    good = {p.task_id for p in without_any().of(Split.HOLDOUT)}
    assert good <= {m.task_id for m in world.datasets.holdout(ModelType.LAUNDRY)}


@pytest.mark.parametrize("name", PHOTOS)
def test_an_odd_photo_is_set_aside_or_used_and_stops_nothing(name):
    body, reason = PHOTOS[name]
    # Its id puts it first and last among the tasks in turn.
    odd = a_task(ODD, task_id=f"{'AZ'[len(name) % 2]}-odd", confirmed_at=NOW)
    demand_a_dataset(a_world(odd, body=body), odd, reason)


@pytest.mark.parametrize("name", ROWS)
def test_an_odd_row_is_set_aside_or_used_and_stops_nothing(name):
    changes, reason = ROWS[name]
    odd = a_task(ODD, corrected=True, **changes)
    demand_a_dataset(a_world(odd, body=JPEG if odd.photo_url else None), odd, reason)


@drawn(25)
@given(PHOTO_BODIES | mangled(st.sampled_from([JPEG, PNG, WEBP])))
def test_no_photo_whatever_its_bytes_stops_the_others(body):
    odd = a_task(ODD, confirmed_at=NOW)
    fault = PillowPhotoInspector().fingerprint(body).fault
    demand_a_dataset(a_world(odd, body=body), odd, re.escape(fault) if fault else None)


@drawn(25)
@given(
    label=st.one_of(st.sampled_from(LABELS), st.text(max_size=9)),
    at=st.datetimes(timezones=st.timezones()),
    reason=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
)
def test_no_row_whatever_it_says_stops_the_others(label, at, reason):
    odd = a_task(ODD, final_result=label, confirmed_at=at, correction_reason=reason)
    good = label in LABELS and NOW.year > at.year > 2020
    world = a_world(odd, body=JPEG)
    world.collect()
    world.validate()
    used = odd.task_id in {p.task_id for p in world.manifest().photos}
    assert used or odd.task_id in {q.task_id for q in world.manifest().quarantined} or good


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PhotoMissing("the photo at x lies in S3's archive (Glacier)"), "archive"),
        (PhotoRefused("S3 denies access to x"), "denies access"),
        (ServiceUnavailable("S3", "Internal Server Error"), "unavailable: Internal Server Error, for this photo alone"),
    ],
)
def test_what_storage_says_against_one_photo_is_that_photos_fault(error, reason):
    odd = a_task(ODD, confirmed_at=NOW)
    demand_a_dataset(a_world(odd, body=JPEG, faults={odd.photo_url: error}), odd, reason)


def test_storage_that_is_away_stops_the_run_and_sets_nobody_aside():
    world = a_world()
    world.photos.faults = {t.photo_url: ServiceUnavailable("S3", "refused") for t in world.source.rows}
    with pytest.raises(ServiceUnavailable, match="S3 is unavailable: refused"):
        world.collect()
    assert not world.objects.bodies


def test_storage_that_goes_away_at_the_last_photos_is_away():
    world = a_world()
    reads, last = 0, world.source.rows[:2]
    world.photos.faults = {t.photo_url: ServiceUnavailable("S3", "refused") for t in last}

    class Going(Photos):
        def read(self, url):
            nonlocal reads
            reads += 1
            if reads > len(world.source.rows):
                raise ServiceUnavailable("S3", "refused")
            return super().read(url)

    world.photos = Going(world.photos.bodies, world.photos.faults)
    with pytest.raises(ServiceUnavailable):
        world.collect()
    assert not world.objects.bodies


def test_a_photo_that_is_there_the_second_time_is_used():
    world, waiting = a_world(), {a_task(4).photo_url}

    class Late(Photos):
        def read(self, url):
            if url in waiting:
                waiting.remove(url)
                raise ServiceUnavailable("S3", "slow down")
            return super().read(url)

    world.photos = Late(world.photos.bodies)
    world.collect()
    assert {p.task_id for p in world.manifest().photos} == {p.task_id for p in without_any().photos}


@pytest.mark.parametrize("victims", [1, 3, 6])
def test_what_storage_fails_on_for_the_moment_is_not_lost(victims):
    """Set aside, a correction would never be new again."""
    world = a_world()
    waiting = Counter({t.photo_url: 3 for t in world.source.rows[:victims]})

    class Failing(Photos):
        def read(self, url):
            if waiting[url]:
                waiting[url] -= 1
                raise ServiceUnavailable("S3", "503 for this key")
            return super().read(url)

    world.photos = PatientPhotoStore(Failing(world.photos.bodies))
    with stamina.set_testing(True, attempts=10):
        world.collect()
    assert world.manifest() == without_any()


def test_a_role_without_rights_is_told_by_the_share_of_photos_and_by_name():
    world = a_world()
    world.photos.faults = {
        t.photo_url: PhotoRefused(f"S3 denies access to {t.photo_url}: it is not there, or this role may not read it")
        for t in world.source.rows
    }
    with pytest.raises(
        DatasetRefused,
        match=r"none of 30 confirmed tasks can be used: TASK-.* and 25 more: S3 denies access to its address: it is",
    ):
        world.collect()


def test_a_photo_that_was_held_out_before_it_was_looked_at_refuses_no_later_dataset():
    """As earlier versions did: a photo too small to use stands in the holdout, which lets go of nobody."""
    small = a_task(ODD, confirmed_at=NOW)
    world = a_world(small, body=JPEG)
    world.collect()
    manifest = world.manifest()
    photo = next(p for p in manifest.photos if p.task_id == small.task_id)
    held = tuple(type(p)(**{**vars(p), "split": Split.HOLDOUT}) if p is photo else p for p in manifest.photos)
    world.datasets.hold_out("DS-2026-001", type(manifest)(**{**vars(manifest), "photos": held}))
    world.photos.bodies[small.photo_url] = PHOTOS["40 × 40"][0]
    world.collect(run_id="run-2")
    world.validate(uri="s3://datasets/DS-2026-002/")
    later = world.manifest("s3://datasets/DS-2026-002/")
    assert small.task_id not in {p.task_id for p in later.photos}
    assert "too small" in next(q.reason for q in later.quarantined if q.task_id == small.task_id)


def test_a_dataset_that_is_refused_holds_nobody_out():
    world = a_world()
    world.collect()
    world.validator.failures = ("only one class",)
    with pytest.raises(DatasetRefused):
        world.validate()
    assert not world.datasets.holdout(ModelType.LAUNDRY)
    world.validator.failures = ()
    world.validate()
    assert {m.task_id for m in world.datasets.holdout(ModelType.LAUNDRY)} == {
        p.task_id for p in world.manifest(URI).of(Split.HOLDOUT)
    }
