"""Drawn garments: the same specification gives the same photo, as a phone would take it."""

import cv2
import numpy as np
import pytest

from include.demo.photos import base_specs, draw, live_specs

LIVE = live_specs(60, seed=3)


def pixels(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("spec", LIVE[:8], ids=str)
def test_a_photo_is_a_jpeg_of_at_least_640_by_480_and_always_the_same(spec):
    photo = draw(spec)
    assert photo[:3] == b"\xff\xd8\xff"
    height, width = pixels(photo).shape[:2]
    assert (width, height) >= (640, 480)
    assert draw(spec) == photo


def test_no_two_garments_are_the_same_photo():
    assert len({draw(spec) for spec in LIVE[:20]}) == 20


def test_both_labels_come_and_the_label_follows_from_the_defect():
    assert {spec.label for spec in LIVE} == {"양호", "불량"}
    assert all((spec.defect is None) == (spec.label == "양호") for spec in LIVE)


def test_the_archive_lacks_kinds_of_damage_that_live_laundry_has():
    archive, live = ({s.defect for s in specs} for specs in (base_specs(400, seed=3), live_specs(400, seed=3)))
    assert {"tear", "grease"} <= live - archive


def test_another_seed_is_another_wardrobe():
    assert live_specs(20, seed=1) != live_specs(20, seed=2)
