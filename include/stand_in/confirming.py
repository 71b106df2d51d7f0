"""A person's word on what a model said, and the event that tells of it (specification §2.1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol


class Contradiction(Exception):
    """The request contradicts what is known; the text says how."""


@dataclass(frozen=True)
class Confirmation:
    """`final_result` is the person's word about a task whose verdict was `ai_result`."""

    final_result: str
    ai_result: str
    corrected: bool
    correction_reason: str | None


class About(Protocol):
    """What the word is about; `helper_id` is who brought the photo."""

    @property
    def task_id(self) -> str: ...

    @property
    def helper_id(self) -> str: ...

    @property
    def photo_url(self) -> str: ...

    @property
    def model_version(self) -> str | None: ...


def confirmed_event(about: About, said: Confirmation, at: datetime) -> dict[str, Any]:
    """The specification's fields of `TaskConfirmedEvent`."""
    return {
        "eventType": "TaskConfirmedEvent",
        "taskId": about.task_id,
        "helperId": about.helper_id,
        "finalResult": said.final_result,
        "aiResult": said.ai_result,
        "corrected": said.corrected,
        "correctionReason": said.correction_reason,
        "photoUrl": about.photo_url,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "modelVersion": about.model_version,
    }


def later_than(before: datetime | None, now: datetime) -> datetime:
    """A time after the earlier word's, whatever the clock did in between: the last word has to have the latest time."""
    return now if before is None or now > before else before + timedelta(microseconds=1)
