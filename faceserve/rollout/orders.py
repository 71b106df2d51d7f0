"""Every change has a name, so that asking again for the same one does nothing."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from faceserve.errors import BadRequest, NameTaken

ANY_EPOCH = -1
# Names remembered of each model: far more than can be on their way at once.
REMEMBERED = 32
# Lengths are limited because names are kept, in memory and on disk, with what was asked for under them.
_LONGEST_NAME, _LONGEST_ASKED = 1000, 300


@dataclass(frozen=True)
class Order:
    """`request` is the name that the caller gave this change; empty: none, then only its effect tells a repeat.

    `expected_epoch` is what the caller saw, `wanted` whether it still waits for the answer, `asked` what for.
    Raises `BadRequest`.
    """

    request: str = ""
    expected_epoch: int = ANY_EPOCH
    wanted: Callable[[], bool] = lambda: True
    asked: str = ""

    def __post_init__(self) -> None:
        if len(self.request) > _LONGEST_NAME:
            raise BadRequest(f"a change's name has at most {_LONGEST_NAME} characters, not {len(self.request)}")

    def to(self, act: str, *about: object) -> "Order":
        """The order to do this; the same act about something else is another change."""
        asked = f"{act} {', '.join(map(repr, about))}"
        if len(asked) > _LONGEST_ASKED:
            asked = f"{asked[:_LONGEST_ASKED]}… {hashlib.sha256(asked.encode('utf-8', 'replace')).hexdigest()}"
        return replace(self, asked=asked)


@dataclass(frozen=True)
class Done:
    """What the change of that name led to, when it was made; `asked` is empty where an earlier program noted it."""

    request: str
    version: str
    previous: str
    epoch: int
    asked: str = ""


def made_before(done: Iterable[Done], order: Order) -> Done | None:
    """What of `done` is this very order. Raises `NameTaken` if its name is used for another change."""
    found = next((one for one in done if one.request == order.request), None) if order.request else None
    if found and found.asked and found.asked != order.asked:
        raise NameTaken(
            f"request_id {order.request[:40]!r} names another change, to {found.asked}, which was made: nothing was "
            f"done to {order.asked}, which needs a name of its own"
        )
    return found
