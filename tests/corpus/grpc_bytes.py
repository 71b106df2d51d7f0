"""Bytes of gRPC messages, each with the method it is for, the status it ends with, and what the detail must say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2 as oip

from include.contract import faceserve_pb2 as pb
from tests.tiny_model import grey_photo

PHOTO = grey_photo(20)
_INFERENCE, _LIFECYCLE, _OPEN = "faceserve.v1.Inference", "faceserve.v1.Lifecycle", "inference.GRPCInferenceService"
_BAD, _UNKNOWN, _STALE, _NOT_OFFERED = "INVALID_ARGUMENT", "NOT_FOUND", "ABORTED", "UNIMPLEMENTED"
_FORBIDDEN, _REFUSED, _FULL = "PERMISSION_DENIED", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"
_NO_MESSAGE = "no message of this call"


@dataclass(frozen=True)
class Call:
    """`because` is in the detail; `status` None: it is answered."""

    method: str
    body: bytes
    status: str | None = None
    because: str = ""


def _classify(**fields: Any) -> bytes:
    return bytes(pb.ClassifyRequest(**{"model": "laundry", "image": PHOTO, **fields}).SerializeToString())


def _infer(tensor: dict[str, Any] | None = None, raw: tuple[bytes, ...] = (), **fields: Any) -> bytes:
    request = oip.ModelInferRequest(model_name="laundry", **fields)
    if tensor is not None:
        made = request.inputs.add(**{"name": "photos", "datatype": "BYTES", "shape": [1], **tensor})
        if not raw:
            made.contents.bytes_contents.append(PHOTO)
    request.raw_input_contents.extend(raw)
    return bytes(request.SerializeToString())


def _measured(photo: bytes) -> bytes:
    return len(photo).to_bytes(4, "little") + photo


_NO_MESSAGES = {
    "noise": b"\xff" * 40,
    "a text": b"GET / HTTP/1.1\r\n\r\n",
    "JSON": b'{"model": "laundry"}',
    "half a message": _classify()[:-100],
    "a field of no number": b"\x00\x01",
    "a field of the largest number and no more": b"\xf8\xff\xff\xff\x0f",
    "a length beyond all bytes": b"\x12\xff\xff\xff\xff\x0f",
    "a length of eleven bytes": b"\x12" + b"\xff" * 10 + b"\x01",
    "a name in Latin letters of one byte": b"\x0a\x04caf\xe9",
    "a name of half a surrogate pair": b"\x0a\x03\xed\xa0\x80",
    "a group that nobody ends": b"\x0b" * 10,
    "an end of no group": b"\x0c",
}
_CLASSIFYING = {
    "no model": (_classify(model=""), _UNKNOWN, "no model ''"),
    "a model in capitals": (_classify(model="LAUNDRY"), _UNKNOWN, "no model 'LAUNDRY'"),
    "a model a way out": (_classify(model="../laundry"), _UNKNOWN, "no model '../laundry'"),
    "a model with a NUL": (_classify(model="laundry\0"), _UNKNOWN, "no model 'laundry\\x00'"),
    "a model of a million": (_classify(model="m" * 1_000_000), _UNKNOWN, "no model 'mmm"),
    "a version that is not there": (_classify(version="v9.9.9"), _UNKNOWN, "'v9.9.9' is not loaded"),
    "a version of a million": (_classify(version="v" * 1_000_000), _UNKNOWN, "is not loaded"),
    "no photo": (_classify(image=b""), _BAD, "photo is empty"),
    "neither photo nor place": (pb.ClassifyRequest(model="laundry").SerializeToString(), _BAD, "photo is empty"),
    "a photo that is none": (_classify(image=b"<svg/>"), _BAD, "no readable JPEG"),
    "a place of the web": (_classify(uri="http://169.254.169.254/"), _BAD, "not in an allowed bucket"),
    "a place on the disk": (_classify(uri="file:///etc/passwd"), _BAD, "not in an allowed bucket"),
    "a place of secrets": (_classify(uri="s3://models/laundry"), _BAD, "not in an allowed bucket"),
    "a place a way out": (_classify(uri="s3://tasks/../models/a"), _BAD, "not in an allowed bucket"),
    "no place": (_classify(uri=""), _BAD, "not in an allowed bucket"),
    "a bucket and no more": (_classify(uri="s3://tasks/"), _BAD, "not in an allowed bucket"),
    "a place with a NUL": (_classify(uri="s3://tasks/a\0"), _BAD, "no key that S3 could have"),
    "a place too long": (_classify(uri="s3://tasks/" + "a" * 1025), _BAD, "no key that S3 could have"),
    "a place where nothing is": (_classify(uri="s3://tasks/nothing"), _BAD, "no photo at s3://tasks/nothing"),
    "more parts than there may be": (_classify() + b"\x22\x00" * 5000, _BAD, "more than 4096 parts"),
    "a message too large": (_classify(image=bytes(35 << 20)), _FULL, "larger than max"),
    "an odd task": (_classify(task_id="\0\r\n🧺" * 1000), None, ""),
    "with fields of a release to come": (_classify() + b"\xfa\x3f\x03new", None, ""),
    "a photo twice, the last one counts": (b"\x12\x01x" + _classify(), None, ""),
}
_INFERRING = {
    "nothing": (_infer(), _BAD, "0 inputs given"),
    "an unknown input": (_infer({"name": "input_1"}), _BAD, "unknown input 'input_1'"),
    "another datatype": (_infer({"datatype": "FP32"}), _BAD, "BYTES is needed"),
    "no shape": (_infer({"shape": []}), _BAD, "[N] is needed"),
    "a batch of less": (_infer({"shape": [-1]}), _BAD, "a batch of -1 images"),
    "a batch beyond memory": (_infer({"shape": [2**62]}), _BAD, "1 to 64 are allowed"),
    "more than its shape says": (_infer({"shape": [2]}), _BAD, "holds 1 photos, its shape says 2"),
    "raw contents for nothing": (_infer(raw=(b"a",)), _BAD, "0 inputs given"),
    "raw contents twice": (_infer({}, raw=(_measured(PHOTO),) * 2), _BAD, "2 raw contents given for one input"),
    "raw contents cut short": (_infer({}, raw=(_measured(PHOTO)[:-1],)), _BAD, "in the middle of one of its values"),
    "raw contents of a length alone": (_infer({}, raw=(b"\xff\xff\xff\xff",)), _BAD, "in the middle of one"),
    "raw contents of 65 photos": (_infer({}, raw=(_measured(b"") * 65,)), _BAD, "more than 64 photos"),
    "images of another size": (
        _infer({"name": "images", "datatype": "UINT8", "shape": [1, 64, 64, 3]}, raw=(b"",)),
        _BAD,
        "[N, 224, 224, 3] is needed",
    ),
    "images of fewer bytes": (
        _infer({"name": "images", "datatype": "UINT8", "shape": [1, 224, 224, 3]}, raw=(b"a",)),
        _BAD,
        "has 1 bytes, its shape needs 150528",
    ),
    "raw photos": (_infer({}, raw=(_measured(PHOTO),)), None, ""),
    "an odd id": (_infer({}, id="\0\r\n" * 1000), None, ""),
}
_CHANGING: dict[str, tuple[str, Any, str, str]] = {
    "a version of no name": ("Prepare", pb.PrepareRequest(model="laundry"), _BAD, "1 to 200 characters, not 0"),
    "a version of 201": ("Prepare", pb.PrepareRequest(model="laundry", version="v" * 201), _BAD, "not 201"),
    "an artifact of no place": (
        "Prepare",
        pb.PrepareRequest(model="laundry", version="v7.0.0", manifest_sha256="a" * 64),
        _REFUSED,
        "manifest.json is missing",
    ),
    "a hash that is none": (
        "Prepare",
        pb.PrepareRequest(model="laundry", version="v7.0.0", artifact_uri="s3://models/a/", manifest_sha256="../.."),
        _REFUSED,
        "not a sha256",
    ),
    "an artifact too far": (
        "UpdateModel",
        pb.PrepareRequest(model="laundry", version="v7.0.0", artifact_uri="s3://models/" + "a" * 2000),
        _BAD,
        "at most 2000 characters",
    ),
    "a version that nobody prepared": (
        "Activate",
        pb.ActivateRequest(model="laundry", version="v7.0.0", expected_epoch=-1),
        _UNKNOWN,
        "v7.0.0 is not prepared",
    ),
    "an epoch to come": (
        "Activate",
        pb.ActivateRequest(model="laundry", version="v7.0.0", expected_epoch=2**62),
        _STALE,
        "was expected",
    ),
    "an epoch before all": (
        "Activate",
        pb.ActivateRequest(model="laundry", version="v7.0.0", expected_epoch=-(2**62)),
        _STALE,
        "was expected",
    ),
    "a change of a long name": (
        "Activate",
        pb.ActivateRequest(model="laundry", version="v1.0.0", expected_epoch=-1, request_id="n" * 1001),
        _BAD,
        "at most 1000 characters",
    ),
    "a way back to nowhere": (
        "Rollback",
        pb.RollbackRequest(model="laundry", version="v7.0.0", expected_epoch=-1),
        _UNKNOWN,
        "among the last 10",
    ),
    "no share": ("SetCanary", pb.SetCanaryRequest(model="laundry", version="v7.0.0"), _BAD, "more than 0"),
    "more than all": (
        "SetCanary",
        pb.SetCanaryRequest(model="laundry", version="a", percent=100.1),
        _BAD,
        "at most 100",
    ),
    "a share that is no number": (
        "SetCanary",
        pb.SetCanaryRequest(model="laundry", version="v7.0.0", percent=float("nan")),
        _BAD,
        "not nan",
    ),
    "an infinite share": (
        "SetCanary",
        pb.SetCanaryRequest(model="laundry", version="v7.0.0", percent=float("inf")),
        _BAD,
        "not inf",
    ),
    "a trial of what serves": (
        "SetCanary",
        pb.SetCanaryRequest(model="laundry", version="v1.0.0", percent=5),
        _UNKNOWN,
        "not prepared beside an active version",
    ),
    "an end of no trial": (
        "PromoteCanary",
        pb.PromoteCanaryRequest(model="laundry", version="v7.0.0", expected_epoch=-1),
        _UNKNOWN,
        "not on trial",
    ),
    "somebody of no name": ("Enroll", pb.EnrollRequest(model="face", image=PHOTO), _BAD, "identity ''"),
    "somebody a way out": ("Enroll", pb.EnrollRequest(model="face", identity="../kim", image=PHOTO), _BAD, "'../kim'"),
    "somebody of 501 letters": (
        "Withdraw",
        pb.WithdrawRequest(model="face", identity="k" * 501),
        _BAD,
        "500 characters at most",
    ),
    "a person without a face": ("Enroll", pb.EnrollRequest(model="face", identity="kim"), _BAD, "photo is empty"),
    "a status of nothing": ("GetStatus", pb.GetStatusRequest(), _UNKNOWN, "no model ''"),
    "a watch of nothing": ("WatchStatus", pb.GetStatusRequest(model="shoes"), _UNKNOWN, "no model 'shoes'"),
    "versions of nothing": ("ListVersions", pb.ListVersionsRequest(model="\0"), _UNKNOWN, "no model '\\x00'"),
}
_ELSEWHERE: dict[str, tuple[str, Any, str, str]] = {
    "statistics of nothing": (
        "ModelStatistics",
        oip.ModelStatisticsRequest(name="shoes"),
        _UNKNOWN,
        "no model 'shoes'",
    ),
    "a configuration of nothing": ("ModelConfig", oip.ModelConfigRequest(name="shoes"), _UNKNOWN, "no model 'shoes'"),
    "a version of nothing": (
        "ModelMetadata",
        oip.ModelMetadataRequest(name="laundry", version="x"),
        _UNKNOWN,
        "'x' is not loaded",
    ),
    "another repository": (
        "RepositoryIndex",
        oip.RepositoryIndexRequest(repository_name="s3://models"),
        _UNKNOWN,
        "there is one, without a name",
    ),
    "a model to load": (
        "RepositoryModelLoad",
        oip.RepositoryModelLoadRequest(model_name="laundry"),
        _FORBIDDEN,
        "lifecycle service",
    ),
    "a model to unload": (
        "RepositoryModelUnload",
        oip.RepositoryModelUnloadRequest(model_name="laundry"),
        _FORBIDDEN,
        "lifecycle service",
    ),
    "a region of memory": (
        "SystemSharedMemoryRegister",
        oip.SystemSharedMemoryRegisterRequest(name="a", key="/dev/mem", byte_size=2**63),
        _NOT_OFFERED,
        "shared memory",
    ),
    "a log file": ("LogSettings", oip.LogSettingsRequest(), _NOT_OFFERED, "FACESERVE_*"),
}


def grpc_bytes() -> Iterator[tuple[str, Call]]:
    """By name."""
    for name, body in _NO_MESSAGES.items():
        for method in (f"{_INFERENCE}/Classify", f"{_LIFECYCLE}/Prepare", f"{_OPEN}/ModelInfer"):
            yield f"{name} to {method}", Call(method, body, _BAD, _NO_MESSAGE)
    for name, (body, status, because) in _CLASSIFYING.items():
        yield name, Call(f"{_INFERENCE}/Classify", body, status, because)
    for name, (body, status, because) in _INFERRING.items():
        yield f"tensors: {name}", Call(f"{_OPEN}/ModelInfer", body, status, because)
    for service, calls in ((_LIFECYCLE, _CHANGING), (_OPEN, _ELSEWHERE)):
        for name, (method, message, status, because) in calls.items():
            yield name, Call(f"{service}/{method}", message.SerializeToString(), status, because)
