"""Tensors of the Open Inference Protocol become images, or a sentence that says why not."""

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as oip

from faceserve.errors import BadRequest
from faceserve.protocols.json_tensors import as_json
from faceserve.protocols.tensors import images_of

IMAGES = np.random.default_rng(3).integers(0, 256, (2, 224, 224, 3), np.uint8)


def typed(numbers, shape=IMAGES.shape):
    request = oip.ModelInferRequest(model_name="laundry")
    tensor = request.inputs.add(name="images", datatype="UINT8", shape=shape)
    tensor.contents.uint_contents.extend(numbers)
    return request


def test_numbers_one_by_one_are_the_same_images_as_raw_bytes():
    raw = oip.ModelInferRequest(model_name="laundry")
    raw.inputs.add(name="images", datatype="UINT8", shape=IMAGES.shape)
    raw.raw_input_contents.append(IMAGES.tobytes())
    assert (images_of(typed(IMAGES.ravel().tolist())) == images_of(raw)).all()


@pytest.mark.parametrize("at", [0, 65_535, 65_536, IMAGES.size - 1])
def test_a_number_that_is_no_byte_is_refused_wherever_it_stands(at):
    numbers = IMAGES.ravel().tolist()
    numbers[at] = 256
    with pytest.raises(BadRequest, match="no UINT8"):
        images_of(typed(numbers))


@pytest.mark.parametrize("count", [0, 1, IMAGES.size - 1, IMAGES.size + 1])
def test_too_many_numbers_or_too_few_are_counted_and_not_looked_at(count):
    with pytest.raises(BadRequest, match=f"has {count} bytes, its shape needs {IMAGES.size}"):
        images_of(typed([999] * count))


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have_is_never_written(odd):
    """Many would read `NaN` as an error of the connection, and some as 0."""
    with pytest.raises(ValueError, match="JSON compliant"):
        as_json({"data": [0.5, odd]})
