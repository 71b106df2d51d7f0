"""Bytes that somebody mangled: each is an input or a clear refusal, never a crash."""

import cv2
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as oip

from faceserve.errors import Refused
from faceserve.protocols.tensors import images_of
from include.contract.preprocessing import UnreadablePhoto, to_input

PIXELS = np.random.default_rng(5).integers(0, 256, (97, 131, 3), np.uint8)


def encoded(extension, pixels=PIXELS):
    ok, body = cv2.imencode(extension, pixels)
    assert ok
    return bytes(body)


def mangled(body, rng):
    """Cut, flipped, repeated or overwritten somewhere."""
    damaged = bytearray(body)
    for _ in range(int(rng.integers(1, 8))):
        at = int(rng.integers(len(damaged)))
        match rng.integers(4):
            case 0:
                damaged[at] ^= 1 << int(rng.integers(8))
            case 1:
                damaged[at : at + int(rng.integers(1, 64))] = rng.bytes(int(rng.integers(0, 64)))
            case 2:
                del damaged[at : at + int(rng.integers(1, 200))]
            case _:
                damaged[at:at] = damaged[at : at + 16]
        if not damaged:
            break
    return bytes(damaged)


# PNG has a checksum over everything, so that no mangled one is read; a JPEG or WebP may lose a few pixels only.
@pytest.mark.parametrize(
    ("extension", "expected"),
    [(".jpg", {"unreadable", "input"}), (".png", {"unreadable"}), (".webp", {"unreadable", "input"})],
)
def test_a_mangled_photo_is_an_input_or_unreadable(extension, expected):
    rng = np.random.default_rng(11)
    whole = encoded(extension)
    outcomes = set()
    for _ in range(400):
        try:
            found = to_input(mangled(whole, rng))
        except UnreadablePhoto:
            outcomes.add("unreadable")
        else:
            assert (found.shape, found.dtype) == ((224, 224, 3), np.uint8)
            outcomes.add("input")
    assert outcomes == expected


@pytest.mark.parametrize(
    "pixels",
    [
        PIXELS[..., 0],
        np.dstack([PIXELS, PIXELS[..., 0]]),
        PIXELS.astype(np.uint16) * 257,
        PIXELS[..., 0].astype(np.uint16) * 257,
    ],
    ids=["grey", "alpha", "16-bit", "16-bit grey"],
)
def test_every_colour_mode_becomes_rgb(pixels):
    assert to_input(encoded(".png", pixels)).shape == (224, 224, 3)


def test_a_mangled_request_is_images_or_refused():
    rng = np.random.default_rng(13)
    request = oip.ModelInferRequest(model_name="laundry")
    request.inputs.add(name="photos", datatype="BYTES", shape=[2])
    photo = encoded(".jpg")
    contents = b"".join(len(p).to_bytes(4, "little") + p for p in (photo, photo))
    outcomes = set()
    for _ in range(300):
        request.ClearField("raw_input_contents")
        request.raw_input_contents.append(mangled(contents, rng))
        try:
            outcomes.add(images_of(request).shape)
        except Refused:
            outcomes.add("refused")
    assert outcomes == {"refused", (2, 224, 224, 3)}
