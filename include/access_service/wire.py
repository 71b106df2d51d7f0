"""What the access service's HTTP interface takes and gives."""

from typing import Annotated, Literal, Self

from fastapi import Path
from pydantic import BeforeValidator

from include.access_service.checks import Check
from include.contract.identity import can_be_enrolled, canonical
from include.stand_in.wire import Id, Name, PhotoUrl, Reason, Wire


def _one_form(name: object) -> object:
    """The canonical name: the same letters typed in several ways are one person."""
    if not isinstance(name, str):
        return name
    if name != name.strip() or not can_be_enrolled(found := canonical(name)):
        raise ValueError("use letters, digits and . _ @ -, 100 at most")
    return found


# As faceserve's gallery takes them.
Identity = Annotated[str, BeforeValidator(_one_form)]
IdentityInPath = Annotated[Identity, Path()]


class Enrolment(Wire):
    photo_url: PhotoUrl


class EnrolledView(Wire):
    """`enrolled` is how many people there are now."""

    identity: str
    enrolled: int


class NewCheck(Wire):
    """With `claimedIdentity` the question is whether the photo shows that person, without it whom it shows."""

    check_id: Id
    door_id: Id
    photo_url: PhotoUrl
    claimed_identity: Identity | None = None
    branch_id: Name | None = None


class ConfirmRequest(Wire):
    """Whether the photo shows the check's `identity`, as a person says who looked at it.

    `shownIdentity` is who it really was, if that is somebody who is enrolled.
    """

    final_result: Literal["same", "different"]
    shown_identity: Identity | None = None
    reviewer_id: Name
    correction_reason: Reason | None = None


class CheckView(Wire):
    """`accepted` opens the door. `threshold` is that of the version which answered: nobody keeps it."""

    check_id: str
    accepted: bool
    identity: str | None
    claimed_identity: str | None
    score: float | None
    threshold: float
    ai_result: str
    model_version: str
    final_result: str | None
    corrected: bool | None
    shown_identity: str | None

    @classmethod
    def of(cls, check: Check) -> Self:
        shown = {name: value for name, value in vars(check).items() if name in cls.model_fields}
        return cls(accepted=check.ai_result == "same", **shown)
