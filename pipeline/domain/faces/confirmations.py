"""What a person says about a check at a door: it comes as a `TaskConfirmedEvent` of model type FACE (UC-23).

Such a word is a type of its own with a table of its own, so that nothing about laundry counts it. Names are not kept
here: people are counted and forgotten by a hash of theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.contract.identification import NOBODY
from pipeline.domain.event_bounds import InvalidEvent
from pipeline.domain.events import TaskConfirmedEvent, decoded, task_confirmed
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.identities import identity_of
from pipeline.domain.models import ModelType

SAME, DIFFERENT = "same", "different"
# A cosine of 1 may exceed it by rounding.
_LARGEST_COSINE = 1.001
_LONGEST_NAME = 100
_OF_FACES = ("modelType", "identity", "claimedIdentity", "shownIdentity", "score", "threshold")


@dataclass(frozen=True, slots=True)
class FaceConfirmation:
    """`ai_result` is `same` when the door opened for `person`, `final_result` whether the photo really shows them.

    `claimed` says that the person was asked for (1:1), else they were found among all (1:N). `shown` is whom the photo
    shows instead, where somebody said so. `score` and `threshold` are cosines. The rest is as in `TaskConfirmedEvent`.
    """

    key: str
    check_id: str
    door_id: str
    person: str
    claimed: bool
    ai_result: str
    final_result: str
    correction_reason: str | None
    photo_url: str
    confirmed_at: datetime
    model_version: str
    score: float
    threshold: float
    shown: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def people(self) -> tuple[str, ...]:
        """The people about whom this says anything."""
        return (self.person,) if self.shown is None else (self.person, self.shown)


def parse_confirmation(
    body: bytes, *, now: datetime, photo_buckets: frozenset[str]
) -> TaskConfirmedEvent | FaceConfirmation:
    """Read one broker message, whatever model it is about. Raises `InvalidEvent` as `parse_task_confirmed`."""
    fields = decoded(body)
    if fields.get("modelType") != ModelType.FACE:
        return task_confirmed(fields, now=now, photo_buckets=photo_buckets)
    return _of_a_face(
        task_confirmed(fields, now=now, photo_buckets=photo_buckets, of=ModelType.FACE, labels=(SAME, DIFFERENT))
    )


def _of_a_face(said: TaskConfirmedEvent) -> FaceConfirmation:
    if not said.model_version:
        raise InvalidEvent("field modelVersion is missing: which model was right or wrong?")
    identity = _identity(said.extra, "identity")
    claimed = said.extra.get("claimedIdentity") is not None
    if claimed and _identity(said.extra, "claimedIdentity") != identity:
        raise InvalidEvent("claimedIdentity is another person than identity, whom the answer is about")
    # A model names nobody where more people are enrolled than it was made for.
    score, threshold = _cosine(said.extra, "score"), _cosine(said.extra, "threshold", NOBODY)
    if (score >= threshold) != (said.ai_result == SAME):
        raise InvalidEvent(f"aiResult is {said.ai_result} but score {score} and threshold {threshold} say otherwise")
    return FaceConfirmation(
        key=said.key,
        check_id=said.task_id,
        door_id=said.helper_id,
        person=person_key(identity),
        claimed=claimed,
        ai_result=said.ai_result,
        final_result=said.final_result,
        correction_reason=said.correction_reason,
        photo_url=said.photo_url,
        confirmed_at=said.confirmed_at,
        model_version=said.model_version,
        score=score,
        threshold=threshold,
        shown=_shown(said, identity),
        extra={name: value for name, value in said.extra.items() if name not in _OF_FACES},
    )


def _shown(said: TaskConfirmedEvent, identity: str) -> str | None:
    """Who it really was; None where nobody said so, or where it was the person in question."""
    if said.extra.get("shownIdentity") is None:
        return None
    shown = _identity(said.extra, "shownIdentity")
    if (shown == identity) != (said.final_result == SAME):
        raise InvalidEvent(f"finalResult is {said.final_result} but shownIdentity says otherwise")
    return None if shown == identity else person_key(shown)


def _identity(extra: Mapping[str, Any], name: str) -> str:
    value = extra.get(name)
    if not isinstance(value, str):
        raise InvalidEvent(f"field {name} is {'missing' if name not in extra else type(value).__name__}, expected str")
    try:
        identity = identity_of(value)
    except ValueError:
        raise InvalidEvent(f"field {name} names nobody") from None
    if len(identity) > _LONGEST_NAME:
        raise InvalidEvent(f"field {name} has {len(identity)} characters, 1 to {_LONGEST_NAME} are allowed")
    return identity


def _cosine(extra: Mapping[str, Any], name: str, beside: float = 1.0) -> float:
    value = extra.get(name)
    is_truth = isinstance(value, bool)
    if not is_truth and isinstance(value, int | float) and (value == beside or abs(value) <= _LARGEST_COSINE):
        return float(value)
    raise InvalidEvent(f"field {name} is {str(value)[:40]!r}, expected a cosine from -1 to 1")
