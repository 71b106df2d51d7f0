"""What components ask of S3, judged by the policies of their keys, as a server would that obeys them.

The S3 of the tests obeys none. Whose client it is, is seen when it is made: by the code that makes it.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import CodeType, FrameType
from typing import Any

import botocore.client

from include.stack.layout import REPOSITORY
from include.stack.object_rights import policy

# The pipeline has three keys: whoever receives the log is known by that function, a training by its folder.
_RECEIVES, _LEARNS = "receive_log", "pipeline/learning/"
# The access service's policy is the Helper service's, and so is its code.
_OF_FOLDERS = {"faceserve/": "faceserve", "include/stand_in/": "helper", "pipeline/": "airflow"}
_NEEDED = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "RestoreObject": "s3:RestoreObject",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
}


def may(component: str, action: str, place: str) -> bool:
    """As S3 decides: some statement allows it, and none says otherwise. `place` is a bucket, or `bucket/key`."""
    statements: Any = policy(component, {})["Statement"]
    return any(
        action in one["Action"] and any(fnmatchcase(f"arn:aws:s3:::{place}", named) for named in one["Resource"])
        for one in statements
    )


@dataclass
class Judge:
    """`asked` are component, action and place of every call, `refused` those that its policy forbids."""

    asked: set[tuple[str, str, str]] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, component: str, operation: str, said: Mapping[str, Any]) -> None:
        with self._lock:
            for action, place in needed(operation, said):
                self.asked.add((component, action, place))
                if not may(component, action, place):
                    self.refused.append(f"{component}: {action} {place}")

    def components(self) -> set[str]:
        return {component for component, _, _ in self.asked}


def needed(operation: str, said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Actions and places that a call of boto3 takes. A call that this does not know is one to think about."""
    bucket = said["Bucket"]
    if operation == "DeleteObjects":
        return [("s3:DeleteObject", f"{bucket}/{one['Key']}") for one in said["Delete"]["Objects"]]
    if operation == "CopyObject":
        source = said["CopySource"]
        found = f"{source['Bucket']}/{source['Key']}" if isinstance(source, Mapping) else source
        return [("s3:GetObject", found), ("s3:PutObject", f"{bucket}/{said['Key']}")]
    action = _NEEDED[operation]
    return [(action, bucket if action == "s3:ListBucket" else f"{bucket}/{said['Key']}")]


def _component() -> str | None:
    """Whose code makes a client just now; None for a test's own."""
    codes = list(_codes(sys._getframe(2)))
    paths = [code.co_filename.removeprefix(f"{REPOSITORY}/") for code in codes]
    if _RECEIVES in {code.co_name for code in codes}:
        return "log-receiver"
    if any(path.startswith(_LEARNS) for path in paths):
        return "retraining"
    return next((name for path in paths for folder, name in _OF_FOLDERS.items() if path.startswith(folder)), None)


def _codes(frame: FrameType | None) -> Iterator[CodeType]:
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


@contextmanager
def judging() -> Iterator[Judge]:
    """Of every client that is made inside, each call is judged; at the end nothing may have been refused."""
    judge = Judge()
    made, call = botocore.client.BaseClient.__init__, botocore.client.BaseClient._make_api_call

    def init(self: Any, *given: Any, **named: Any) -> None:
        made(self, *given, **named)
        self._judged_as = _component() if self.meta.service_model.service_name == "s3" else None

    def asked(self: Any, operation: str, said: Mapping[str, Any]) -> Any:
        if component := getattr(self, "_judged_as", None):
            judge.judge(component, operation, said)
        return call(self, operation, said)

    botocore.client.BaseClient.__init__ = init
    botocore.client.BaseClient._make_api_call = asked
    try:
        yield judge
    finally:
        botocore.client.BaseClient.__init__ = made
        botocore.client.BaseClient._make_api_call = call
