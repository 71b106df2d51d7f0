"""Look at many photos: a photo that storage fails on does not stop the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

from pipeline.domain.errors import ServiceUnavailable
from pipeline.steps.downloads import several_at_once

# So many photos may fail while storage works; more of them count as an outage.
_MAX_FAILING = 3

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Looking(Generic[T, R]):
    """How one photo is looked at, and what is made of one that is `set_aside` with a reason.

    `reads` asks storage for another one, and says whether it gave it out: False of a photo that says nothing about
    that, else it raises `ServiceUnavailable`.
    """

    look: Callable[[T], R]
    set_aside: Callable[[T, str], R]
    reads: Callable[[T], bool]


def looked_at(items: Sequence[T], looking: Looking[T, R], beside: Iterable[T] = ()) -> Iterator[R]:
    """Of each item, in order; only those being looked at are in memory. Raises `ServiceUnavailable` when storage is
    away, not when it only fails on a few.

    `beside` are further ones that storage can be asked for, to tell the two apart.
    """
    failing = 0
    for at, seen in enumerate(several_at_once(lambda item: _tried(item, looking), items)):
        if isinstance(seen, ServiceUnavailable):
            if (failing := failing + 1) > _MAX_FAILING:
                raise seen
            # Far from this photo: its neighbours may have the same fault.
            yield _by_itself(items[at], chain(reversed(items[at + 1 :]), items[:at], beside), looking)
        else:
            yield seen


def _tried(item: T, looking: Looking[T, R]) -> R | ServiceUnavailable:
    try:
        return looking.look(item)
    except ServiceUnavailable as error:
        return error


def _by_itself(item: T, others: Iterable[T], looking: Looking[T, R]) -> R:
    """Tried once more, and set aside if storage fails on this photo while it delivers another one."""
    try:
        return looking.look(item)
    except ServiceUnavailable as error:
        if not _gives_one_of(others, looking):
            raise
        return looking.set_aside(item, f"{error}, for this photo alone")


def _gives_one_of(others: Iterable[T], looking: Looking[T, R]) -> bool:
    failing = 0
    for other in others:
        try:
            if looking.reads(other):
                return True
        except ServiceUnavailable:
            if (failing := failing + 1) > _MAX_FAILING:
                break
    return False
