"""The data gate with the real libraries: Great Expectations, confident learning, and the page people read."""

import base64
import re
from datetime import timedelta

import numpy as np
import pytest

from include.demo.photos import base_specs, draw
from pipeline.adapters.data_report import HtmlDataReport
from pipeline.adapters.expectations import GreatExpectationsValidator
from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.dataset import Manifest, Quarantined, Source, Split
from pipeline.domain.quality import QualityPolicy, measure
from pipeline.learning.photos import PillowPhotoInspector
from pipeline.learning.suspects import ConfidentLearningReviewer
from pipeline.ports.data import Suspect, Validation
from tests.builders import NOW, a_photo
from tests.corpus.photos import PHOTOS

pytestmark = pytest.mark.integration

LABELS = ("양호", "불량")
POLICY = QualityPolicy()
SPLITS = [Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.VALIDATION, Split.HOLDOUT]


def photos(count=60):
    return [a_photo(n, split=SPLITS[n % 5], label=LABELS[n // 5 % 2], source=Source.REPLAY) for n in range(count)]


def a_manifest(rows, quarantined=()):
    return Manifest("DS-2026-001", "LAUNDRY", LABELS, None, NOW.isoformat(), tuple(rows), tuple(quarantined))


def check(rows, quarantined=()):
    manifest = a_manifest(rows, quarantined)
    validator = GreatExpectationsValidator()
    return validator.check(manifest, measure(manifest, None, 0, POLICY), now=NOW)


def test_a_good_selection_passes_and_leaves_data_docs_that_link_to_each_other():
    found = check(photos())
    assert (found.failures, found.warnings) == ((), ())
    assert {path.split("/")[0] for path in found.pages} >= {"index.html", "validations", "expectations", "static"}
    results = [path for path in found.pages if path.startswith("validations/")]
    assert len(results) == 2 and all(path in found.pages["index.html"].decode() for path in results)
    assert not [path for path in found.pages if path.endswith((".gif", ".otf"))]


BAD_ROWS = {
    "label outside the set": ({"label": "보통"}, "label: column values to be in set .*보통"),
    "no label": ({"label": None}, "label: column values to not be null"),
    "the same task twice": ({"task_id": "TASK-00000"}, "task_id: column values to be unique .*TASK-00000"),
    "no time": ({"confirmed_at": "yesterday"}, "confirmed_at: column values to not be null"),
    "a time before there was a service": ({"confirmed_at": "1970-01-01T00:00:00+00:00"}, "confirmed_at: .*between"),
    "a time to come": ({"confirmed_at": (NOW + timedelta(days=2)).isoformat()}, "confirmed_at: .*between"),
    "another bucket's scheme": ({"photo_url": "http://tasks/a.jpg"}, "photo_url: .*match regex"),
    "no hash": ({"sha256": ""}, "sha256: .*match regex"),
    "a photo of a few pixels": ({"width": 40}, "width: column values to be between"),
    "brightness that is none": ({"brightness": 7.0}, "brightness: column values to be between"),
    "an unknown split": ({"split": "test"}, "split: column values to be in set"),
}


@pytest.fixture(scope="module")
def found_bad():
    """What is said of a selection with all bad rows at once."""
    return check([*photos(), *(a_photo(1000 + n, **fields) for n, (fields, _) in enumerate(BAD_ROWS.values()))])


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_stops_the_run_with_its_reason(found_bad, name):
    reason = BAD_ROWS[name][1]
    assert [sentence for sentence in found_bad.failures if re.search(reason, sentence)], found_bad.failures


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$value ${label} <b>&amp;"]


def test_data_docs_print_what_people_typed_as_text_and_reasons_as_they_were_typed():
    rows = [
        a_photo(2000 + n, task_id=text, label=text, photo_url=f"s3://tasks/{text}") for n, text in enumerate(HOSTILE)
    ]
    found = check([*photos(), *rows], [Quarantined(text, f"s3://tasks/{text}", text) for text in HOSTILE * 20])
    assert HOSTILE[0] in next(f for f in found.failures if f.startswith("label: column values to be in set"))
    for page in (body.decode() for path, body in found.pages.items() if path.endswith(".html")):
        assert not [tag for tag in ("<script>alert", "<img src=x") if tag in page]


def test_a_class_that_nobody_confirmed_stops_the_run():
    found = check([p for p in photos() if p.label == "양호"])
    assert "only 0 of 18 training photos are 불량: 8 photos and 10% needed" in found.failures


def test_an_empty_selection_stops_the_run():
    assert check([]).failures


def test_a_soft_finding_is_a_warning_in_the_same_words_and_does_not_stop():
    quarantined = [Quarantined("TASK-9", "s3://tasks/9.jpg", "photo is empty (0 bytes)")]
    found = check(photos(), quarantined)
    assert found.failures == ()
    assert found.warnings == ("1 of 61 tasks cannot be used: TASK-9: photo is empty (0 bytes)",)


# Suspect labels


@pytest.fixture(scope="module")
def reviewed():
    """150 drawn photos, eight labels of them wrong; what the reviewer suspects, and the descriptors."""
    inspector = PillowPhotoInspector()
    specs = base_specs(150, seed=5)
    wrong = set(np.random.default_rng(2).choice(150, 8, replace=False).tolist())
    rows, descriptors = [], {}
    for number, spec in enumerate(specs):
        label = LABELS[(spec.label == "양호") != (number not in wrong)] if number in wrong else spec.label
        rows.append(a_photo(number, label=label, split=SPLITS[number % 5]))
        descriptors[rows[-1].task_id] = inspector.fingerprint(draw(spec)).descriptor
    found = ConfidentLearningReviewer().suspects(a_manifest(rows), descriptors)
    return found, {rows[n].task_id for n in wrong}, a_manifest(rows), descriptors


def test_half_of_the_wrong_labels_are_suspected_and_a_third_of_the_suspects_are_wrong(reviewed):
    found, wrong, _, _ = reviewed
    right = len(wrong & {s.task_id for s in found})
    assert right >= len(wrong) / 2 and right >= len(found) / 3
    assert [s.confidence for s in found] == sorted(s.confidence for s in found)
    assert all(s.suggested != s.label and s.confidence < 0.5 for s in found)


def test_the_same_photos_give_the_same_suspects(reviewed):
    found, _, manifest, descriptors = reviewed
    assert ConfidentLearningReviewer().suspects(manifest, descriptors) == found


def test_too_few_photos_of_a_class_suspect_nobody():
    rows = [*photos(20), a_photo(99, label="불량")]
    descriptor = np.zeros(4, "<f4").tobytes()
    few = a_manifest([p for p in rows if p.label == "양호"] + rows[-1:])
    assert ConfidentLearningReviewer().suspects(few, {p.task_id: descriptor for p in rows}) == ()
    assert ConfidentLearningReviewer().suspects(a_manifest(rows), {}) == ()


# The page


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_no_photo_whatever_it_is_keeps_the_page_from_people():
    rows = [a_photo(n) for n in range(len(PHOTOS))]
    bodies = {row.task_id: body for row, (body, _) in zip(rows, PHOTOS.values(), strict=True)}
    suspects = [Suspect(row.task_id, "양호", "불량", 0.1) for row in rows]
    page = HtmlDataReport().page(a_manifest(rows), Validation((), (), {}), suspects, bodies).decode()
    assert page.count("data:image/jpeg") == sum(reason is None for _, reason in PHOTOS.values())
    sheet = HtmlReportPrinter().contact_sheet(list(bodies.items())[-30:])
    assert sheet.startswith(b"\x89PNG")


def test_the_page_shows_verdict_reasons_and_small_photos_and_escapes_what_people_wrote():
    rows = photos(10)
    hostile = Quarantined("TASK-9", "s3://tasks/<script>.jpg", "<script>alert(1)</script>", "contradiction")
    found = Validation(("only one class",), ("few dark photos",), {})
    photo = draw(base_specs(1, seed=1)[0])
    suspect = Suspect(rows[0].task_id, "양호", "불량", 0.07)
    page = HtmlDataReport().page(a_manifest(rows, [hostile]), found, [suspect], {rows[0].task_id: photo}).decode()
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page
    for text in ("refused", "only one class", "few dark photos", rows[0].task_id, "looks like 불량", "7%"):
        assert text in page
    (small,) = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(base64.b64decode(small)) < 20_000
    assert "accepted" in HtmlDataReport().page(a_manifest(rows), Validation((), (), {}), [], {}).decode()
