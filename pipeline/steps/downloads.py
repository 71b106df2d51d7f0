"""Many small transfers at once: each photo is a request of its own, which mostly waits for the network."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")


def several_at_once(transfer: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`transfer` of each item, in order; only as many results as are under way are in memory.

    Raises what `transfer` raised, at its item.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ahead: deque[Future[R]] = deque()
        for item in items:
            ahead.append(pool.submit(transfer, item))
            if len(ahead) >= AT_ONCE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
