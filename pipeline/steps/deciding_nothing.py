"""Steps that decide nothing: what they find out is worth having, and never worth a run."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from pipeline.domain.errors import GiveUp, TryAgain

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def deciding_nothing(what: str, *, otherwise: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Whatever such a step meets, the one that it comes with goes on: the log says of `what` nobody knows, and
    `otherwise` is the answer.
    """

    def of_step(step: Callable[P, T]) -> Callable[P, T]:
        @wraps(step)
        def tried(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return step(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - also a fault of ours must not repeat a whole verification
                expected = isinstance(error, (GiveUp, TryAgain))
                log.warning("%s is not known: %s", what, error, exc_info=None if expected else error)
                return otherwise

        return tried

    return of_step
