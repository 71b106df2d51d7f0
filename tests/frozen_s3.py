"""S3 as its client shows it where Glacier thaws for hours: the S3 of the tests hands everything out at once."""

import io
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class FrozenS3:
    thaws_in_hours: float
    hours: float = 0.0
    _bodies: dict[str, bytes] = field(default_factory=dict)
    _classes: dict[str, str] = field(default_factory=dict)
    # From when until when a frozen object can be read, in hours.
    _readable: dict[str, tuple[float, float]] = field(default_factory=dict)

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - named by S3, as all below
        self._bodies[Key], self._classes[Key] = Body, "STANDARD"

    def copy_object(self, Bucket: str, Key: str, CopySource: Any, StorageClass: str) -> None:  # noqa: N803
        self._classes[Key] = StorageClass

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"ContentLength": len(self._bodies[Key]), "StorageClass": self._classes[Key]}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if Key not in self._bodies:
            raise _error("NoSuchKey", "GetObject")
        begin, end = self._readable.get(Key, (0.0, 0.0))
        if self._classes[Key] == "GLACIER" and not begin <= self.hours < end:
            raise _error("InvalidObjectState", "GetObject")
        return {"Body": io.BytesIO(self._bodies[Key])}

    def restore_object(self, Bucket: str, Key: str, RestoreRequest: dict[str, Any]) -> None:  # noqa: N803
        if self.hours < self._readable.get(Key, (0.0, 0.0))[0]:
            raise _error("RestoreAlreadyInProgress", "RestoreObject")
        begin = self.hours + self.thaws_in_hours
        self._readable[Key] = (begin, begin + 24 * RestoreRequest["Days"])


def _error(code: str, call: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, call)
