"""How models of each type are watched once they serve. This does not depend on whether a type is complete: models made
in another way may serve, too, and have to be taken down when they are bad.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline.bootstrap.kinds import KINDS, Kinds, complete, refusal
from pipeline.bootstrap.kinds.kind import ModelKind
from pipeline.bootstrap.live_answers import of_watched, of_watched_faces
from pipeline.bootstrap.live_wiring import LiveWiring
from pipeline.domain.errors import GiveUp
from pipeline.domain.live_accuracy import Period, RollbackDecision
from pipeline.domain.models import ModelType
from pipeline.ports.clock import Clock
from pipeline.steps.faces.watch import watch_faces
from pipeline.steps.recognise import recognise
from pipeline.steps.watch import watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """One look: what is said of it, what was decided, and what somebody has to mend whatever was seen."""

    said: dict[str, Any]
    decision: RollbackDecision
    to_mend: str | None


class Watch(Protocol):
    def look(self) -> Seen | None:
        """None while nothing serves."""

    def prepare(self) -> None:
        """What the next look needs, when nobody waits for it."""


class OfVerdicts:
    """By the share of verdicts that people left as they were."""

    def __init__(self, live: LiveWiring, kind: ModelKind, model_type: ModelType, clock: Clock) -> None:
        self._live, self._kind, self._type, self._clock = live, kind, model_type, clock

    def look(self) -> Seen | None:
        seen = watch(self._live.monitoring(self._kind), self._type, self._kind.live)
        return Seen(of_watched(seen), seen.decision, seen.to_mend) if seen else None

    def prepare(self) -> None:
        recognise_copies(self._live, self._kind, self._clock)


class OfFaces:
    """By how many people are refused wrongly, and how many are let in wrongly."""

    def __init__(self, live: LiveWiring) -> None:
        self._live = live

    def look(self) -> Seen | None:
        seen = watch_faces(self._live.face_monitoring, self._live.face_watch)
        return Seen(of_watched_faces(seen), seen.decision, seen.to_mend) if seen else None

    def prepare(self) -> None:
        """Nothing: checks are counted by person, so copies of a photo need not be found."""


# Answers about faces are confirmed at doors, in another form, whoever makes the models.
_OWN: dict[ModelType, Callable[[LiveWiring], Watch]] = {ModelType.FACE: OfFaces}


def watched_types() -> tuple[str, ...]:
    """Names of the types whose models are watched, complete ones first."""
    return (*map(str, KINDS), *(str(one) for one in _OWN if one not in KINDS))


def watched(model_type: str) -> ModelType:
    """Raises `GiveUp` for a type whose models nobody watches."""
    if model_type not in watched_types():
        raise GiveUp(refusal(model_type))
    return ModelType(model_type)


def watch_of(model_type: str, live: LiveWiring, kinds: Kinds, clock: Clock) -> Watch:
    """Raises `GiveUp` as `watched`."""
    own = _OWN.get(watched(model_type))
    return own(live) if own else OfVerdicts(live, kinds.of(model_type), complete(model_type), clock)


def recognise_copies(live: LiveWiring, kind: ModelKind, clock: Clock) -> None:
    """Looks at everything that counts by the next look: immature confirmations, too."""
    now, ends = clock.now(), time.monotonic() + kind.live.recognise_seconds
    done = recognise(live.recognition, Period(kind.live.window(now).since, now), lambda: time.monotonic() < ends)
    if done.problem or done.waiting:
        why = done.problem or "there was no more time (RETRAIN_LIVE_RECOGNISE_SECONDS)"
        log.warning("copies of one photo may count more than once, %d photos wait: %s", done.waiting, why)
