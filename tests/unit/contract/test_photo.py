"""Where photos lie and how large they are, alike for everybody who takes them in."""

import io
import re
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from pydantic import TypeAdapter

from faceserve.errors import BadPhoto, ObjectRefused
from faceserve.inference.photos import PhotoReader
from include.contract.photo import ADDRESS_PATTERN, BadPhotoAddress, PhotoAddress
from include.contract.preprocessing import UnreadablePhoto, decode, photo_size, to_input
from include.stand_in.wire import PhotoUrl
from tests.corpus.photos import JPEG, ODD_KEYS, PHOTOS, PNG, WEBP, encoded, pixels, transparent

# Pillow warns of big headers; here they are meant.
pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

BUCKETS = ("tasks",)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_is_everything_behind_the_bucket(key):
    found = PhotoAddress.parse(f"s3://tasks/{key}", BUCKETS)
    assert (found.bucket, found.key, str(found)) == ("tasks", key, f"s3://tasks/{key}")


@given(st.text(min_size=1, max_size=200))
def test_any_key_is_taken_as_it_is_or_refused_never_read_as_another(key):
    try:
        found = PhotoAddress.parse(f"s3://tasks/{key}", BUCKETS)
    except BadPhotoAddress:
        assert ".." in key.split("/") or "\0" in key or re.search("[\ud800-\udfff]", key)
    else:
        assert found.key == key


@pytest.mark.parametrize(
    "url",
    [
        *("s3://secrets/a.jpg", "file:///etc/passwd", "http://tasks/x", "S3://tasks/x", "s3://tasks", "s3://tasks/"),
        *("s3:///x", "", "s3://tasks/../x", "s3://tasks/a/..", "s3://tasks@evil/x", "s3://tasks/a\0b", "tasks/x"),
        *("s3://tasks/\ud800", "s3://tasks/" + "얼" * 342, f"s3://{'b' * 200}/{'a' * 1000}"),
    ],
)
def test_anything_else_is_no_address_of_a_photo(url):
    with pytest.raises(BadPhotoAddress):
        PhotoAddress.parse(url, BUCKETS)


# Of buckets that there are: some are older than the names that S3 takes today.
NAMES = st.text("abcXYZ019._-", min_size=1, max_size=255)


@given(st.sets(NAMES, min_size=1, max_size=4), NAMES)
def test_a_bucket_that_is_allowed_is_one_whatever_its_name_and_for_everybody(buckets, other):
    for bucket in buckets:
        url = f"s3://{bucket}/a.jpg"
        assert PhotoAddress.parse(url, buckets) == PhotoAddress.read(url) == PhotoAddress(bucket, "a.jpg")
        # As the stand-ins read it, who do not know yet which buckets are allowed.
        assert TypeAdapter(PhotoUrl).validate_python(url) == url
        assert re.match(ADDRESS_PATTERN, url)
    with pytest.raises(BadPhotoAddress, match="is not in an allowed bucket"):
        PhotoAddress.parse(f"s3://{other}/a.jpg", buckets - {other})


class _Objects:
    """Of two photos whose addresses begin alike."""

    def __init__(self, **bodies):
        self.bodies = bodies

    @contextmanager
    def photo(self, uri):
        if uri not in self.bodies:
            raise FileNotFoundError(uri)
        if isinstance(self.bodies[uri], Exception):
            raise self.bodies[uri]
        yield self.bodies[uri]


def fetched(reader, uri):
    with reader.fetched(uri) as photo:
        return photo


def test_the_model_server_fetches_the_photo_that_was_named_and_not_one_whose_name_begins_alike():
    light, dark = (encoded("PNG", of=np.full((96, 96, 3), value, np.uint8)) for value in (255, 0))
    objects = _Objects(**{"s3://tasks/TASK-1": dark, "s3://tasks/TASK-1#2.jpg": light, "s3://tasks//x": light})
    reader = PhotoReader(objects, BUCKETS)
    assert fetched(reader, "s3://tasks/TASK-1#2.jpg") == light
    assert fetched(reader, "s3://tasks//x") == light
    assert fetched(reader, "s3://tasks/TASK-1") == dark


def test_a_photo_that_storage_does_not_give_out_is_the_photos_fault():
    reader = PhotoReader(_Objects(**{"s3://tasks/cold": ObjectRefused("S3: InvalidObjectState")}), BUCKETS)
    with pytest.raises(BadPhoto, match="no photo to be had at s3://tasks/cold: S3: InvalidObjectState"):
        fetched(reader, "s3://tasks/cold")


@pytest.mark.parametrize("name", PHOTOS)
def test_an_odd_photo_is_model_input_or_refused_with_its_reason(name):
    body, reason = PHOTOS[name]
    if reason is None:
        assert to_input(body).shape == (224, 224, 3)
    else:
        with pytest.raises(UnreadablePhoto, match=reason):
            decode(body)


@given(st.data())
def test_any_damage_is_refused_with_a_reason_or_still_a_photo(data):
    body = bytearray(data.draw(st.sampled_from([JPEG, PNG, WEBP])))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    try:
        photo_size(bytes(body))
        assert decode(bytes(body)).ndim == 3
    except UnreadablePhoto as error:
        assert str(error).startswith("photo ")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_is_white_whatever_colour_is_hidden_under_it(kind):
    lossless = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    for hidden in ((255, 0, 0), (0, 0, 0)):
        assert (to_input(transparent(hidden, kind, **lossless)) == 255).all()


def test_half_transparent_is_half_white_and_opaque_stays_as_it_was():
    half = np.dstack([np.zeros((96, 96, 3), np.uint8), np.full((96, 96), 128, np.uint8)])
    assert abs(int(to_input(encoded("PNG", "RGBA", of=half)).mean()) - 127) <= 1
    assert np.array_equal(decode(encoded("PNG", "RGBA")), decode(PNG))
    assert np.array_equal(decode(PNG), pixels())


@pytest.mark.parametrize("kind", [{"format": "PNG"}, {"format": "WEBP", "lossless": True, "exact": True}])
@pytest.mark.parametrize("several", [False, True])
def test_what_is_transparent_stands_upright_and_shows_as_pillow_shows_it(kind, several):
    """Pillow turns a picture by its EXIF; of an animation the first picture counts."""
    rng = np.random.default_rng(1)
    first, second = (Image.fromarray(rng.integers(0, 256, (70, 97, 4), np.uint8)) for _ in range(2))
    more = {"save_all": True, "append_images": [second]} if several else {}
    for position in range(10):
        out, exif = io.BytesIO(), Image.Exif()
        exif[ExifTags.Base.Orientation] = position
        first.save(out, exif=exif, **kind, **more)
        with Image.open(out) as image:
            shown = ImageOps.exif_transpose(image).convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        white.paste(shown, mask=shown.getchannel("A"))
        assert np.array_equal(decode(out.getvalue()), np.asarray(white)[..., :3]), position
