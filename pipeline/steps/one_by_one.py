"""Look at many photos: what storage fails on by itself costs no other photo its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.domain.errors import ServiceUnavailable
from pipeline.steps.downloads import several_at_once

# Photos that storage may fail on by themselves; more of them are an outage.
_MAX_FAILING = 3

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Looking(Generic[T, R]):
    """How one photo is looked at, and what is made of one that is `set_aside` with a reason.

    `reads` says whether storage gives out another one: None of a photo that says nothing about that, else it raises
    `ServiceUnavailable` when storage is away.
    """

    look: Callable[[T], R]
    set_aside: Callable[[T, str], R]
    reads: Callable[[T, R], Callable[[], object] | None]


def looked_at(items: Sequence[T], looking: Looking[T, R]) -> list[R]:
    """Of each item, in order. Raises `ServiceUnavailable` when storage is away, not when it only fails on a few."""
    found: dict[int, R] = {}
    failing = 0
    for at, seen in enumerate(several_at_once(lambda item: _tried(item, looking), items)):
        if not isinstance(seen, ServiceUnavailable):
            found[at] = seen
        elif (failing := failing + 1) > _MAX_FAILING:
            raise seen
    others = [reads for at, seen in found.items() if (reads := looking.reads(items[at], seen)) is not None]
    return [found[at] if at in found else _by_itself(item, others, looking) for at, item in enumerate(items)]


def _tried(item: T, looking: Looking[T, R]) -> R | ServiceUnavailable:
    try:
        return looking.look(item)
    except ServiceUnavailable as error:
        return error


def _by_itself(item: T, others: Sequence[Callable[[], object]], looking: Looking[T, R]) -> R:
    """Once more, and set aside if storage fails on this photo while it gives out another one."""
    try:
        return looking.look(item)
    except ServiceUnavailable as error:
        if not others:
            raise
        others[0]()
        return looking.set_aside(item, f"{error}, for this photo alone")
