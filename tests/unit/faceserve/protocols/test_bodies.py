"""What is sent packed is read to its end, or refused."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceserve.errors import BadRequest
from faceserve.inference.admission import Admission
from faceserve.protocols.bodies import unpacked

MOST = 1 << 20
PACKED = {"gzip": gzip.compress, "deflate": zlib.compress}


def read(body, encoding):
    with Admission(1).arriving() as held:
        return unpacked(body, encoding, held, MOST)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_every_member_of_a_gzip_is_read(members):
    assert read(b"".join(map(gzip.compress, members)), "gzip") == b"".join(members)


@given(st.binary(max_size=50), st.sampled_from(sorted(PACKED)), st.binary(min_size=1, max_size=20))
def test_what_comes_after_the_end_is_never_dropped_silently(said, encoding, more):
    with pytest.raises(BadRequest):
        read(PACKED[encoding](said) + b"?" + more, encoding)


@given(st.binary(max_size=50), st.sampled_from(sorted(PACKED)), st.data())
def test_a_body_that_ends_too_early_is_refused(said, encoding, data):
    whole = PACKED[encoding](said)
    with pytest.raises(BadRequest):
        read(whole[: data.draw(st.integers(0, len(whole) - 1))], encoding)


def test_several_members_together_are_no_larger_than_a_message_may_be():
    half = gzip.compress(bytes(MOST // 2))
    assert len(read(half * 2, "gzip")) == MOST
    with pytest.raises(BadRequest, match="when it is unpacked"):
        read(half * 2 + gzip.compress(b"a"), "gzip")
