"""Steps that decide nothing: what they find out is worth having, and never worth a run."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from pipeline.domain.errors import GiveUp, TryAgain

log = logging.getLogger(__name__)

P = ParamSpec("P")


def deciding_nothing(what: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Whatever such a step meets, the one that it comes with goes on, and the log says of `what` nobody knows."""

    def of_step(step: Callable[P, None]) -> Callable[P, None]:
        @wraps(step)
        def tried(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                step(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - also a fault of ours must not repeat a whole verification
                expected = isinstance(error, (GiveUp, TryAgain))
                log.warning("%s is not known: %s", what, error, exc_info=None if expected else error)

        return tried

    return of_step
