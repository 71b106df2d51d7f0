"""What counts as a lack of memory, by what the libraries that allocate really say."""

import errno
import os

import pytest

from pipeline.domain.errors import ServiceUnavailable
from pipeline.learning.memory import lacked


class ResourceExhaustedError(Exception):
    """As TensorFlow calls its own."""


class InternalError(Exception):
    """As TensorFlow calls one of a GPU."""


_OPENVINO = "Check 'false' failed at src/frontends/common/src/frontend.cpp:53:\nConverting input model\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor with shape[64,112,112,32]"),
        InternalError("Dst tensor is not initialized."),
        RuntimeError(f"{_OPENVINO}pthread_create has failed: Resource temporarily unavailable"),
        RuntimeError("Exception from src/core/src/runtime/allocator.cpp:79:\nstd::bad_alloc"),
        RuntimeError("can't alloc"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        OSError("Unable to create file (errno = 12, error message = 'Cannot allocate memory')"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:60],
)
def test_a_lack_of_memory_is_known_by_whatever_library_ran_into_it_also_when_another_error_was_made_of_it(error):
    assert lacked(error)
    wrapped = ValueError("a layer could not be called")
    wrapped.__cause__ = error
    assert lacked(wrapped)
    while_handling = ValueError("a layer could not be called")
    while_handling.__context__ = error
    assert lacked(while_handling)


def test_other_errors_are_none_and_another_machines_memory_is_not_ours():
    assert not lacked(RuntimeError("the channel dimension of the input is wrong"))
    assert not lacked(OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
    away = ServiceUnavailable("the mlops database", "out of memory")
    away.__cause__ = RuntimeError("out of memory")
    assert not lacked(away)
