"""Whether a photo will do to compare somebody with is one rule, with a sentence for whoever takes the next one."""

from dataclasses import asdict, fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contract.manifest import PORTRAIT_BOUNDS, ArtifactManifest, BadManifest
from include.contract.portrait import PORTRAIT, Portrait, PortraitBounds
from include.contract.portrait_pixels import portrait_of
from include.contract.preprocessing import decode, to_input
from include.demo.people import DrawnPerson
from pipeline.learning.faces.portraits import PortraitInspector
from tests.tiny_model import coloured_photo, tiny_artifact

GOOD = Portrait(shorter_side=160, brightness=0.5, contrast=0.1, sharpness=2.0)


def jpeg(pixels):
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(np.clip(pixels, 0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR))[1])


def fault(photo):
    return PORTRAIT.fault(portrait_of(photo, to_input(photo)))


@settings(max_examples=60, deadline=None)
@given(number=st.integers(0, 10**6), shot=st.integers(0, 99), at_door=st.booleans())
def test_whoever_stands_before_a_camera_in_usual_light_is_looked_at(number, shot, at_door):
    person = DrawnPerson(number)
    assert fault(person.at_door(shot) if at_door else person.photo(shot)) == ""


SPOILT = {
    "the face is too small": lambda pixels: cv2.resize(pixels, (70, 70)),
    "the photo is too dark": lambda pixels: pixels * 0.04,
    "the photo is overexposed": lambda pixels: 245 + pixels * 0.04,
    "the photo shows no face": lambda pixels: np.full_like(pixels, 120) + pixels * 0.02,
    "the photo is blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 7),
}


@pytest.mark.parametrize("why", SPOILT)
@settings(max_examples=12, deadline=None)
@given(number=st.integers(0, 10**6), at_door=st.booleans())
def test_the_same_people_in_bad_photos_are_not_and_the_pipeline_sets_such_a_photo_aside_for_the_same_reason(
    why, number, at_door
):
    person = DrawnPerson(number)
    photo = jpeg(SPOILT[why](decode(person.at_door(1) if at_door else person.photo(1)).astype(np.float32)))
    # A pale face before a pale wall is one shade when it is blurred.
    also = "the photo shows no face" if why == "the photo is blurred" else why
    assert fault(photo).startswith((why, also))
    assert PortraitInspector().fingerprint(photo).fault == fault(photo)


@settings(max_examples=12, deadline=None)
@given(number=st.integers(0, 10**6), noise=st.floats(0, 3))
def test_little_noise_makes_no_photo_sharp_and_little_light_none_blurred(number, noise):
    pixels = decode(DrawnPerson(number).photo(1)).astype(np.float32)
    grain = noise * np.random.default_rng(number).normal(size=pixels.shape)
    assert (fault(jpeg(pixels * 0.6)), fault(jpeg(pixels + 3 * grain))) == ("", "")
    assert fault(jpeg(cv2.GaussianBlur(pixels, (0, 0), 12) + grain)) != "", "whatever the grain on it"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shorter_side": 79}, "the face is too small: 79 pixels on the shorter side, 80 needed"),
        ({"brightness": 0.0799}, "the photo is too dark"),
        ({"brightness": 0.9201}, "the photo is overexposed"),
        ({"contrast": 0.0099}, "the photo shows no face, but one shade"),
        ({"sharpness": 0.1199}, "the photo is blurred"),
    ],
)
def test_each_bound_is_kept_to_the_figure_and_named(change, said):
    assert PORTRAIT.fault(replace(GOOD, **change)).startswith(said)
    assert PORTRAIT.fault(GOOD) == ""
    edge = {"shorter_side": 80, "brightness": 0.08, "contrast": 0.01, "sharpness": 0.12}
    assert PORTRAIT.fault(Portrait(**edge)) == PORTRAIT.fault(Portrait(**{**edge, "brightness": 0.92})) == ""


def manifest(**extra):
    return ArtifactManifest.from_json(tiny_artifact(extra=extra)["manifest.json"])


@given(st.lists(st.floats(0, 1000), min_size=5, max_size=5))
def test_an_artifact_says_on_what_photos_its_model_is_served(figures):
    bounds = PortraitBounds(*figures)
    assert PortraitBounds.of({**asdict(bounds), "of_tomorrow": 3}) == bounds


def test_a_model_of_before_takes_any_photo_and_bounds_that_are_none_are_no_artifact():
    assert manifest().portrait is None
    assert manifest(**{PORTRAIT_BOUNDS: asdict(PORTRAIT)}).portrait == PORTRAIT
    names = [field.name for field in fields(PortraitBounds)]
    for wrong in ({names[0]: "80"}, {names[1]: True}, {names[2]: float("nan")}, {names[3]: None}, 7, "much"):
        with pytest.raises(BadManifest):
            manifest(**{PORTRAIT_BOUNDS: wrong})


def test_what_is_no_photo_has_that_as_its_fault():
    inspector = PortraitInspector()
    assert "no readable" in inspector.fingerprint(b"no photo").fault
    assert "one shade" in inspector.fingerprint(jpeg(np.full((90, 90, 3), 120))).fault
    assert "too small" in inspector.fingerprint(coloured_photo(1, 2, 3)).fault
