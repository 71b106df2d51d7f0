"""Lack of memory, however the library says it that asked for some."""

import errno
from collections.abc import Iterator

from pipeline.domain.errors import GiveUp, TryAgain

# Several libraries allocate, and few raise `MemoryError`: OpenVINO and Python's threads raise plain `RuntimeError`s,
# TensorFlow one class on processors and another on GPUs (tensorflow#7025: "Dst tensor is not initialized"). A thread
# does not start where there is no room for its stack.
_SENTENCES = (
    "can't alloc",
    "cannot allocate",
    "could not allocate",
    "failed to allocate",
    "unable to allocate",
    "bad_alloc",
    "out of memory",
    "out_of_memory",
    "oom when allocating",
    "dst tensor is not initialized",
    "pthread_create has failed",
    "can't start new thread",
)


def lacked(error: BaseException) -> bool:
    """Whether `error`, or one that it came from, says that there was not enough memory here."""
    return any(_says_so(one) for one in _origins(error))


def _says_so(error: BaseException) -> bool:
    # By its name: whoever has not loaded TensorFlow has none of its errors.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    # A library's own OSError has its number in the sentence.
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    said = str(error).lower()
    return any(sentence in said for sentence in _SENTENCES)


def _origins(error: BaseException) -> Iterator[BaseException]:
    """Up to one of ours: what is behind it may be of another machine, such as a database without memory."""
    following: BaseException | None = error
    while following is not None and not isinstance(following, GiveUp | TryAgain):
        yield following
        following = following.__cause__ or following.__context__
